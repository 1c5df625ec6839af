// SPDX-License-Identifier: Apache-2.0
import type { Interfaces } from '../linux/interfaces.ts';

/** Names of links by the index that programs know. */
export class LinkNames {
  readonly #interfaces: Interfaces;
  /** As of a listing: the same object until the links were listed anew. */
  #listing: ReadonlyMap<string, number> | null = null;
  #byIndex: ReadonlyMap<number, string> = new Map();

  constructor(interfaces: Interfaces) {
    this.#interfaces = interfaces;
  }

  /** Null when it went. */
  nameOf(index: number): string | null {
    const listing = this.#interfaces.listing();
    if (listing !== this.#listing) {
      this.#listing = listing;
      this.#byIndex = new Map([...listing].map(([name, at]) => [at, name]));
    }
    return this.#byIndex.get(index) ?? null;
  }
}
