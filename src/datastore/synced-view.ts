// SPDX-License-Identifier: Apache-2.0
/**
 * What the sink was told, by path, and at which revision: the fence that lets no object go back.
 *
 * Owns:       the key and revision of every object told as present; what was deleted while an audit reads.
 * Takes in:   events and indexes. Gives out: which of them are news.
 * Invariants: a put or delete older than what was told is none. An object is missing only when an index that is as late
 *             as the object lacks it.
 */
import type { Index, Indexed } from '../contract/datastore.ts';
import { parsePosition, partOf } from '../contract/revision.ts';
import type { KeyPath, Revision } from '../lib/brand.ts';
import { keyPath } from '../model/kinds.ts';
import type { ResourceKey, ResourceKind } from '../model/types.ts';

interface Known {
  readonly key: ResourceKey;
  /** -1: of a history that is over (the store was restored), so anything is news. */
  readonly revision: bigint;
}

/** Below everything known: an index that does not speak of a kind (not served for now) says nothing of its objects. */
const unlisted = -2n;

/** What an index shows that the sink does not know. */
export interface Difference {
  /** Not told, or told as of an older revision. */
  readonly behind: readonly Indexed[];
  /** Told as present, and gone. */
  readonly missing: readonly ResourceKey[];
}

/** Objects compared in one turn of the event loop: a few milliseconds. */
const portion = 2048;

export class SyncedView {
  readonly #known = new Map<KeyPath, Known>();
  readonly #counts = new Map<ResourceKind, number>();
  /** Deletions since the list that is being read; null when none is. */
  #deleted: Map<KeyPath, bigint> | null = null;

  get size(): number {
    return this.#known.size;
  }

  countOf(kind: ResourceKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** @returns whether it is news. */
  put({ key, revision }: Indexed): boolean {
    const path = keyPath(key);
    const number = numberOf(revision);
    const known = this.#known.get(path);
    if ((known && known.revision > number) || (this.#deleted?.get(path) ?? -1n) > number) return false;
    if (!known) this.#count(key.kind, 1);
    this.#known.set(path, { key, revision: number });
    return true;
  }

  /** @returns whether it is news: an object told as present, not written since. */
  delete(key: ResourceKey, revision: Revision): boolean {
    const path = keyPath(key);
    const number = numberOf(revision);
    this.#deleted?.set(path, number);
    const known = this.#known.get(path);
    if (!known || known.revision > number) return false;
    this.#forget(path, key.kind);
    return true;
  }

  /** Of what `differenceTo` found missing. */
  forget(key: ResourceKey): void {
    const path = keyPath(key);
    if (this.#known.has(path)) this.#forget(path, key.kind);
  }

  /**
   * What is told while it is being found out is newer than the index, and in no difference.
   *
   * @param pause - gives others their turn: a hundred thousand objects take a fifth of a second.
   */
  async differenceTo({ items, revision }: Index, pause: () => Promise<void>): Promise<Difference> {
    const present = new Set<KeyPath>();
    const behind: Indexed[] = [];
    const position = parsePosition(revision) ?? -1n;
    for (const [i, item] of items.entries()) {
      const path = keyPath(item.key);
      present.add(path);
      this.#forgetOtherHistory(path, item, partOf(position, item.key.kind) ?? -1n);
      if (this.#isNews(path, numberOf(item.revision))) behind.push(item);
      if (i % portion === portion - 1) await pause();
    }
    return { behind, missing: await this.#missing(present, revision, pause) };
  }

  async #missing(
    present: ReadonlySet<KeyPath>,
    revision: Revision,
    pause: () => Promise<void>,
  ): Promise<readonly ResourceKey[]> {
    const position = parsePosition(revision) ?? -1n;
    const missing: ResourceKey[] = [];
    let looked = 0;
    for (const [path, { key, revision: known }] of this.#known) {
      if (!present.has(path) && known <= (partOf(position, key.kind) ?? unlisted)) missing.push(key);
      if (++looked % portion === 0) await pause();
    }
    return missing;
  }

  /** From now on the store counts revisions anew: what is known says nothing of what is older. */
  startNewHistory(): void {
    for (const [path, { key }] of this.#known) this.#known.set(path, { key, revision: -1n });
  }

  /** Until disposed of, deletions are remembered: a list that was read before them would bring the objects back. One at a time. */
  rememberDeletions(): Disposable {
    this.#deleted = new Map();
    return {
      [Symbol.dispose]: () => {
        this.#deleted = null;
      },
    };
  }

  /**
   * A list that is as late as what we know of an object, and shows it older, is of another history: the store was
   * restored, and written past its old revision before we looked. Not every store can tell (Kubernetes has no cluster id).
   */
  #forgetOtherHistory(path: KeyPath, { key, revision }: Indexed, listedAt: bigint): void {
    const known = this.#known.get(path);
    if (known && known.revision <= listedAt && numberOf(revision) < known.revision)
      this.#known.set(path, { key, revision: -1n });
  }

  #isNews(path: KeyPath, revision: bigint): boolean {
    const known = this.#known.get(path);
    if (known) return known.revision < revision;
    return (this.#deleted?.get(path) ?? -1n) < revision;
  }

  #forget(path: KeyPath, kind: ResourceKind): void {
    this.#known.delete(path);
    this.#count(kind, -1);
  }

  #count(kind: ResourceKind, by: number): void {
    this.#counts.set(kind, this.countOf(kind) + by);
  }
}

/** What is no number has no order: it is taken as news. */
function numberOf(revision: Revision): bigint {
  return /^\d{1,20}$/.test(revision) ? BigInt(revision) : -1n;
}
