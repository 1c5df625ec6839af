// SPDX-License-Identifier: Apache-2.0
/**
 * An etcd server that dies, freezes, forgets and remembers an older state, under a syncer and a writer that does not rest.
 * After each fault the cache holds what a list holds, and no object that lived all the time was ever told absent.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { tier } from '../conformance/datastore.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { Relay } from '../support/relay.ts';
import { Churn, SyncedCache } from '../support/synced-cache.ts';

/** Past the 10 s in which a dead peer is noticed. */
const longMs = 12_000;

suite('etcd, one server', { concurrency: true, timeout: 120_000 }, () => {
  test('killed and started again, three times', async () => {
    await using cluster = await EtcdCluster.start();
    await using writer = cluster.open();
    await using store = cluster.open();
    const churn = await Churn.start(writer);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    for (const pauseMs of [0, 1000, 5000]) {
      await cluster.members[0]?.kill();
      await delay(pauseMs);
      cluster.members[0]?.start();
      await delay(1500);
    }
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
    assert.ok(churn.writes > 10, `${churn.writes} writes`);
  });

  test('frozen for 12 s: noticed within 10', async () => {
    await using cluster = await EtcdCluster.start();
    await using writer = cluster.open();
    await using store = cluster.open();
    const churn = await Churn.start(writer);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    const start = performance.now();
    cluster.members[0]?.signal('SIGSTOP');
    await delay(longMs);
    cluster.members[0]?.signal('SIGCONT');
    const [first = Number.POSITIVE_INFINITY] = cache.outages;
    assert.ok(first - start < 10_000, `noticed after ${first - start} ms`);
    await delay(1000);
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
  });

  test('compacted under a watch, and under one that was cut off meanwhile', async () => {
    await using cluster = await EtcdCluster.start();
    await using relay = await Relay.open(join(cluster.folder, 'relay'), join(cluster.folder, 'm0:1'));
    await using writer = cluster.open();
    await using store = cluster.open([`unix://${relay.path}`]);
    const churn = await Churn.start(writer);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    await cluster.compact();
    await delay(500);
    const lists = cache.statuses.length;
    assert.deepEqual(cache.outages, []);
    relay.hole();
    await delay(1000);
    await cluster.compact();
    relay.cut();
    relay.fill();
    await delay(1500);
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
    assert.ok(cache.statuses.length > lists, 'it listed again');
  });

  test('restored from an older snapshot: the revision goes back', async () => {
    await using cluster = await EtcdCluster.start();
    await using writer = cluster.open();
    await using store = cluster.open();
    const churn = await Churn.start(writer);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    cluster.etcdctl('snapshot', 'save', 'backup.db');
    await delay(2000);
    await churn[Symbol.asyncDispose]();
    const { revision } = await writer.snapshot();
    await restore(cluster);
    await using truth = cluster.open();
    assert.ok(Number(await truth.position([])) < Number(revision));
    await cache.settled(truth, churn.lasting, 30_000);
  });

  test('restored from an older snapshot, and written past its old revision before anybody looks', async () => {
    await using cluster = await EtcdCluster.start();
    await using relay = await Relay.open(join(cluster.folder, 'relay'), join(cluster.folder, 'm0:1'));
    await using writer = cluster.open();
    await using store = cluster.open([`unix://${relay.path}`]);
    const churn = await Churn.start(writer);
    await using cache = new SyncedCache(store);
    await cache.inSync();
    cluster.etcdctl('snapshot', 'save', 'backup.db');
    await delay(300);
    await churn[Symbol.asyncDispose]();
    await cache.settled(writer, churn.lasting);
    const old = Number(await writer.position([]));
    relay.hole();
    await restore(cluster);
    await using other = cluster.open();
    const names = Array.from({ length: 300 }, (_, i) => `after-${i}`);
    const made = names.map((name) => other.create({ kind: 'Tier', name }, tier(name, 1)));
    await Promise.all(made);
    assert.ok(Number(await other.position([])) > old);
    relay.fill();
    await cache.settled(other, churn.lasting, 30_000);
  });
});

async function restore(cluster: EtcdCluster): Promise<void> {
  const [member] = cluster.members;
  await member?.kill();
  const url = `http://127.0.0.1:${member?.peerPort}`;
  const names = ['--name=m0', `--initial-cluster=m0=${url}`, `--initial-advertise-peer-urls=${url}`];
  const args = ['snapshot', 'restore', 'backup.db', '--data-dir=restored', ...names];
  execFileSync('etcdctl', args, {
    cwd: cluster.folder,
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: 'pipe',
  });
  rmSync(join(cluster.folder, 'data-m0'), { recursive: true });
  renameSync(join(cluster.folder, 'restored'), join(cluster.folder, 'data-m0'));
  member?.start();
  await cluster.ready();
}
