// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CalcGraph } from '../calc/graph.ts';
import { Batcher } from './batcher.ts';

test('a flush that pauses goes on in later turns, and is reported once, with all its messages', async () => {
  const flushed: number[] = [];
  let calls = 0;
  const graph: Pick<CalcGraph, 'onUpdates' | 'onStatus' | 'flush'> = {
    onUpdates: () => {},
    onStatus: () => {},
    flush: (emit, shouldPause) => {
      assert.equal(shouldPause?.(), false, 'a turn begins with time left');
      emit({ kind: 'in-sync' });
      return ++calls === 3;
    },
  };
  const batcher = new Batcher(graph as CalcGraph, () => {}, {
    onStatus: () => {},
    onFlush: (messages) => flushed.push(messages),
  });
  batcher.onUpdates([]);
  batcher.onUpdates([]);
  const callsByTurn: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    await nextTurn();
    callsByTurn.push(calls);
  }
  assert.deepEqual(callsByTurn, [1, 2, 3, 3, 3]);
  assert.deepEqual(flushed, [3]);
});
