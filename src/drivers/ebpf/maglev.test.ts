// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maglevTable } from './maglev.ts';

const size = 1009;
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.65.0.${i} 80`);

function owners(list: readonly string[]): readonly (string | undefined)[] {
  return maglevTable(list, size).map((index) => list[index]);
}

test('every slot has a backend, and each backend almost as many as any other', () => {
  for (const count of [1, 2, 7, 100]) {
    const table = owners(names(count));
    assert.equal(table.length, size);
    const counts = [...Map.groupBy(table, (owner) => owner).values()].map((slots) => slots.length);
    assert.equal(counts.length, count);
    assert.ok(
      Math.max(...counts) - Math.min(...counts) <= 1,
      `${count}: ${Math.min(...counts)} to ${Math.max(...counts)}`,
    );
  }
  assert.deepEqual(maglevTable([], size), []);
});

test('the order in which a node hears of backends does not matter', () => {
  const list = names(20);
  assert.deepEqual(owners(list.toReversed()), owners(list));
});

test('a backend that goes takes few of the others’ slots with it', () => {
  const list = names(50);
  const [before, after] = [owners(list), owners(list.slice(1))];
  const moved = before.filter((owner, slot) => owner !== list[0] && owner !== after[slot]).length;
  assert.ok(moved < size / 10, `${moved} of ${size} slots of others moved`);
});
