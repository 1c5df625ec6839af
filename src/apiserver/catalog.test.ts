// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byPriority, Catalog } from './catalog.ts';
import { builtinResources } from './objects/builtin.ts';

test('versions: stable before beta before alpha, higher before lower, others last', () => {
  const sorted = ['foo1', 'v1alpha2', 'v10', 'v2', 'v1beta1', 'v11beta2', 'v1', 'foo10'].sort(byPriority);
  assert.deepEqual(sorted, ['v10', 'v2', 'v1', 'v11beta2', 'v1beta1', 'v1alpha2', 'foo1', 'foo10']);
});

test('custom resources come and go, and their mourners are told once', () => {
  const catalog = new Catalog(builtinResources);
  const pods = catalog.find('', 'v1', 'pods');
  assert.ok(pods);
  const things = { ...pods, group: 'a.b', plural: 'things', custom: true };
  catalog.serve('things.a.b', [things]);
  assert.equal(catalog.find('a.b', 'v1', 'things'), things);
  let told = 0;
  catalog.onGone(things, () => {
    told++;
  });
  catalog.serve('things.a.b', []);
  catalog.serve('things.a.b', []);
  assert.deepEqual([catalog.find('a.b', 'v1', 'things'), told], [null, 1]);
});
