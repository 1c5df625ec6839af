// SPDX-License-Identifier: Apache-2.0
/**
 * The seam between whatever keeps the cluster's state (tier 1's stores) and all who read or write it.
 *
 * Owns:       Datastore (resources by key, compare-and-swap, watch) and Syncer (one converging stream for the graph).
 * Invariants: a revision is opaque, but for revision.ts, which tells whether one position has reached another; a watch
 *             from a position gives every later change, in order per key.
 *             Loss of the store is an UnavailableError here and nothing elsewhere: no one clears state because of it.
 * Next:       revision.ts; datastore/embedded/store.ts keeps it in SQLite, datastore/etcd/store.ts in etcd,
 *             datastore/kubernetes/store.ts in a Kubernetes API; datastore/syncer.ts joins list and watch.
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
  /** What is written in one `writeAll` is seen by no one in part. Where false (Kubernetes), see `writeAll`. */
  readonly writesAtomically: boolean;
  /** What was, and who changed it; null where the back end keeps none. */
  readonly history: History | null;
  get(key: ResourceKey): Promise<Stored>;
  /** By namespace, then name. `revision` is the position of the list: a watch goes on from there. */
  list(kind: ResourceKind, namespace?: string): Promise<Listed>;
  /** Every kind; consistent as a whole where `writesAtomically`, else within each kind. */
  snapshot(): Promise<Listed>;
  /** What `snapshot` would list, without the resources: enough to find what a reader missed. */
  index?(): Promise<Index>;
  /** The position at which a watcher has heard all that was written to these kinds before the call. */
  position(kinds: readonly ResourceKind[]): Promise<Revision>;
  create(key: ResourceKey, resource: Resource): Promise<Stored>;
  /** Compare-and-swap: succeeds only while the stored revision is `ifRevision`. */
  update(key: ResourceKey, resource: Resource, ifRevision: Revision): Promise<Stored>;
  delete(key: ResourceKey, ifRevision?: Revision): Promise<void>;
  /**
   * All or nothing: every write is done, in one transaction and in this order, or none is. A back end without
   * transactions tries each as a dry run before it writes the first.
   *
   * @throws {PartialWriteError} only there, when one was refused in spite of that: says which were done.
   */
  writeAll(writes: readonly Write[]): Promise<readonly Stored[]>;
  /**
   * A dry run of `writeAll`, where the back end has rules of its own (admission, definitions): refuses what that would
   * refuse, as far as it can be told without writing, and answers what would be stored. Absent where there are no such rules.
   */
  tryAll?(writes: readonly Write[]): Promise<readonly Stored[]>;
  /**
   * Every change of any kind after `from`, then bookmarks as the store moves on. A batch ends with a bookmark: the
   * position of whoever has read it; on other events `revision` is the object's. Ends when `signal` aborts.
   *
   * @throws {RevisionGoneError} when `from` was compacted away: list again and watch from there.
   * @throws {HistoryReplacedError} when the store finds out that it answers from another history: the same, and what is listed
   * counts though it is older.
   */
  watch(from: Revision, signal: AbortSignal): AsyncIterable<readonly WatchEvent[]>;
}

/**
 * `isPartial`: the author names the fields that he cares for, and a server that fills others in keeps those (Kubernetes'
 * own kinds; server-side apply). A store that fills nothing in takes it for the whole.
 */
export type Write =
  | {
      readonly op: 'create';
      readonly key: ResourceKey;
      readonly resource: Resource;
      readonly isPartial?: boolean;
    }
  | {
      readonly op: 'update';
      readonly key: ResourceKey;
      readonly resource: Resource;
      readonly ifRevision: Revision;
      readonly isPartial?: boolean;
    }
  | { readonly op: 'delete'; readonly key: ResourceKey; readonly ifRevision?: Revision };

export interface Listed {
  readonly items: readonly Stored[];
  readonly revision: Revision;
}

export interface Index {
  readonly items: readonly Indexed[];
  readonly revision: Revision;
}

export type Indexed = Pick<Stored, 'key' | 'revision'>;

/** What a store remembers of the past, as far back as it keeps it. */
export interface History {
  /** Of one key, oldest first. */
  changes(key: ResourceKey): Promise<readonly PastChange[]>;
  /** The whole as it was. @throws {RevisionGoneError} when it is no longer, or not yet, known. */
  at(point: PointInTime): Promise<Listed>;
}

export type PointInTime = { readonly revision: Revision } | { readonly time: Date };

export interface PastChange {
  readonly revision: Revision;
  readonly time: Date;
  /** Who wrote: `root: muslin apply -f web.yaml`. */
  readonly writer: string;
  /** null: deleted. */
  readonly resource: Resource | null;
}

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
