// SPDX-License-Identifier: Apache-2.0
/** `muslin apiserver` as a process that dies and freezes, under a syncer and a writer that does not rest. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiProcess } from '../support/kubernetes-process.ts';
import { Churn, SyncedCache } from '../support/synced-cache.ts';

suite('muslin apiserver', { concurrency: true, timeout: 120_000 }, () => {
  test('killed and started again, three times', async () => {
    await using server = await ApiProcess.start();
    await using writer = server.open();
    await using store = server.open();
    await using churn = await Churn.start(writer, 20);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    for (const pauseMs of [0, 500, 2000]) {
      await server.kill();
      await delay(pauseMs);
      await server.up();
      await delay(500);
    }
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
    assert.ok(churn.writes > 10, `${churn.writes} writes`);
  });

  test('frozen for 12 s: noticed within 10', async () => {
    await using server = await ApiProcess.start();
    await using writer = server.open();
    await using store = server.open();
    await using churn = await Churn.start(writer, 20);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    const start = performance.now();
    server.signal('SIGSTOP');
    await delay(12_000);
    server.signal('SIGCONT');
    const [first = Number.POSITIVE_INFINITY] = cache.outages;
    assert.ok(first - start < 10_000, `noticed after ${first - start} ms`);
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
  });
});
