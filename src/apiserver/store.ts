// SPDX-License-Identifier: Apache-2.0
/**
 * What the server keeps: objects in collections, one rising revision over all of them, and the changes since a while.
 *
 * Invariants: a change is in the journal before anyone sees it; followers hear changes in order, within the write.
 */

import { Journal } from './journal.ts';
import { withMetadata } from './object-meta.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import { SortedNames } from './sorted-names.ts';

export interface Change {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** `group/plural`. */
  readonly collection: string;
  /** `namespace/name`, or the name alone. */
  readonly key: string;
  /** As it is now; what has gone, as it was last, at the revision of its end. */
  readonly object: ApiObject;
  readonly previous: ApiObject | null;
}

export type Follower = (change: Change) => void;

export interface StoreOptions {
  /** Keeps a journal there; without one nothing outlives the process. */
  readonly folder?: string;
  /** So many changes are remembered for watches; older ones are compacted away. */
  readonly history?: number;
}

interface Collection {
  readonly objects: Map<string, ApiObject>;
  readonly names: SortedNames;
  changes: Change[];
  readonly followers: Set<Follower>;
}

const defaultHistory = 50_000;

/** As etcd's --max-request-bytes. */
const largestObject = 1.5 * (1 << 20);

function tooLarge(): ApiError {
  return new ApiError(500, undefined, 'etcdserver: request is too large');
}

export class ApiStore {
  readonly #collections = new Map<string, Collection>();
  readonly #everywhere = new Set<Follower>();
  readonly #journal: Journal | null;
  readonly #history: number;
  #revision = 1;
  #compacted = 0;
  #remembered = 0;

  constructor({ folder, history = defaultHistory }: StoreOptions = {}) {
    this.#history = history;
    this.#journal = folder === undefined ? null : new Journal(folder);
    this.#journal?.load({
      start: (revision) => {
        this.#revision = revision;
        this.#compacted = revision;
      },
      entry: (revision, collection, key, object) => this.#apply(revision, collection, key, object),
    });
  }

  get revision(): number {
    return this.#revision;
  }

  /** What happened up to here is forgotten: it can be neither watched nor listed. */
  get compactedRevision(): number {
    return this.#compacted;
  }

  get(collection: string, key: string): ApiObject | null {
    return this.#collections.get(collection)?.objects.get(key) ?? null;
  }

  /** By namespace and name. @param namespace - '' for all */
  list(collection: string, namespace = ''): readonly ApiObject[] {
    const found = this.#collections.get(collection);
    if (!found) return [];
    return found.names.under(namespace).flatMap((key) => found.objects.get(key) ?? []);
  }

  /** As it was at `revision`, which is not compacted. */
  listAt(collection: string, namespace: string, revision: number): readonly ApiObject[] {
    const found = this.#collections.get(collection);
    const later = this.changesAfter(collection, revision);
    if (!found || later.length === 0) return this.list(collection, namespace);
    const then = new Map(found.objects);
    for (const { key, previous } of later.toReversed()) {
      if (previous) then.set(key, previous);
      else then.delete(key);
    }
    return new SortedNames(then.keys()).under(namespace).flatMap((key) => then.get(key) ?? []);
  }

  /** The revision of the last change of that collection. */
  lastChange(collection: string): number {
    return this.#collections.get(collection)?.changes.at(-1)?.revision ?? this.#compacted;
  }

  changesAfter(collection: string, revision: number): readonly Change[] {
    const changes = this.#collections.get(collection)?.changes ?? [];
    let low = 0;
    for (let high = changes.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((changes[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return changes.slice(low);
  }

  /** @returns the object as stored, with its revision. @throws {ApiError} 500 above 1.5 MiB */
  put(collection: string, key: string, object: ApiObject): ApiObject {
    const revision = this.#revision + 1;
    const stored = withMetadata(object, { resourceVersion: String(revision) });
    const text = JSON.stringify(stored);
    if (Buffer.byteLength(text) > largestObject) throw tooLarge();
    this.#journal?.append(revision, collection, key, text);
    this.#tell(this.#apply(revision, collection, key, stored));
    return stored;
  }

  /** @returns the object as it was last, at the revision of its end; null: there was none. */
  delete(collection: string, key: string): ApiObject | null {
    if (!this.get(collection, key)) return null;
    const revision = this.#revision + 1;
    this.#journal?.append(revision, collection, key, 'null');
    const change = this.#apply(revision, collection, key, null);
    this.#tell(change);
    return change.object;
  }

  /** @returns what ends it. */
  follow(collection: string, follower: Follower): () => void {
    const { followers } = this.#collection(collection);
    followers.add(follower);
    return () => followers.delete(follower);
  }

  followAll(follower: Follower): () => void {
    this.#everywhere.add(follower);
    return () => this.#everywhere.delete(follower);
  }

  /** Forgets the changes up to `revision`. */
  compact(revision: number = this.#revision): void {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#revision));
    this.#remembered = 0;
    for (const [name, collection] of this.#collections) {
      collection.changes = [...this.changesAfter(name, this.#compacted)];
      this.#remembered += collection.changes.length;
    }
  }

  close(): void {
    this.#journal?.close();
  }

  #collection(name: string): Collection {
    const found = this.#collections.get(name);
    if (found) return found;
    const made = {
      objects: new Map<string, ApiObject>(),
      names: new SortedNames([]),
      changes: [],
      followers: new Set<Follower>(),
    };
    this.#collections.set(name, made);
    return made;
  }

  #apply(revision: number, name: string, key: string, stored: ApiObject | null): Change {
    const collection = this.#collection(name);
    const previous = collection.objects.get(key) ?? null;
    const change = changeOf(revision, name, key, previous, stored);
    if (stored) collection.objects.set(key, stored);
    else collection.objects.delete(key);
    if (!previous) collection.names.add(key);
    if (!stored) collection.names.delete(key);
    this.#remember(collection, change);
    return change;
  }

  #remember(collection: Collection, change: Change): void {
    // what a rewritten journal begins with is older than its first line
    if (change.revision <= this.#compacted) return;
    this.#revision = change.revision;
    collection.changes.push(change);
    if (++this.#remembered > this.#history) this.compact(this.#revision - Math.ceil(this.#history / 2));
  }

  #tell(change: Change): void {
    for (const follower of [...(this.#collections.get(change.collection)?.followers ?? [])]) follower(change);
    for (const follower of [...this.#everywhere]) follower(change);
    this.#rewriteJournal();
  }

  #rewriteJournal(): void {
    if (!this.#journal?.isLarge) return;
    const all = [...this.#collections].flatMap(([name, { objects }]) =>
      [...objects].map(([key, object]) => ({ collection: name, key, object })),
    );
    this.#journal.rewrite(this.#revision, all);
  }
}

function changeOf(
  revision: number,
  collection: string,
  key: string,
  previous: ApiObject | null,
  stored: ApiObject | null,
): Change {
  if (stored) {
    const type = previous ? 'MODIFIED' : 'ADDED';
    return { revision, type, collection, key, object: stored, previous };
  }
  if (!previous) throw new RangeError(`cannot delete ${collection} ${key}: there is none`);
  const object = withMetadata(previous, { resourceVersion: String(revision) });
  return { revision, type: 'DELETED', collection, key, object, previous };
}
