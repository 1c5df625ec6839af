// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Notice } from './notice.ts';

test('all who wait are woken, once', async () => {
  const notice = new Notice();
  const never = new AbortController().signal;
  const waiting = [notice.next(never), notice.next(never)];
  notice.ring();
  await Promise.all(waiting);
  let woken = false;
  void notice.next(never).then(() => {
    woken = true;
  });
  await Promise.resolve();
  assert.equal(woken, false);
});

test('an abort ends the wait, also one that came before', async () => {
  const cut = new AbortController();
  const waiting = new Notice().next(cut.signal);
  cut.abort();
  await waiting;
  await new Notice().next(cut.signal);
});
