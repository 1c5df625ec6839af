// SPDX-License-Identifier: Apache-2.0
/**
 * Desired against actual: two maps and their difference, kept up to date at every change. Memory only.
 *
 * Owns:       what a driver wants of one kernel table, what is known to be there, and which keys differ.
 * Takes in:   desired rows from a driver, actual rows from a read-back or a successful commit.
 * Gives out:  the pending upserts and deletes: what one commit must send.
 * Invariants: a key is pending exactly while desired and actual differ; iterating what is pending costs what is pending,
 *             never the size of the table; a failed commit changes nothing here, so the rows stay pending.
 * Next:       apply-loop.ts decides when to commit; drivers/nftables/tables.ts is the first user.
 */
export class DeltaTable<K extends string | number, V> {
  readonly #desired = new Map<K, V>();
  readonly #actual = new Map<K, V>();
  readonly #upserts = new Set<K>();
  readonly #deletes = new Set<K>();
  readonly #same: (a: V, b: V) => boolean;

  /** @param same - whether the kernel would make no difference between two rows of one key. */
  constructor(same: (a: V, b: V) => boolean = Object.is) {
    this.#same = same;
  }

  setDesired(key: K, value: V): void {
    this.#desired.set(key, value);
    this.#compare(key);
  }

  deleteDesired(key: K): void {
    if (this.#desired.delete(key)) this.#compare(key);
  }

  setActual(key: K, value: V): void {
    this.#actual.set(key, value);
    this.#compare(key);
  }

  deleteActual(key: K): void {
    if (this.#actual.delete(key)) this.#compare(key);
  }

  /** After a read-back: these rows, and no others, are there. */
  replaceActual(rows: Iterable<readonly [K, V]>): void {
    this.#actual.clear();
    for (const [key, value] of rows) this.#actual.set(key, value);
    this.#upserts.clear();
    this.#deletes.clear();
    for (const key of this.#desired.keys()) this.#compare(key);
    for (const key of this.#actual.keys()) this.#compare(key);
  }

  /** Desired, and missing or different in actual. */
  *pendingUpserts(): Generator<readonly [K, V]> {
    for (const key of this.#upserts) yield [key, this.#desired.get(key) as V];
  }

  /** In actual and no longer desired. */
  pendingDeletes(): Iterable<K> {
    return this.#deletes;
  }

  isPending(key: K): boolean {
    return this.#upserts.has(key) || this.#deletes.has(key);
  }

  desired(): ReadonlyMap<K, V> {
    return this.#desired;
  }

  actual(): ReadonlyMap<K, V> {
    return this.#actual;
  }

  get pendingCount(): number {
    return this.#upserts.size + this.#deletes.size;
  }

  /** All that is pending was committed. */
  confirmAll(): void {
    for (const key of [...this.#upserts]) this.setActual(key, this.#desired.get(key) as V);
    for (const key of [...this.#deletes]) this.deleteActual(key);
  }

  #compare(key: K): void {
    this.#upserts.delete(key);
    this.#deletes.delete(key);
    if (!this.#desired.has(key)) {
      if (this.#actual.has(key)) this.#deletes.add(key);
    } else if (
      !this.#actual.has(key) ||
      !this.#same(this.#desired.get(key) as V, this.#actual.get(key) as V)
    ) {
      this.#upserts.add(key);
    }
  }
}
