// SPDX-License-Identifier: Apache-2.0

/** Sets by key; an empty set leaves no trace. */
export class Multimap<K, V> {
  readonly #sets = new Map<K, Set<V>>();

  add(key: K, value: V): void {
    const set = this.#sets.get(key);
    if (set) set.add(value);
    else this.#sets.set(key, new Set([value]));
  }

  delete(key: K, value: V): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key);
  }

  get(key: K): ReadonlySet<V> {
    return this.#sets.get(key) ?? new Set();
  }

  count(key: K): number {
    return this.#sets.get(key)?.size ?? 0;
  }
}
