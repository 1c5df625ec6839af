// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addTo, removeFrom } from './sets-by-key.ts';

test('values come and go by key, and the last takes its key with it', () => {
  const index = new Map<string, Set<number>>();
  addTo(index, 'a', 1);
  addTo(index, 'a', 2);
  addTo(index, 'b', 1);
  removeFrom(index, 'a', 1);
  removeFrom(index, 'a', 3);
  removeFrom(index, 'c', 1);
  assert.deepEqual(
    index,
    new Map([
      ['a', new Set([2])],
      ['b', new Set([1])],
    ]),
  );
  removeFrom(index, 'a', 2);
  assert.deepEqual([...index.keys()], ['b']);
});
