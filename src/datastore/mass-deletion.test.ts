// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceKey, ResourceKind } from '../model/types.ts';
import { MassDeletion } from './mass-deletion.ts';

function missing(kind: ResourceKind, count: number): ResourceKey[] {
  return Array.from({ length: count }, (_, i) => ({ kind, name: `n${i}` }));
}

const cases: readonly [string, number, number, boolean][] = [
  ['all of a few', 9, 9, true],
  ['a small share of many', 30, 100, true],
  ['more than the share of many', 31, 100, false],
  ['all of ten', 10, 10, false],
];

for (const [title, gone, of, isAllowed] of cases) {
  test(`${title}: ${gone} of ${of} ${isAllowed ? 'may go' : 'are held'}`, () => {
    const deletion = new MassDeletion();
    const allowed = deletion.allowed(missing('Tier', gone), () => of);
    assert.equal(allowed.length, isAllowed ? gone : 0);
    assert.deepEqual(deletion.held, isAllowed ? [] : [{ kind: 'Tier', missing: gone, of }]);
  });
}

test('one kind is held, others are not', () => {
  const deletion = new MassDeletion();
  const keys = [...missing('Tier', 20), ...missing('Namespace', 2)];
  assert.deepEqual(
    deletion.allowed(keys, () => 20).map(({ kind }) => kind),
    ['Namespace', 'Namespace'],
  );
});

test('a few of a kind are held where others went with them: the store was wiped', () => {
  const deletion = new MassDeletion();
  const keys = [...missing('Tier', 3), ...missing('Pod', 7)];
  const all = (kind: ResourceKind) => (kind === 'Tier' ? 3 : 7);
  assert.deepEqual(deletion.allowed(keys, all), []);
  deletion.confirm();
  assert.equal(deletion.allowed(keys, all).length, 10);
});

test('what was confirmed may go once, and nothing that is found after it', () => {
  const deletion = new MassDeletion();
  deletion.allowed(missing('Tier', 20), () => 20);
  deletion.confirm();
  assert.equal(deletion.allowed(missing('Tier', 20), () => 20).length, 20);
  assert.equal(deletion.allowed(missing('Tier', 20), () => 20).length, 0);
});

test('objects that are listed again are held no longer', () => {
  const deletion = new MassDeletion();
  deletion.allowed(missing('Tier', 20), () => 20);
  deletion.allowed([], () => 20);
  assert.deepEqual(deletion.held, []);
});

test('of those others what lost little goes', () => {
  const deletion = new MassDeletion();
  const keys = [...missing('Tier', 3), ...missing('Pod', 9), ...missing('Namespace', 1)];
  const all = (kind: ResourceKind) => (kind === 'Pod' ? 9 : 4);
  assert.deepEqual(deletion.allowed(keys, all), missing('Namespace', 1));
});

test('what is held does not go because others came', () => {
  const deletion = new MassDeletion();
  deletion.allowed(missing('Tier', 20), () => 20);
  assert.deepEqual(
    deletion.allowed(missing('Tier', 20), () => 200),
    [],
  );
  assert.deepEqual(
    deletion.allowed(missing('Tier', 5), () => 200),
    [],
    'nor because some are back',
  );
});

test('who confirms means what was held then, and nothing that a later list lacks besides', () => {
  const deletion = new MassDeletion();
  deletion.allowed(missing('Tier', 20), () => 40);
  deletion.confirm();
  assert.equal(deletion.allowed(missing('Tier', 40), () => 40).length, 20);
  assert.deepEqual(deletion.held, [{ kind: 'Tier', missing: 20, of: 40 }]);
});
