// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Index, Indexed } from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import type { ResourceKind } from '../model/types.ts';
import { SyncedView } from './synced-view.ts';

function at(kind: ResourceKind, name: string, revision: number): Indexed {
  return { key: { kind, name }, revision: String(revision) as Revision };
}

function index(revision: string, ...items: readonly Indexed[]): Index {
  return { items, revision: revision as Revision };
}

const pause = async () => {};
const names = (keys: readonly { readonly name: string }[]) => keys.map(({ name }) => name);

for (const isNew of [false, true])
  test(`an index that does not speak of a kind takes none of it away${isNew ? ', in a new history too' : ''}`, async () => {
    const view = new SyncedView();
    for (const each of [at('Tier', 'a', 5), at('Node', 'b', 6), at('Node', 'c', 7)]) view.put(each);
    if (isNew) view.startNewHistory();
    const { missing } = await view.differenceTo(index('Node=9', at('Node', 'b', 6)), pause);
    assert.deepEqual(names(missing), ['c']);
  });

test('an index as late as what is known, that shows an object older, is of another history: it counts', async () => {
  const view = new SyncedView();
  for (const each of [at('Tier', 'a', 5), at('Tier', 'b', 8)]) view.put(each);
  const { behind } = await view.differenceTo(index('Tier=9', at('Tier', 'a', 5), at('Tier', 'b', 3)), pause);
  assert.deepEqual(names(behind.map(({ key }) => key)), ['b']);
  assert.ok(view.put(at('Tier', 'b', 3)));
});

test('an index earlier than what is known of an object says nothing of it', async () => {
  const view = new SyncedView();
  view.put(at('Tier', 'a', 8));
  const { behind, missing } = await view.differenceTo(index('Tier=7', at('Tier', 'a', 3)), pause);
  assert.deepEqual([behind, missing], [[], []]);
  assert.ok(!view.put(at('Tier', 'a', 3)));
});
