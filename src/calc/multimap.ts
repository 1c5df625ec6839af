// SPDX-License-Identifier: Apache-2.0
import { SmallSet } from './small-set.ts';

/** Sets by key, most of one value; an empty set leaves no trace. */
export class Multimap<K, V extends object> {
  readonly #sets = new Map<K, SmallSet<V>>();

  add(key: K, value: V): void {
    const set = this.#sets.get(key) ?? new SmallSet<V>();
    set.add(value);
    this.#sets.set(key, set);
  }

  delete(key: K, value: V): void {
    const set = this.#sets.get(key);
    set?.delete(value);
    if (set?.size === 0) this.#sets.delete(key);
  }

  get(key: K): Iterable<V> {
    return this.#sets.get(key)?.values() ?? [];
  }
}
