// SPDX-License-Identifier: Apache-2.0

/**
 * A set that mostly holds one value, as the classes of one label value do. A Set of one takes 230 bytes (Node 24), this
 * takes 32; there are hundreds of thousands.
 */
export class SmallSet<T extends object> {
  /** A value, several, or none. */
  #held: T | Set<T> | null = null;

  get size(): number {
    if (this.#held === null) return 0;
    return this.#held instanceof Set ? this.#held.size : 1;
  }

  has(value: T): boolean {
    return this.#held instanceof Set ? this.#held.has(value) : this.#held === value;
  }

  add(value: T): void {
    if (this.#held instanceof Set) this.#held.add(value);
    else if (this.#held === null) this.#held = value;
    else if (this.#held !== value) this.#held = new Set([this.#held, value]);
  }

  delete(value: T): void {
    if (this.#held === value) this.#held = null;
    else if (this.#held instanceof Set && this.#held.delete(value) && this.#held.size === 0)
      this.#held = null;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.values()[Symbol.iterator]();
  }

  values(): Iterable<T> {
    if (this.#held === null) return [];
    return this.#held instanceof Set ? this.#held : [this.#held];
  }
}
