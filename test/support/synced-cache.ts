// SPDX-License-Identifier: Apache-2.0
/**
 * A syncer under fire: what it told, compared with what is stored; a writer that never rests; and the promises that hold
 * whatever happens between them.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  Datastore,
  ResourceChange,
  Stored,
  SyncerSink,
  SyncStatus,
} from '../../src/contract/datastore.ts';
import type { HeldDeletion } from '../../src/datastore/mass-deletion.ts';
import { StoreSyncer, type SyncerOptions } from '../../src/datastore/syncer.ts';
import { AppError } from '../../src/lib/errors.ts';
import { calicoVersion, keyPath } from '../../src/model/kinds.ts';
import type { Resource, ResourceKey } from '../../src/model/types.ts';

export class SyncedCache implements SyncerSink, AsyncDisposable {
  /** By path: the object as it was told. */
  readonly #objects = new Map<string, string>();
  readonly removed: Set<string> = new Set();
  readonly statuses: SyncStatus[] = [];
  readonly #stop = new AbortController();
  readonly #syncer: StoreSyncer;
  readonly #running: Promise<void>;
  /** When the syncer was told that the store cannot be used, on the clock of `performance`. */
  readonly outages: number[] = [];
  #held: readonly HeldDeletion[] = [];
  #listing = 0;
  #mostLists = 0;

  constructor(store: Datastore, options: SyncerOptions = {}) {
    this.#syncer = new StoreSyncer(this.#counted(store), {
      // the watch has to be right by itself
      auditMs: 3_600_000,
      onUnavailable: () => this.outages.push(performance.now()),
      ...options,
      onHeld: (held) => {
        this.#held = held;
        options.onHeld?.(held);
      },
    });
    this.#running = this.#syncer.run(this, this.#stop.signal);
  }

  onResources(changes: readonly ResourceChange[]): void {
    for (const { key, resource } of changes) {
      const path = keyPath(key);
      if (resource) this.#objects.set(path, JSON.stringify(resource));
      else {
        this.#objects.delete(path);
        this.removed.add(path);
      }
    }
  }

  onUpdates(): void {}

  onStatus(status: SyncStatus): void {
    this.statuses.push(status);
  }

  confirmDeletions(): void {
    this.#syncer.confirmDeletions();
  }

  async inSync(): Promise<void> {
    while (this.statuses.at(-1) !== 'in-sync') await delay(10);
  }

  /** @throws {AssertionError} unless the cache comes to hold what is listed, and all promises were kept. */
  async settled(truth: Datastore, lasting: readonly ResourceKey[], withinMs = 15_000): Promise<void> {
    const { items } = await truth.snapshot();
    const wanted = hashOf(items.map(({ key, resource }) => [keyPath(key), JSON.stringify(resource)]));
    for (const end = performance.now() + withinMs; hashOf([...this.#objects]) !== wanted; await delay(50))
      assert.ok(performance.now() < end, this.#difference(items));
    const lost = lasting.map(keyPath).filter((path) => this.removed.has(path));
    assert.deepEqual(lost, [], 'objects that lived all the time were told absent');
    assert.ok(this.#mostLists <= 1, `${this.#mostLists} lists at a time`);
  }

  /** The syncer ends when it is asked to, and at no other time. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = await Promise.race([this.#running.then(() => true), delay(0, false)]);
    assert.ok(!ended, 'the syncer went on');
    this.#stop.abort();
    await this.#running;
  }

  #difference(items: readonly Stored[]): string {
    const stored = new Map(
      items.map(({ key, resource }) => [keyPath(key) as string, JSON.stringify(resource)]),
    );
    const missing = [...stored.keys()].filter((path) => !this.#objects.has(path));
    const extra = [...this.#objects.keys()].filter((path) => !stored.has(path));
    const old = [...stored].filter(([path, text]) => (this.#objects.get(path) ?? text) !== text);
    const count = (name: string, paths: readonly string[]) =>
      `${paths.length} ${name} (${paths.slice(0, 3)})`;
    return `cache and list differ: ${count('missing', missing)}, ${count('too many', extra)}, ${count(
      'other',
      old.map(([path]) => path),
    )}; ${this.statuses.slice(-5)}, ${this.outages.length} outages, held: ${JSON.stringify(this.#held)}; ${old.slice(0, 1).map(([path, text]) => `${this.#objects.get(path)} for ${text}`)}`;
  }

  #counted(store: Datastore): Datastore {
    const counting =
      <T>(list: () => Promise<T>) =>
      async () => {
        this.#mostLists = Math.max(this.#mostLists, ++this.#listing);
        try {
          return await list();
        } finally {
          this.#listing--;
        }
      };
    const lists = {
      snapshot: counting(() => store.snapshot()),
      index: counting(async () => (await store.index?.()) ?? store.snapshot()),
    };
    return new Proxy(store, {
      get(target, name) {
        if (name === 'snapshot' || name === 'index') return lists[name];
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}

function hashOf(objects: readonly (readonly [string, string])[]): string {
  const hash = createHash('sha1');
  for (const [path, text] of objects.toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path} ${text}\n`);
  return hash.digest('hex');
}

function setOf(name: string, note: string): Resource {
  const metadata = { name, annotations: { note } };
  return { apiVersion: calicoVersion, kind: 'GlobalNetworkSet', metadata, spec: { nets: ['10.0.0.0/8'] } };
}

const keyOf = (name: string): ResourceKey => ({ kind: 'GlobalNetworkSet', name });

/** Changes some objects that stay, and makes and deletes others, until it is disposed of. */
export class Churn implements AsyncDisposable {
  readonly lasting: readonly ResourceKey[];
  readonly #store: Datastore;
  readonly #pauseMs: number;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  writes = 0;

  private constructor(store: Datastore, count: number, pauseMs: number) {
    this.#store = store;
    this.#pauseMs = pauseMs;
    this.lasting = Array.from({ length: count }, (_, i) => keyOf(`lasting-${i}`));
  }

  static async start(store: Datastore, count = 40, pauseMs = 10): Promise<Churn> {
    const churn = new Churn(store, count, pauseMs);
    for (const key of churn.lasting) await store.create(key, setOf(key.name, 'new'));
    churn.#running = churn.#run();
    return churn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#stop.signal.aborted; i++) {
      await this.#tried(() => this.#change(this.lasting[i % this.lasting.length] ?? keyOf('none'), i));
      await this.#tried(() => this.#store.create(keyOf(`passing-${i}`), setOf(`passing-${i}`, 'new')));
      if (i >= 5) await this.#tried(() => this.#store.delete(keyOf(`passing-${i - 5}`)));
      await delay(this.#pauseMs);
    }
  }

  async #change(key: ResourceKey, i: number): Promise<void> {
    const { revision } = await this.#store.get(key);
    await this.#store.update(key, setOf(key.name, String(i)), revision);
  }

  /** A write that was not answered may have been done: nothing here depends on it. */
  async #tried(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
      this.writes++;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      await delay(50);
    }
  }
}
