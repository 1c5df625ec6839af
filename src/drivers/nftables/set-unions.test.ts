// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpSetId } from '../../lib/brand.ts';
import { IpSets } from './ip-sets.ts';
import { FamilyTable } from './tables.ts';

const [a, b] = ['s:a', 's:b'] as [IpSetId, IpSetId];
const net = (members: readonly string[]) => ({ type: 'net', members, description: '' }) as const;

function rig() {
  const table = new FamilyTable({ family: 4, name: 'muslin' }, new Map());
  const sets = new IpSets(4, table);
  sets.replace(a, net(['10.0.0.1/32', '10.0.0.2/32']));
  sets.replace(b, net(['10.0.0.2/32', 'fd00::1/128']));
  sets.useUnion('su-x', [a, b]);
  return { sets, members: () => [...table.members('su-x').desired().keys()].sort() };
}

test('a union holds the members of all its sets, of its family alone', () => {
  assert.deepEqual(rig().members(), ['10.0.0.1', '10.0.0.2']);
});

test('a member stays until the last of its sets has lost it, however it was lost', () => {
  const { sets, members } = rig();
  sets.change(a, ['10.0.0.3/32'], ['10.0.0.2/32', '10.0.0.9/32']);
  assert.deepEqual(members(), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  sets.replace(b, net(['10.0.0.4/32']));
  assert.deepEqual(members(), ['10.0.0.1', '10.0.0.3', '10.0.0.4']);
  sets.remove(a);
  assert.deepEqual(members(), ['10.0.0.4']);
});

test('a union goes with its last user', () => {
  const { sets, members } = rig();
  sets.useUnion('su-x', [a, b]);
  sets.releaseUnion('su-x');
  assert.equal(members().length, 2);
  sets.releaseUnion('su-x');
  assert.deepEqual(members(), []);
  sets.change(a, ['10.0.0.5/32'], []);
  assert.deepEqual(members(), []);
});
