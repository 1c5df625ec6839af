// SPDX-License-Identifier: Apache-2.0
/**
 * The seam between whatever keeps the cluster's state (tier 1's stores) and all who read or write it.
 *
 * Owns:       Datastore (resources by key, compare-and-swap, watch) and Syncer (one converging stream for the graph).
 * Invariants: a revision is opaque; a watch from a revision gives every later change of the kind, in order per key.
 *             Loss of the store is an UnavailableError here and nothing elsewhere: no one clears state because of it.
 * Next:       datastore/embedded/store.ts keeps it in SQLite, datastore/syncer.ts joins list and watch.
 */
import type { Revision } from '../lib/brand.ts';
import type { Resource, ResourceKey, ResourceKind, Update } from '../model/types.ts';

/** A resource and the revision at which it was last written (also in metadata.resourceVersion). */
export interface Stored {
  readonly key: ResourceKey;
  readonly resource: Resource;
  readonly revision: Revision;
}

/**
 * @throws {NotFoundError} {AlreadyExistsError} {ConflictError} {UnavailableError}; lib/errors.ts says what each asks of
 * the caller.
 */
export interface Datastore extends AsyncDisposable {
  get(key: ResourceKey): Promise<Stored>;
  list(kind: ResourceKind, namespace?: string): Promise<{ items: readonly Stored[]; revision: Revision }>;
  /** Every kind, as one consistent snapshot. */
  snapshot(): Promise<{ items: readonly Stored[]; revision: Revision }>;
  create(key: ResourceKey, resource: Resource): Promise<Stored>;
  /** Compare-and-swap: succeeds only while the stored revision is `ifRevision`. */
  update(key: ResourceKey, resource: Resource, ifRevision: Revision): Promise<Stored>;
  delete(key: ResourceKey, ifRevision?: Revision): Promise<void>;
  /** All or nothing: every write is done, in one transaction and in this order, or none is. */
  writeAll(writes: readonly Write[]): Promise<readonly Stored[]>;
  /**
   * Every change of any kind after `from`, then bookmarks as the store moves on. Ends when `signal` aborts.
   *
   * @throws {RevisionGoneError} when `from` was compacted away: list again and watch from there.
   */
  watch(from: Revision, signal: AbortSignal): AsyncIterable<readonly WatchEvent[]>;
}

export type Write =
  | { readonly op: 'create'; readonly key: ResourceKey; readonly resource: Resource }
  | {
      readonly op: 'update';
      readonly key: ResourceKey;
      readonly resource: Resource;
      readonly ifRevision: Revision;
    }
  | { readonly op: 'delete'; readonly key: ResourceKey; readonly ifRevision?: Revision };

export type WatchEvent =
  | { readonly type: 'put'; readonly stored: Stored }
  | { readonly type: 'delete'; readonly key: ResourceKey; readonly revision: Revision }
  | { readonly type: 'bookmark'; readonly revision: Revision };

/** What a key holds now; null: nothing. Not a history, and trusted for nothing: it may be invalid. */
export interface ResourceChange {
  readonly key: ResourceKey;
  readonly resource: Resource | null;
}

export type SyncStatus = 'wait-for-ready' | 'resync' | 'in-sync';

/** List, watch and re-list joined into one stream that converges; it may skip or repeat states. */
export interface Syncer {
  run(sink: SyncerSink, signal: AbortSignal): Promise<void>;
}

export interface SyncerSink {
  /** What is stored itself, before the Updates that it becomes: for whoever reads more of it than the graph does. */
  onResources?(changes: readonly ResourceChange[]): void;
  onUpdates(updates: readonly Update[]): void;
  onStatus(status: SyncStatus): void;
}
