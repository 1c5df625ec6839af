// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeMap } from '../../../test/support/fake-map.ts';
import { plainFrontend } from '../../../test/support/plain-frontend.ts';
import type { ResolvedService, ServiceBackend, ServiceFrontend } from '../../contract/services.ts';
import { parseAddress } from '../../lib/address.ts';
import type { KeyPath } from '../../lib/brand.ts';
import { frontendAt } from './layout.ts';
import { Services } from './services.ts';

const id = (name: string): KeyPath => `Service/default/${name}` as KeyPath;

function backends(count: number, port = 8080): ServiceBackend[] {
  return Array.from({ length: count }, (_, i) => ({
    address: parseAddress(`10.65.0.${i + 1}`),
    port,
    local: i === 0,
  }));
}

function frontend(change: Partial<ServiceFrontend> = {}): ServiceFrontend {
  return plainFrontend({ portName: 'http', backends: change.inside ?? backends(3), ...change });
}

function service(...frontends: readonly ServiceFrontend[]): ResolvedService {
  return { name: 'default/web', frontends };
}

function open(sizes: { readonly backends?: number } = {}) {
  const maps = {
    frontends: new FakeMap(20, 24),
    backends: new FakeMap(8, 24, sizes.backends),
    members: new FakeMap(24, 4),
    sources: new FakeMap(24, 4),
  };
  return { maps, services: new Services(maps) };
}

/** Of each frontend: the number of its list, and how long that is. */
function lists(map: FakeMap): readonly { list: number; count: number }[] {
  return [...map.rows.values()].map((row) => {
    const view = new DataView(row.buffer, row.byteOffset);
    return { list: view.getUint32(frontendAt.list, true), count: view.getUint32(frontendAt.count, true) };
  });
}

test('equal lists are one, and a second apply writes nothing', () => {
  const { maps, services } = open();
  services.set(id('web'), service(frontend(), frontend({ kind: 'node-port', address: null, port: 30_080 })));
  assert.deepEqual(services.apply().failed, []);
  assert.equal(maps.frontends.rows.size, 6); // inside, outside, by tunnel
  assert.equal(new Set(lists(maps.frontends).map(({ list }) => list)).size, 2);
  assert.equal(maps.backends.rows.size, 3 + 1); // all three; by tunnel the one that is here
  assert.equal(services.apply().changed, 0);
});

test('a list is never changed: another takes its place, and the old one goes when nobody has it', () => {
  const { maps, services } = open();
  services.set(id('web'), service(frontend()));
  services.apply();
  const before = new Set(lists(maps.frontends).map(({ list }) => list));
  services.set(id('web'), service(frontend({ inside: backends(4), outside: backends(4) })));
  services.apply();
  const after = lists(maps.frontends).filter(({ count }) => count === 4);
  assert.equal(after.length, 2);
  assert.ok(after.every(({ list }) => !before.has(list)));
  assert.equal(maps.backends.rows.size, 4 + 1);
  services.set(id('web'), null);
  services.apply();
  for (const map of Object.values(maps)) assert.equal(map.rows.size, 0);
});

test('a restarted agent finds the rows that it would write', () => {
  const { maps, services } = open();
  services.set(id('web'), service(frontend({ affinitySeconds: 60, sources: [] })));
  services.apply();
  const again = new Services(maps);
  again.set(id('web'), service(frontend({ affinitySeconds: 60, sources: [] })));
  assert.equal(again.apply().changed, 0);
});

test('that a backend went is told once; that one came is not', () => {
  const { services } = open();
  services.set(id('web'), service(frontend({ inside: backends(3), outside: backends(3) })));
  services.apply();
  assert.equal(services.takeLostBackend(), false);
  services.set(id('web'), service(frontend({ inside: backends(2), outside: backends(2) })));
  services.apply();
  assert.deepEqual([services.takeLostBackend(), services.takeLostBackend()], [true, false]);
});

test('SCTP to another port is refused in words; its neighbours are balanced', () => {
  const { maps, services } = open();
  services.set(id('sctp'), service(frontend({ protocol: 132, port: 9000 })));
  services.set(id('web'), service(frontend()));
  const { failed } = services.apply();
  assert.deepEqual(
    failed.map(({ key }) => key),
    ['default/web'],
  );
  assert.match(failed[0]?.message ?? '', /want target port 9000/);
  assert.equal(maps.frontends.rows.size, 3);
  services.set(
    id('sctp'),
    service(frontend({ protocol: 132, port: 8080, address: parseAddress('10.96.0.2') })),
  );
  assert.deepEqual(services.apply().failed, []);
});

test('a map too small is named with what would be wanted', () => {
  const { services } = open({ backends: 2 });
  services.set(id('web'), service(frontend()));
  assert.match(services.apply().failed[0]?.message ?? '', /room for 2 rows, want 4/);
});
