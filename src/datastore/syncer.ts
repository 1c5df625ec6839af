// SPDX-License-Identifier: Apache-2.0
/**
 * Turns any Datastore into the one stream that the calculation graph drinks: snapshot, watch and re-list joined.
 *
 * Owns:       the view of what was last told to the sink, by path; the faults of stored but invalid resources.
 * Takes in:   a Datastore. Gives out: Updates (present values, null for absent or invalid), the resources themselves to who
 *             wants them too, and the sync status.
 * Invariants: the stream converges to the store's state; loss of the store tells the sink nothing but `resync`;
 *             a path is told absent only when a delete event or a full snapshot says so; a revision never goes back.
 * Next:       model/updates.ts converts one resource, calc/graph.ts consumes, agent/main.ts runs it.
 */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type {
  Datastore,
  ResourceChange,
  Stored,
  Syncer,
  SyncerSink,
  WatchEvent,
} from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import { AppError, type Fault } from '../lib/errors.ts';
import { builtinUpdates } from '../model/builtin.ts';
import { keyPath } from '../model/kinds.ts';
import type { ResourceKey, Update } from '../model/types.ts';
import { updatesOf } from '../model/updates.ts';

export interface SyncerOptions {
  /** Called with what is wrong with a stored resource, and with no faults once it is valid or gone. */
  readonly onFaults?: (key: ResourceKey, faults: readonly Fault[]) => void;
  /** Called when the store cannot be used and how long we wait, so that status can say so. */
  readonly onUnavailable?: (error: AppError, retryMs: number) => void;
  /** Called with the revision up to which the sink was told. */
  readonly onRevision?: (revision: Revision) => void;
  /** Between 0 and 1. @defaultValue Math.random */
  readonly random?: () => number;
}

const firstRetryMs = 100;
const lastRetryMs = 10_000;
/** Objects converted in one turn of the event loop: about 10 ms of policies of five rules each. */
const portion = 128;

export class StoreSyncer implements Syncer {
  readonly #store: Datastore;
  readonly #options: SyncerOptions;
  /** By the resource's path: its key, for the updates that undo it. */
  #known = new Map<string, ResourceKey>();

  constructor(store: Datastore, options: SyncerOptions = {}) {
    this.#store = store;
    this.#options = options;
  }

  async run(sink: SyncerSink, signal: AbortSignal): Promise<void> {
    sink.onStatus('wait-for-ready');
    sink.onUpdates(builtinUpdates());
    for (let retryMs = firstRetryMs; !signal.aborted; retryMs = Math.min(retryMs * 2, lastRetryMs)) {
      try {
        await this.#listAndWatch(sink, signal, () => {
          retryMs = firstRetryMs;
        });
      } catch (error) {
        await this.#recover(error, retryMs, signal);
      }
    }
  }

  async #listAndWatch(sink: SyncerSink, signal: AbortSignal, onInSync: () => void): Promise<void> {
    const { items, revision } = await this.#store.snapshot();
    sink.onStatus('resync');
    await this.#replace(items, sink);
    sink.onStatus('in-sync');
    this.#options.onRevision?.(revision);
    onInSync();
    for await (const events of this.#store.watch(revision, signal)) this.#advance(events, sink);
  }

  /** In portions: checking a hundred thousand objects takes seconds, in which health and graph want their turns. */
  async #replace(items: readonly Stored[], sink: SyncerSink): Promise<void> {
    const present = new Map(items.map((item) => [keyPath(item.key) as string, item.key]));
    const gone = [...this.#known].filter(([path]) => !present.has(path)).map(([, key]) => key);
    this.#known = present;
    this.#tell(
      gone.map((key) => ({ key, resource: null })),
      sink,
    );
    for (let at = 0; at < items.length; at += portion) {
      this.#tell(items.slice(at, at + portion), sink);
      await turn();
    }
  }

  #advance(events: readonly WatchEvent[], sink: SyncerSink): void {
    const changes = events.flatMap((event) => this.#changeOf(event));
    if (changes.length > 0) this.#tell(changes, sink);
    const last = events.at(-1);
    if (last) this.#options.onRevision?.(last.type === 'put' ? last.stored.revision : last.revision);
  }

  #changeOf(event: WatchEvent): readonly ResourceChange[] {
    if (event.type === 'bookmark') return [];
    if (event.type === 'delete') {
      this.#known.delete(keyPath(event.key));
      return [{ key: event.key, resource: null }];
    }
    this.#known.set(keyPath(event.stored.key), event.stored.key);
    return [event.stored];
  }

  #tell(changes: readonly ResourceChange[], sink: SyncerSink): void {
    sink.onResources?.(changes);
    const updates = changes.flatMap((change) => this.#updatesOf(change));
    if (updates.length > 0) sink.onUpdates(updates);
  }

  #updatesOf({ key, resource }: ResourceChange): readonly Update[] {
    const { updates, faults } = updatesOf(key, resource);
    this.#options.onFaults?.(key, faults);
    return updates;
  }

  /** A gone revision asks for a new list at once; an unreachable store for patience, spread so that nodes do not march in step. */
  async #recover(error: unknown, retryMs: number, signal: AbortSignal): Promise<void> {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'REVISION_GONE' || signal.aborted) return;
    const waitMs = retryMs * (0.5 + (this.#options.random ?? Math.random)());
    this.#options.onUnavailable?.(error, waitMs);
    await delay(waitMs, undefined, { signal }).catch(() => {}); // an abort only ends the wait
  }
}
