// SPDX-License-Identifier: Apache-2.0
import { sameValue } from './same-value.ts';

/** Objects by key: what should be, what was sent. Holds one pending change for each key, however often it changed. */
export class KeyedOutput<K extends string, V> {
  readonly #desired = new Map<K, V>();
  readonly #sent = new Map<K, V>();
  readonly #dirty = new Set<K>();

  set(key: K, value: V): void {
    this.#desired.set(key, value);
    this.#dirty.add(key);
  }

  delete(key: K): void {
    this.#desired.delete(key);
    this.#dirty.add(key);
  }

  flushUpdates(emit: (key: K, value: V) => void): void {
    for (const key of [...this.#dirty].sort()) {
      const value = this.#desired.get(key);
      if (value === undefined) continue;
      this.#dirty.delete(key);
      if (sameValue(value, this.#sent.get(key))) continue;
      emit(key, value);
      this.#sent.set(key, value);
    }
  }

  flushRemovals(emit: (key: K) => void): void {
    for (const key of [...this.#dirty].sort()) {
      if (this.#desired.has(key)) continue;
      this.#dirty.delete(key);
      if (!this.#sent.has(key)) continue;
      emit(key);
      this.#sent.delete(key);
    }
  }
}
