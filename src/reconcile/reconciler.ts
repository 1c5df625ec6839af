// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel's side of one table, and the one loop that makes it agree: read back if asked, difference, commit, keep
 * what failed, report. One class serves every table whose rows stand for themselves (routes, guards); nftables has its
 * own, as its tables refer to one another and are committed together.
 */
import { DeltaTable } from './delta-table.ts';

export interface KernelTable<K extends string | number, V> {
  readonly name: string;
  /** Told from the row alone, for a restarted agent remembers nothing. */
  isOurs(key: K, value: V): boolean;
  list(): Iterable<readonly [K, V]>;
  /** Gives the keys that failed; they stay pending. */
  commit(upserts: readonly (readonly [K, V])[], deletes: readonly K[]): ReadonlyMap<K, Error>;
  same(a: V, b: V): boolean;
}

export interface TableReport {
  readonly changed: number;
  readonly failed: readonly { readonly table: string; readonly key: string; readonly message: string }[];
}

export class Reconciler<K extends string | number, V> {
  readonly #table: KernelTable<K, V>;
  readonly #delta: DeltaTable<K, V>;
  #stale = true;

  constructor(table: KernelTable<K, V>) {
    this.#table = table;
    this.#delta = new DeltaTable<K, V>((a, b) => table.same(a, b));
  }

  setDesired(key: K, value: V): void {
    this.#delta.setDesired(key, value);
  }

  deleteDesired(key: K): void {
    this.#delta.deleteDesired(key);
  }

  desired(): ReadonlyMap<K, V> {
    return this.#delta.desired();
  }

  actual(): ReadonlyMap<K, V> {
    return this.#delta.actual();
  }

  /** Trust nothing read so far. */
  queueResync(): void {
    this.#stale = true;
  }

  apply(): TableReport {
    if (this.#stale) this.#readBack();
    const upserts = [...this.#delta.pendingUpserts()];
    const deletes = [...this.#delta.pendingDeletes()];
    if (upserts.length + deletes.length === 0) return { changed: 0, failed: [] };
    const failed = this.#table.commit(upserts, deletes);
    for (const [key, value] of upserts) if (!failed.has(key)) this.#delta.setActual(key, value);
    for (const key of deletes) if (!failed.has(key)) this.#delta.deleteActual(key);
    // what the kernel refused may mean that our picture is old: look again before the next try
    this.#stale = failed.size > 0;
    return {
      changed: upserts.length + deletes.length - failed.size,
      failed: [...failed].map(([key, error]) => this.#failure(key, error)),
    };
  }

  #readBack(): void {
    const rows = [...this.#table.list()];
    this.#delta.replaceActual(rows.filter(([key, value]) => this.#table.isOurs(key, value)));
    this.#stale = false;
  }

  #failure(key: K, error: Error): { table: string; key: string; message: string } {
    return { table: this.#table.name, key: String(key), message: error.message };
  }
}
