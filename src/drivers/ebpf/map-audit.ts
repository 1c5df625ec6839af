// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a map still holds what was written to it: no event tells that another process changed one.
 *
 * A small map is looked at as a whole each time, a large one by portions, so that a look costs some milliseconds at most.
 * Reading the map itself finds rows that are new or other; those that are missing are found by number where one portion
 * was all, and else by asking for known keys, some at a time.
 */
import type { MapEntry } from '../../kernel/bpf/map.ts';

/** As much of a BpfMap as is used here. */
export interface ReadableMap {
  chunks(size?: number): Generator<readonly MapEntry[]>;
  get(key: Uint8Array): Uint8Array | null;
}

export interface AuditedRows<V> {
  readonly map: ReadableMap;
  /** What the last apply left there. */
  actual(): ReadonlyMap<string, V>;
  textOf(key: Uint8Array): string;
  keyOf(text: string): Uint8Array;
  same(found: Uint8Array, held: V): boolean;
}

/** Rows of one portion: a batch of them is read in a millisecond. */
const portion = 2048;
/** Known keys asked for at a time, one call each. */
const keysAtOnce = 512;

export class MapAudit<V> {
  readonly #rows: AuditedRows<V>;
  #chunks: Generator<readonly MapEntry[]> | null = null;
  #known: Iterator<readonly [string, V]> | null = null;

  constructor(rows: AuditedRows<V>) {
    this.#rows = rows;
  }

  /** Looks at the next portion. True: read all of it back. */
  differs(): boolean {
    const isWhole = this.#chunks === null;
    this.#chunks ??= this.#rows.map.chunks(portion);
    for (let rows = 0; rows < portion; ) {
      const { value, done } = this.#chunks.next();
      if (done) return this.#endsWith(isWhole ? rows : null);
      if (value.some(([key, found]) => !this.#isKnown(key, found))) return this.#startsAgain(true);
      rows += value.length;
    }
    return this.#misses();
  }

  #isKnown(key: Uint8Array, found: Uint8Array): boolean {
    const held = this.#rows.actual().get(this.#rows.textOf(key));
    return held !== undefined && this.#rows.same(found, held);
  }

  /** @param rows - all that the map holds; null: read in more than one go. */
  #endsWith(rows: number | null): boolean {
    const differs = rows === null ? this.#misses() : rows !== this.#rows.actual().size;
    return this.#startsAgain(differs);
  }

  #startsAgain(differs: boolean): boolean {
    this.#chunks = null;
    return differs;
  }

  /** The iterator of a map goes on when the map changes: what comes is asked for, what went is not. */
  #misses(): boolean {
    this.#known ??= this.#rows.actual().entries();
    for (let i = 0; i < keysAtOnce; i++) {
      const { value, done } = this.#known.next();
      if (done) {
        this.#known = null;
        return false;
      }
      const found = this.#rows.map.get(this.#rows.keyOf(value[0]));
      if (!found || !this.#rows.same(found, value[1])) return true;
    }
    return false;
  }
}
