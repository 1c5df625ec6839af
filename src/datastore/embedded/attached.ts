// SPDX-License-Identifier: Apache-2.0
/**
 * The embedded store as its readers need it: they come and go, the file does too, and neither may end the other.
 *
 * Owns:       which file stands behind the path now. Takes in: a path. Gives out: the store of embedded/store.ts.
 * Invariants: a missing file is an UnavailableError and is never made: an empty store in its place would read as
 *             "everything was deleted". A file that went, or that another took the place of, is noticed and let go of.
 */
import { statSync } from 'node:fs';
import type { Datastore, Index, Listed, Stored, WatchEvent, Write } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { HistoryReplacedError, UnavailableError } from '../../lib/errors.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';
import { EmbeddedStore } from './store.ts';

/** SQLite tells nobody that its file was moved away: it goes on with the one that it has open. */
const lookMs = 500;

interface Attachment {
  readonly store: EmbeddedStore;
  /** Device and inode. */
  readonly identity: string;
}

export class AttachedStore implements Datastore {
  readonly writesAtomically = true;
  readonly history = null;
  readonly #file: string;
  #attachment: Attachment | null = null;
  /** Of the last watch: whoever goes on in another file goes on in another history. */
  #watched: string | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  async get(key: ResourceKey): Promise<Stored> {
    return (await this.#attached()).store.get(key);
  }

  async list(kind: ResourceKind, namespace?: string): Promise<Listed> {
    return (await this.#attached()).store.list(kind, namespace);
  }

  async snapshot(): Promise<Listed> {
    return (await this.#attached()).store.snapshot();
  }

  async index(): Promise<Index> {
    return (await this.#attached()).store.index();
  }

  async position(): Promise<Revision> {
    return (await this.#attached()).store.position();
  }

  async create(key: ResourceKey, resource: Resource): Promise<Stored> {
    return (await this.#attached()).store.create(key, resource);
  }

  async update(key: ResourceKey, resource: Resource, ifRevision: Revision): Promise<Stored> {
    return (await this.#attached()).store.update(key, resource, ifRevision);
  }

  async delete(key: ResourceKey, ifRevision?: Revision): Promise<void> {
    await (await this.#attached()).store.delete(key, ifRevision);
  }

  async writeAll(writes: readonly Write[]): Promise<readonly Stored[]> {
    return (await this.#attached()).store.writeAll(writes);
  }

  async *watch(from: Revision, signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    const { store, identity } = await this.#attached();
    const before = this.#watched ?? identity;
    this.#watched = identity;
    if (before !== identity) throw this.#replaced();
    const lost = new AbortController();
    const look = setInterval(() => {
      if (this.#identity() !== identity) lost.abort();
    }, lookMs);
    try {
      yield* store.watch(from, AbortSignal.any([signal, lost.signal]));
    } finally {
      clearInterval(look);
    }
    if (!signal.aborted) throw this.#lossOf(identity);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#attachment?.store[Symbol.asyncDispose]();
    this.#attachment = null;
  }

  /** @throws {UnavailableError} */
  async #attached(): Promise<Attachment> {
    const identity = this.#identity();
    if (identity === null) throw new UnavailableError(`datastore ${this.#file} is not there`);
    if (this.#attachment?.identity === identity) return this.#attachment;
    const before = this.#attachment;
    // at once, not after the other was closed: many may ask in one turn
    const attachment = { store: new EmbeddedStore(this.#file), identity };
    this.#attachment = attachment;
    await before?.store[Symbol.asyncDispose]();
    return attachment;
  }

  #lossOf(identity: string): UnavailableError | HistoryReplacedError {
    const now = this.#identity();
    if (now !== null && now !== identity) return this.#replaced();
    return new UnavailableError(`datastore ${this.#file}: the file went`);
  }

  #replaced(): HistoryReplacedError {
    return new HistoryReplacedError(`datastore ${this.#file}: another file took its place`);
  }

  #identity(): string | null {
    const found = statSync(this.#file, { throwIfNoEntry: false });
    return found ? `${found.dev} ${found.ino}` : null;
  }
}
