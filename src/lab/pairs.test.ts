// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../lib/address.ts';
import { NotFoundError } from '../lib/errors.ts';
import { nameOf, type PairOptions, pairsOf } from './pairs.ts';
import type { PodView } from './pod-view.ts';

const tcp: PairOptions = { protocol: 'TCP', timeoutMs: 1000 };

function pod(name: string, ...addresses: readonly string[]): PodView {
  const ports = [{ name: '', protocol: 'TCP', port: 8080 }] as const;
  const common = { uid: '', namespace: 'ns', node: 'n', wanted: [], phase: 'Running', hostNetwork: false };
  return { ...common, name, ports, addresses: addresses.map(parseAddress) };
}

const pods = [pod('a', '10.0.0.1', 'fd00::1'), pod('b', '10.0.0.2'), pod('c', 'fd00::3')];
const shown = (options: Partial<PairOptions>) =>
  pairsOf(pods, { ...tcp, ...options }).map(({ from, to, address }) => `${nameOf(from)} ${to} ${address}`);

test('every pod to every other that it shares a family with', () => {
  assert.deepEqual(shown({}), [
    'ns/a ns/b 10.0.0.2',
    'ns/a ns/c fd00::3',
    'ns/b ns/a 10.0.0.1',
    'ns/c ns/a fd00::1',
  ]);
});

test('a destination alone is not probed from itself; both ends named, it is', () => {
  assert.deepEqual(shown({ to: 'ns/a' }), ['ns/b ns/a 10.0.0.1', 'ns/c ns/a fd00::1']);
  assert.deepEqual(shown({ from: 'ns/a', to: 'ns/a' }), ['ns/a ns/a 10.0.0.1']);
});

test('nothing to probe is an error, not a table without rows', () => {
  assert.throws(() => shown({ to: 'ns/b', ipVersion: 6 }), NotFoundError);
  assert.throws(() => shown({ from: 'ns/b', to: 'ns/c' }), NotFoundError);
});
