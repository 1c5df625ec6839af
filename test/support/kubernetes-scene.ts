// SPDX-License-Identifier: Apache-2.0
/** Our API server, a writer that does not rest, and a syncer under fire. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiServerOptions } from '../../src/apiserver/server.ts';
import type { KubernetesOptions, KubernetesStore } from '../../src/datastore/kubernetes/store.ts';
import type { SyncerOptions } from '../../src/datastore/syncer.ts';
import { TestCluster } from './kubernetes.ts';
import { Churn, SyncedCache } from './synced-cache.ts';

export interface SceneOptions {
  readonly api?: ApiServerOptions;
  readonly store?: KubernetesOptions;
  readonly syncer?: SyncerOptions;
  /** What the syncer's kubeconfig file holds. @defaultValue the administrator's */
  readonly kubeconfig?: (cluster: TestCluster) => string | Promise<string>;
}

/** A peer that is gone without a word is noticed within it. */
const noticedMs = 10_000;

export class KubernetesScene implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly writer: KubernetesStore;
  readonly cache: SyncedCache;
  readonly churn: Churn;
  readonly #store: KubernetesStore;

  private constructor(
    cluster: TestCluster,
    writer: KubernetesStore,
    cache: SyncedCache,
    churn: Churn,
    store: KubernetesStore,
  ) {
    this.cluster = cluster;
    this.writer = writer;
    this.cache = cache;
    this.churn = churn;
    this.#store = store;
  }

  static async open(options: SceneOptions = {}): Promise<KubernetesScene> {
    const cluster = await TestCluster.start(options.api);
    cluster.writeKubeconfig(await options.kubeconfig?.(cluster));
    const writer = cluster.open();
    const store = cluster.openByFile(options.store);
    const churn = await Churn.start(writer, 20);
    const cache = new SyncedCache(store, options.syncer);
    await cache.inSync();
    return new KubernetesScene(cluster, writer, cache, churn, store);
  }

  /** Until the syncer says that the store cannot be used. */
  async noticed(): Promise<void> {
    const start = performance.now();
    const isLater = (outage: number) => outage >= start;
    while (!this.cache.outages.some(isLater)) {
      assert.ok(performance.now() - start < noticedMs, `not noticed within ${noticedMs} ms`);
      await delay(20);
    }
  }

  /** The writer rests, and the cache comes to hold what is stored. */
  async settled(withinMs?: number): Promise<void> {
    await this.churn[Symbol.asyncDispose]();
    await this.cache.settled(this.writer, this.churn.lasting, withinMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.churn[Symbol.asyncDispose]();
    await this.cache[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
    await this.writer[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}
