// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeMap } from '../../../test/support/fake-map.ts';
import type { DataplaneMessage } from '../../contract/dataplane.ts';
import { parseAddress } from '../../lib/address.ts';
import type { IfName, KeyPath } from '../../lib/brand.ts';
import { hostCidr, parseCidr } from '../../lib/cidr.ts';
import { routeAt, routeFlags, routeKeyAt, routeKeyBytes } from './layout.ts';
import { Routes } from './routes.ts';
import { mappedLength, Row } from './row.ts';
import { noTranslation } from './settings.ts';

const { workload, local, node, pool, natOutgoing, dsrOptOut } = routeFlags;

function endpoint(name: string, address: string, ifName = `cali${name}`): DataplaneMessage {
  return {
    kind: 'endpoint-update',
    id: `WorkloadEndpoint/default/${name}` as KeyPath,
    endpoint: {
      name: `default/${name}`,
      ifName: ifName as IfName,
      addresses: [parseAddress(address)],
      adminUp: true,
      tiers: [],
      profiles: [],
    },
  };
}

function remote(address: string, via: string): DataplaneMessage {
  const route = { type: 'remote-workload' as const, node: 'n2', via: parseAddress(via) };
  return { kind: 'route-update', dst: hostCidr(parseAddress(address)), route };
}

/** Flags and link of a row; null: there is none. */
function row(map: FakeMap, net: string): { flags: number; ifIndex: number } | null {
  const cidr = parseCidr(net);
  const key = new Row(routeKeyBytes)
    .u32(routeKeyAt.prefixLength, mappedLength(cidr))
    .net(routeKeyAt.address, cidr).bytes;
  const value = map.get(key);
  if (!value) return null;
  const view = new DataView(value.buffer, value.byteOffset);
  return { flags: view.getUint32(routeAt.flags, true), ifIndex: view.getUint32(routeAt.ifIndex, true) };
}

function told(...messages: readonly DataplaneMessage[]) {
  const map = new FakeMap(20, 32);
  const routes = new Routes(map);
  for (const message of messages) routes.onMessage(message);
  return { map, routes };
}

const config = {
  ...noTranslation,
  pools: [{ cidr: parseCidr('10.65.0.0/16'), natOutgoing: true }],
  nodeAddresses: [parseAddress('172.16.0.1'), parseAddress('172.16.0.2')],
  dsrOptOut: [parseCidr('10.65.9.0/24')],
};

test('an address says whose it is, and what every net says that covers it', () => {
  const { map, routes } = told(endpoint('a', '10.65.0.1'), remote('10.65.9.9', '172.16.0.2'));
  routes.setTranslation(config);
  routes.setLinks(new Map([['calia', 7]]), [parseAddress('172.16.0.1')]);
  routes.apply();
  assert.deepEqual(row(map, '10.65.0.1/32'), { flags: workload | local | pool | natOutgoing, ifIndex: 7 });
  assert.deepEqual(row(map, '10.65.9.9/32'), {
    flags: workload | pool | natOutgoing | dsrOptOut,
    ifIndex: 0,
  });
  assert.deepEqual(row(map, '10.65.9.0/24')?.flags, pool | natOutgoing | dsrOptOut);
  assert.deepEqual(row(map, '172.16.0.1/32')?.flags, node | local);
  assert.deepEqual(row(map, '172.16.0.2/32')?.flags, node);
  assert.equal(routes.apply().changed, 0);
});

test('a workload without a link is nobody’s, and one here beats one elsewhere', () => {
  const { map, routes } = told(endpoint('a', '10.65.0.1'), remote('10.65.0.1', '172.16.0.2'));
  routes.setLinks(new Map(), []);
  routes.apply();
  assert.equal(row(map, '10.65.0.1/32')?.flags, workload);
  routes.setLinks(new Map([['calia', 7]]), []);
  routes.apply();
  assert.equal(row(map, '10.65.0.1/32')?.flags, workload | local);
});

test('of two with one address the one that is left has it; with the last it goes', () => {
  const { map, routes } = told(endpoint('a', '10.65.0.1'), endpoint('b', '10.65.0.1'));
  routes.setLinks(
    new Map([
      ['calia', 7],
      ['calib', 8],
    ]),
    [],
  );
  const remove = (name: string) =>
    routes.onMessage({ kind: 'endpoint-remove', id: `WorkloadEndpoint/default/${name}` as KeyPath });
  routes.apply();
  assert.equal(row(map, '10.65.0.1/32')?.ifIndex, 8);
  remove('b');
  routes.apply();
  assert.equal(row(map, '10.65.0.1/32')?.ifIndex, 7);
  remove('a');
  routes.apply();
  assert.equal(row(map, '10.65.0.1/32'), null);
});

test('an address that its endpoint gives up goes to the other that has it', () => {
  const { map, routes } = told(endpoint('a', '10.65.0.1'), endpoint('b', '10.65.0.1'));
  routes.setLinks(
    new Map([
      ['calia', 7],
      ['calib', 8],
    ]),
    [],
  );
  routes.apply();
  routes.onMessage(endpoint('b', '10.65.0.2'));
  routes.apply();
  assert.equal(row(map, '10.65.0.1/32')?.ifIndex, 7);
  assert.equal(row(map, '10.65.0.2/32')?.ifIndex, 8);
});

test('pools and nodes that go leave nothing behind', () => {
  const { map, routes } = told();
  routes.setTranslation(config);
  routes.apply();
  routes.setTranslation(noTranslation);
  routes.apply();
  assert.equal(map.rows.size, 0);
});
