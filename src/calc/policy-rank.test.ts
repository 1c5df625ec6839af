// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyValue } from '../model/types.ts';
import { placeOf, type Rank, rankOf } from './policy-rank.ts';
import { policy } from './states/build.ts';

function rank(name: string, fields: Partial<PolicyValue> = {}): Rank {
  const { path, value } = policy(name, fields);
  return rankOf(path, value as PolicyValue);
}

/** In order, whatever the order in which they came. */
function sorted(ranks: readonly Rank[]): string[] {
  const list: Rank[] = [];
  for (const each of ranks) list.splice(placeOf(each, list), 0, each);
  return list.map(({ path }) => path);
}

test('policies stand by order, without one last, then by name, namespace and kind', () => {
  const expected = [
    rank('z', { order: -1 }),
    rank('y', { order: 0.5, namespace: 'b' }),
    rank('a'),
    rank('p'),
    rank('p', { namespace: 'a' }),
    rank('p', { namespace: 'b', kind: 'KubernetesNetworkPolicy' }), // its namespace is asked before its kind
    rank('p', { namespace: 'b' }),
    rank('p', { namespace: 'c', kind: 'StagedKubernetesNetworkPolicy', staged: 'set' }), // as what it stands for
    rank('p', { namespace: 'c' }),
    rank('pp', { namespace: 'a' }),
  ];
  const paths = expected.map(({ path }) => path);
  assert.deepEqual(sorted(expected), paths);
  assert.deepEqual(sorted(expected.toReversed()), paths);
});
