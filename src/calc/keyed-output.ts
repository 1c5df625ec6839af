// SPDX-License-Identifier: Apache-2.0
import { inOrder } from './in-order.ts';
import type { Work } from './node.ts';
import { sameValue } from './same-value.ts';

/** Objects by key: what was sent, and what should be instead. Holds one pending change for each key, however often it changed. */
export class KeyedOutput<K extends string, V> {
  readonly #sent = new Map<K, V>();
  readonly #updates = new Map<K, V>();
  readonly #removals = new Set<K>();

  set(key: K, value: V): void {
    this.#updates.set(key, value);
    this.#removals.delete(key);
  }

  delete(key: K): void {
    this.#updates.delete(key);
    if (this.#sent.has(key)) this.#removals.add(key);
  }

  *flushUpdates(emit: (key: K, value: V) => void): Work {
    if (this.#updates.size === 0) return;
    for (const key of yield* inOrder(this.#updates.keys())) {
      const value = this.#updates.get(key);
      if (value !== undefined && !sameValue(value, this.#sent.get(key))) {
        emit(key, value);
        this.#sent.set(key, value);
      }
      yield;
    }
    this.#updates.clear();
  }

  *flushRemovals(emit: (key: K) => void): Work {
    if (this.#removals.size === 0) return;
    for (const key of yield* inOrder(this.#removals)) {
      emit(key);
      this.#sent.delete(key);
      yield;
    }
    this.#removals.clear();
  }
}
