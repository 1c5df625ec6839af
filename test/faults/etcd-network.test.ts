// SPDX-License-Identifier: Apache-2.0
/** The way to etcd is black-holed, slow, or cut again and again, under a syncer, while a writer with a way of its own goes on. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { EtcdStore } from '../../src/datastore/etcd/store.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { Relay } from '../support/relay.ts';
import { Churn, SyncedCache } from '../support/synced-cache.ts';

class Scene implements AsyncDisposable {
  readonly relay: Relay;
  readonly cache: SyncedCache;
  readonly #churn: Churn;
  readonly #writer: EtcdStore;
  readonly #rest: readonly AsyncDisposable[];

  private constructor(
    relay: Relay,
    cache: SyncedCache,
    churn: Churn,
    writer: EtcdStore,
    store: EtcdStore,
    cluster: EtcdCluster,
  ) {
    this.relay = relay;
    this.cache = cache;
    this.#churn = churn;
    this.#writer = writer;
    this.#rest = [cache, writer, store, relay, cluster];
  }

  static async open(): Promise<Scene> {
    const cluster = await EtcdCluster.start();
    const relay = await Relay.open(join(cluster.folder, 'relay'), join(cluster.folder, 'm0:1'));
    const writer = cluster.open();
    const store = cluster.open([`unix://${relay.path}`]);
    const churn = await Churn.start(writer);
    const cache = new SyncedCache(store);
    await cache.inSync();
    return new Scene(relay, cache, churn, writer, store, cluster);
  }

  async settled(): Promise<void> {
    await this.#churn[Symbol.asyncDispose]();
    await this.cache.settled(this.#writer, this.#churn.lasting);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#churn[Symbol.asyncDispose]();
    for (const each of this.#rest) await each[Symbol.asyncDispose]();
  }
}

suite('the way to etcd', { concurrency: true, timeout: 120_000 }, () => {
  test('black-holed for 15 s: noticed within 10', async () => {
    await using scene = await Scene.open();
    await delay(Math.random() * 1000); // while it connects, or when it watches
    const start = performance.now();
    scene.relay.hole();
    await delay(15_000);
    scene.relay.fill();
    const [first = Number.POSITIVE_INFINITY] = scene.cache.outages;
    assert.ok(first - start < 10_000, `noticed after ${first - start} ms`);
    await delay(1000);
    await scene.settled();
  });

  test('slowed by 500 ms each way: late, never wrong, and no storm', async () => {
    await using scene = await Scene.open();
    scene.relay.slow(500);
    scene.relay.cut();
    await delay(8000);
    assert.ok(scene.cache.outages.length <= 1, `${scene.cache.outages.length} outages`);
    await scene.settled();
  });

  test('cut every 300 ms: the watch goes on behind what it told, and nobody lists again', async () => {
    await using scene = await Scene.open();
    const { length } = scene.cache.statuses;
    for (let i = 0; i < 20; i++) {
      scene.relay.cut();
      await delay(300);
    }
    await scene.settled();
    assert.deepEqual(scene.cache.outages, []);
    assert.equal(scene.cache.statuses.length, length);
  });
});
