// SPDX-License-Identifier: Apache-2.0
/** Three members of etcd that lose their leader, and one that is cut off from the others while the syncer listens to it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EtcdCluster } from '../support/etcd.ts';
import { Churn, SyncedCache } from '../support/synced-cache.ts';

/** `make soak-datastore` partitions for ten minutes, and goes on in that manner for thirty. */
const soakMinutes = Number(process.env.MUSLIN_SOAK_MINUTES ?? 0);
const isRoot = process.getuid?.() === 0;

suite('etcd, three members', { concurrency: true, timeout: 120_000 + soakMinutes * 120_000 }, () => {
  test('the leader is killed, and the next one', async () => {
    await using cluster = await EtcdCluster.start({ members: 3 });
    await using writer = cluster.open();
    await using store = cluster.open();
    const churn = await Churn.start(writer);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    for (let i = 0; i < 2; i++) {
      const leader = await cluster.leader();
      await leader.kill();
      await delay(3000);
      leader.start();
      await delay(2000);
    }
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
    assert.ok(churn.writes > 10, `${churn.writes} writes`);
  });

  test(
    'the leader, to whom the syncer listens, is cut off under churn',
    { skip: isRoot ? false : 'wants root, for a network namespace' },
    () => cutOff(15_000),
  );

  test('cut off for ten minutes, and again and again for the time of the soak', {
    skip: soakMinutes > 0 && isRoot ? false : 'MUSLIN_SOAK_MINUTES is not set',
  }, async () => {
    const end = performance.now() + soakMinutes * 60_000;
    await cutOff(Math.min(10, soakMinutes / 2) * 60_000);
    while (performance.now() < end) await cutOff(10_000 + Math.random() * 50_000);
  });
});

async function cutOff(forMs: number): Promise<void> {
  await using cluster = await EtcdCluster.start({ members: 3, isPartitionable: true });
  const leader = await cluster.leader();
  const others = cluster.members.filter((member) => member !== leader).map(({ endpoint }) => endpoint);
  await using writer = cluster.open(others);
  await using store = cluster.open([leader.endpoint, ...others]);
  const churn = await Churn.start(writer);
  await using cache = new SyncedCache(store);
  await cache.inSync();
  cluster.cutOff(leader);
  await delay(forMs);
  const before = churn.writes;
  await delay(1000);
  assert.ok(churn.writes > before, 'the majority goes on');
  cluster.heal();
  await delay(2000);
  await churn[Symbol.asyncDispose]();
  await cache.settled(writer, churn.lasting);
}
