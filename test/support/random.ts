// SPDX-License-Identifier: Apache-2.0
/** Repeatable chance: the same seed gives the same numbers on every machine. */

export class Random {
  #state: number;

  /** @param seed - 32 bits of it count. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new RangeError('cannot pick from nothing');
    return item;
  }

  /** Between `least` and `most` of them, each at most once, in the list's order. */
  some<T>(list: readonly T[], least: number, most: number): T[] {
    const count = Math.min(list.length, least + this.below(most - least + 1));
    const left = list.map((_, i) => i);
    const chosen = new Set<number>();
    while (chosen.size < count) chosen.add(left.splice(this.below(left.length), 1)[0] ?? 0);
    return list.filter((_, i) => chosen.has(i));
  }

  times<T>(least: number, most: number, make: (i: number) => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1) }, (_, i) => make(i));
  }

  /** `value` with that probability, else nothing: to be spread into an object. */
  maybe<T extends object>(probability: number, make: () => T): T | Record<string, never> {
    return this.chance(probability) ? make() : {};
  }

  /** mulberry32, in the public domain. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

/** MUSLIN_SEED, or one from the clock; printed, so that a failure can be repeated. */
export function seedOfRun(name: string): number {
  const { MUSLIN_SEED: given } = process.env;
  const seed = given === undefined ? Date.now() % 2 ** 31 : Number(given);
  if (!Number.isInteger(seed)) throw new TypeError(`MUSLIN_SEED ${JSON.stringify(given)}: want an integer`);
  process.stderr.write(`${name}: MUSLIN_SEED=${seed}\n`);
  return seed;
}
