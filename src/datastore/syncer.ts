// SPDX-License-Identifier: Apache-2.0
/**
 * Turns any Datastore into the one stream that the calculation graph drinks: list, watch and audit joined.
 *
 * Owns:       when to list, to watch, to look again and to wait; the faults of stored but invalid resources.
 * Takes in:   a Datastore. Gives out: Updates (present values, null for absent or invalid), the resources themselves to who
 *             wants them too, and the sync status.
 * Invariants: the stream converges to the store's state; loss of the store tells the sink nothing but `resync`; an object
 *             never goes back to an older revision; it is told absent only when a delete event or a full list says so, and
 *             a list that lacks very many of them is not believed until somebody confirms. There is one list at a time.
 * Next:       synced-view.ts is the fence, mass-deletion.ts the hold; model/updates.ts converts one resource, calc/graph.ts
 *             consumes, agent/main.ts runs it.
 */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type {
  Datastore,
  Index,
  ResourceChange,
  Stored,
  Syncer,
  SyncerSink,
  WatchEvent,
} from '../contract/datastore.ts';
import { goesBack, later } from '../contract/revision.ts';
import type { Revision } from '../lib/brand.ts';
import { AppError, type Fault, HistoryReplacedError, UnavailableError } from '../lib/errors.ts';
import { Notice } from '../lib/notice.ts';
import { builtinUpdates } from '../model/builtin.ts';
import { keyPath } from '../model/kinds.ts';
import type { ResourceKey, Update } from '../model/types.ts';
import { updatesOf } from '../model/updates.ts';
import { type HeldDeletion, MassDeletion, type MassDeletionOptions } from './mass-deletion.ts';
import { SyncedView } from './synced-view.ts';

export interface SyncerOptions extends MassDeletionOptions {
  /** Called with what is wrong with a stored resource, and with no faults once it is valid or gone. */
  readonly onFaults?: (key: ResourceKey, faults: readonly Fault[]) => void;
  /** Called when the store cannot be used and how long we wait, so that status can say so. */
  readonly onUnavailable?: (error: AppError, retryMs: number) => void;
  /** Called with the position up to which the sink was told. */
  readonly onRevision?: (revision: Revision) => void;
  /** Called after each audit with how many objects the watch had not told as they are: 0, or something is wrong. */
  readonly onAudit?: (repaired: number) => void;
  /** Called with the deletions that are not believed; empty once they are confirmed or the objects are back. */
  readonly onHeld?: (held: readonly HeldDeletion[]) => void;
  /** How often the watch is checked against a full list. @defaultValue 60,000 ms */
  readonly auditMs?: number;
  /** Between 0 and 1. @defaultValue Math.random */
  readonly random?: () => number;
}

const firstRetryMs = 100;
/** Half of it to one and a half: a store that comes back after long is in force within 3 s (D1), and asked seldom meanwhile. */
const lastRetryMs = 2000;
/** A watch that told nothing and stood so long works. */
const standsMs = 5000;
/** An audit on demand waits for the last one at least so long: many may ask at once. */
const auditPauseMs = 250;
/** Objects converted in one turn of the event loop: about 10 ms of policies of five rules each. */
const portion = 128;
/** More missed objects than these are read with one list, fewer one by one. */
const fewObjects = 64;
/** An older state than one seen before comes from a replica that lags, at first; after so many lists it is the truth. */
const staleLists = 6;

export class StoreSyncer implements Syncer {
  readonly #store: Datastore;
  readonly #options: SyncerOptions;
  readonly #view = new SyncedView();
  readonly #massDeletion: MassDeletion;
  readonly #auditWanted = new Notice();
  #isAuditWanted = false;
  /** Of the sink; null before the first list. */
  #position: Revision | null = null;
  /** One after another, as they came. */
  #staleLists = 0;
  #listing: Promise<unknown> = Promise.resolve();

  constructor(store: Datastore, options: SyncerOptions = {}) {
    this.#store = store;
    this.#options = options;
    this.#massDeletion = new MassDeletion(options);
  }

  async run(sink: SyncerSink, signal: AbortSignal): Promise<void> {
    sink.onStatus('wait-for-ready');
    sink.onUpdates(builtinUpdates());
    let retryMs = firstRetryMs;
    let wasGone = false;
    const onHeard = () => {
      retryMs = firstRetryMs;
      wasGone = false;
    };
    while (!signal.aborted) {
      try {
        await this.#listAndFollow(sink, signal, onHeard);
      } catch (error) {
        const isFirst: boolean = this.#isGone(error) && !wasGone;
        wasGone = wasGone || isFirst;
        if (isFirst) continue;
        await this.#pause(error as AppError, retryMs, signal);
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      }
    }
  }

  /** Looks now: for whoever waits for a position that a quiet watch does not tell. */
  audit(): void {
    this.#isAuditWanted = true;
    this.#auditWanted.ring();
  }

  /** The deletions that are held are meant: they are told with the next list, which this asks for. */
  confirmDeletions(): void {
    this.#massDeletion.confirm();
    this.audit();
  }

  /** @param onHeard - the watch works: it told something, or stood for a while. */
  async #listAndFollow(sink: SyncerSink, signal: AbortSignal, onHeard: () => void): Promise<void> {
    await this.#alone(() => this.#reconcile(sink, true, signal));
    sink.onStatus('in-sync');
    const over = new AbortController();
    const end = () => over.abort();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const standing = setTimeout(onHeard, standsMs);
    try {
      await Promise.all([
        this.#follow(sink, over.signal, onHeard).finally(end),
        this.#keepAuditing(sink, over.signal, signal),
      ]);
    } finally {
      clearTimeout(standing);
      signal.removeEventListener('abort', end);
    }
  }

  async #follow(sink: SyncerSink, signal: AbortSignal, onHeard: () => void): Promise<void> {
    const from = this.#position ?? ('0' as Revision);
    for await (const events of this.#store.watch(from, signal)) {
      onHeard();
      this.#advance(events, sink);
    }
  }

  async #keepAuditing(sink: SyncerSink, signal: AbortSignal, stop: AbortSignal): Promise<void> {
    const { auditMs = 60_000, random = Math.random } = this.#options;
    while (!signal.aborted) {
      const timer = setTimeout(() => this.#auditWanted.ring(), auditMs * (0.75 + random() / 2));
      if (!this.#isAuditWanted) await this.#auditWanted.next(signal);
      clearTimeout(timer);
      if (signal.aborted) return;
      this.#isAuditWanted = false;
      await this.#audit(sink, stop);
      await delay(auditPauseMs, undefined, { signal }).catch(() => {}); // an abort only ends the wait
    }
  }

  /** Whether the store can be used, the watch finds out: an audit that cannot be done is left out. */
  async #audit(sink: SyncerSink, stop: AbortSignal): Promise<void> {
    try {
      const repaired = await this.#alone(() => this.#reconcile(sink, false, stop)); // also where nobody wants to hear of it
      this.#options.onAudit?.(repaired);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
    }
  }

  /** An audit that the loss of the watch left behind ends before the next list begins. */
  #alone<T>(list: () => Promise<T>): Promise<T> {
    const mine = this.#listing.then(list, list);
    this.#listing = mine.catch(() => {});
    return mine;
  }

  /**
   * Makes the sink agree with a full list. Changes told by the watch meanwhile are newer than the list, and stay.
   *
   * @param anew - the watch begins after it: the sink hears `resync` though nothing may have changed.
   * @returns how many objects were not as the sink knew them.
   * @throws {UnavailableError} at once when `stop` aborts, before the sink hears of anything.
   */
  async #reconcile(sink: SyncerSink, anew: boolean, stop: AbortSignal): Promise<number> {
    using _ = this.#view.rememberDeletions();
    const index = await unlessStopped(this.#index(), stop);
    this.#wantNotOlder(index.revision, anew);
    const { behind, missing } = await this.#view.differenceTo(index, turn);
    const keys = behind.map(({ key }) => key);
    const found = await unlessStopped(this.#read(keys, index), stop);
    const gone = this.#massDeletion.allowed(missing, (kind) => this.#view.countOf(kind));
    this.#options.onHeld?.(this.#massDeletion.held);
    if (anew || found.length + gone.length > 0) sink.onStatus('resync');
    this.#tellGone(gone, sink);
    await this.#tellFound(found, sink);
    if (!anew && found.length + gone.length > 0) sink.onStatus('in-sync');
    this.#moveTo(index.revision);
    return found.length + gone.length;
  }

  async #index(): Promise<Index | { readonly items: readonly Stored[]; readonly revision: Revision }> {
    const { index } = this.#store;
    return this.#view.size === 0 || !index ? this.#store.snapshot() : index.call(this.#store);
  }

  /**
   * A store restored from a backup counts again from an older revision; a replica that lags behind answers one for a
   * while. The second must not take objects back, and only time tells them apart (etcd #5173). While a watch stands, the
   * watch is right.
   *
   * @throws {UnavailableError}
   */
  #wantNotOlder(revision: Revision, anew: boolean): void {
    if (this.#position === null || !goesBack(revision, this.#position)) {
      this.#staleLists = 0;
      return;
    }
    if (!anew || ++this.#staleLists < staleLists)
      throw new UnavailableError(
        `the datastore answers an older state: got ${revision}, want ${this.#position} or later`,
      );
    this.#startNewHistory();
  }

  #startNewHistory(): void {
    this.#staleLists = 0;
    this.#position = null;
    this.#view.startNewHistory();
  }

  /** In one list when they are many; what went since is told by the watch, or found by the next audit. */
  async #read(keys: readonly ResourceKey[], index: Index): Promise<readonly Stored[]> {
    const listed = index.items as readonly (Index['items'][number] | Stored)[];
    const wanted = new Set(keys.map(keyPath));
    const has = (items: typeof listed) =>
      items.filter((item): item is Stored => 'resource' in item && wanted.has(keyPath(item.key)));
    if (keys.length === 0 || listed.some((item) => 'resource' in item)) return has(listed);
    if (keys.length > fewObjects) return has((await this.#store.snapshot()).items);
    return (await Promise.all(keys.map((key) => this.#readOne(key)))).flat();
  }

  async #readOne(key: ResourceKey): Promise<readonly Stored[]> {
    try {
      return [await this.#store.get(key)];
    } catch (error) {
      if (error instanceof AppError && error.code === 'NOT_FOUND') return [];
      throw error;
    }
  }

  #tellGone(keys: readonly ResourceKey[], sink: SyncerSink): void {
    for (const key of keys) this.#view.forget(key);
    this.#tell(
      keys.map((key) => ({ key, resource: null })),
      sink,
    );
  }

  /** In portions: checking a hundred thousand objects takes seconds, in which health and graph want their turns. */
  async #tellFound(items: readonly Stored[], sink: SyncerSink): Promise<void> {
    for (let at = 0; at < items.length; at += portion) {
      const news = items.slice(at, at + portion).filter((item) => this.#view.put(item));
      this.#tell(news, sink);
      await turn();
    }
  }

  #advance(events: readonly WatchEvent[], sink: SyncerSink): void {
    const changes = events.flatMap((event) => this.#changeOf(event));
    if (changes.length > 0) this.#tell(changes, sink);
    const last = events.at(-1);
    if (last?.type === 'bookmark') this.#moveTo(last.revision);
  }

  #moveTo(revision: Revision): void {
    this.#position = this.#position === null ? revision : later(this.#position, revision);
    this.#options.onRevision?.(this.#position);
  }

  #changeOf(event: WatchEvent): readonly ResourceChange[] {
    if (event.type === 'bookmark') return [];
    if (event.type === 'put') return this.#view.put(event.stored) ? [event.stored] : [];
    const { key, revision } = event;
    return this.#view.delete(key, revision) ? [{ key, resource: null }] : [];
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

  /** A new list is asked for, at once: but not time and again, by a store whose watches never stand. */
  #isGone(error: unknown): boolean {
    if (!(error instanceof AppError)) throw error;
    if (error instanceof HistoryReplacedError) this.#startNewHistory();
    return error.code === 'REVISION_GONE';
  }

  /** An unreachable store asks for patience, spread so that nodes do not march in step. */
  async #pause(error: AppError, retryMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const waitMs = retryMs * (0.5 + (this.#options.random ?? Math.random)());
    this.#options.onUnavailable?.(error, waitMs);
    await delay(waitMs, undefined, { signal }).catch(() => {}); // an abort only ends the wait
  }
}

/** Who stops does not wait for a store that does not answer. */
function unlessStopped<T>(answer: Promise<T>, stop: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const onStop = () => stopped.reject(new UnavailableError('stopped'));
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  return Promise.race([answer, stopped.promise]).finally(() => stop.removeEventListener('abort', onStop));
}
