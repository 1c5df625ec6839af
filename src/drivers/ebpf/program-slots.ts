// SPDX-License-Identifier: Apache-2.0
/**
 * Places in the map `programs` that policy takes: from `firstPolicy` on, the lowest free one first. What an agent before us
 * left there stays until our own programs are in force.
 */

import type { Fd } from '../../kernel/sys/fd.ts';
import { UnsupportedError } from '../../lib/errors.ts';
import { programIndex } from './layout.ts';

/** As much of a BpfMap as is used here. */
export interface ProgramMap {
  readonly info: { readonly name: string; readonly maxEntries: number };
  setProgram(index: number, program: Fd): void;
  programId(index: number): number | null;
  delete(key: Uint8Array): boolean;
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

export class ProgramSlots {
  readonly #map: ProgramMap;
  /** Ids of our programs by their places; null: not yet filled. */
  readonly #ours = new Map<number, number | null>();
  readonly #others = new Set<number>();
  /** No place below is free. */
  #lowest: number = programIndex.firstPolicy;

  constructor(map: ProgramMap) {
    this.#map = map;
    this.findOthers();
  }

  /** Notes what stands there that is not ours. */
  findOthers(): void {
    this.#others.clear();
    for (const [key] of this.#map.entries()) {
      const slot = Buffer.from(key).readUInt32LE();
      if (slot >= programIndex.firstPolicy && !this.#ours.has(slot)) this.#others.add(slot);
    }
  }

  /** @throws {UnsupportedError} when there are no more. */
  take(count: number): readonly number[] {
    const slots: number[] = [];
    for (let slot = this.#lowest; slots.length < count; slot++) {
      if (slot >= this.#map.info.maxEntries) throw this.#full(count);
      if (!this.#ours.has(slot) && !this.#others.has(slot)) slots.push(slot);
    }
    for (const slot of slots) this.#ours.set(slot, null);
    this.#lowest = (slots.at(-1) ?? this.#lowest) + 1;
    return slots;
  }

  /** From now on tail calls to the place lead to the program. */
  fill(slot: number, program: Fd): void {
    this.#map.setProgram(slot, program);
    this.#ours.set(slot, this.#map.programId(slot));
  }

  give(slots: readonly number[]): void {
    for (const slot of slots) {
      if (this.#ours.get(slot) !== null) this.#map.delete(keyOf(slot));
      this.#ours.delete(slot);
      this.#lowest = Math.min(this.#lowest, slot);
    }
  }

  /** Whether each place still holds what we put there. */
  areIntact(slots: readonly number[]): boolean {
    return slots.every((slot) => this.#ours.get(slot) === this.#map.programId(slot));
  }

  /** @returns how many there were. */
  clearOthers(): number {
    const count = this.#others.size;
    for (const slot of this.#others) {
      this.#map.delete(keyOf(slot));
      this.#lowest = Math.min(this.#lowest, slot);
    }
    this.#others.clear();
    return count;
  }

  #full(count: number): UnsupportedError {
    const { name, maxEntries } = this.#map.info;
    const room = maxEntries - programIndex.firstPolicy;
    return new UnsupportedError(
      `cannot load policy: map ${name} has room for ${room} programs, want ${this.#ours.size + this.#others.size + count}`,
    );
  }
}

function keyOf(slot: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(slot).buffer);
}
