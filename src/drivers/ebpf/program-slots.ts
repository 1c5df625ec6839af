// SPDX-License-Identifier: Apache-2.0
/**
 * Places in the map `programs` that policy takes: from `firstPolicy` on, the lowest free one first. What an agent before us
 * left there is not touched until our own programs are in force; then it goes, some places at a time, for there are many and
 * the kernel tells of each by itself. The last place stays empty: links.ts leads there what must be dropped.
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
}

/** Of them `clearOthers` looks at so many in one go: some milliseconds. */
const placesAtOnce = 1024;

export class ProgramSlots {
  readonly #map: ProgramMap;
  /** Ids of our programs by their places; null: not yet filled. */
  readonly #ours = new Map<number, number | null>();
  /** No place below is free. */
  #lowest: number = programIndex.firstPolicy;
  /** From here on there may be what an agent before us left. */
  #cleared: number = programIndex.firstPolicy;

  constructor(map: ProgramMap) {
    this.#map = map;
  }

  /** @throws {UnsupportedError} when there are no more. */
  take(count: number): readonly number[] {
    const slots: number[] = [];
    for (let slot = this.#lowest; slots.length < count; slot++) {
      if (slot >= this.#end) throw this.#full(count);
      if (this.#isFree(slot)) slots.push(slot);
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

  /** Takes out what an agent before us left in the next places. @returns how many programs there were. */
  clearOthers(): number {
    const end = Math.min(this.#cleared + placesAtOnce, this.#end);
    let count = 0;
    for (; this.#cleared < end; this.#cleared++) {
      if (this.#isFree(this.#cleared) || this.#ours.has(this.#cleared)) continue;
      this.#map.delete(keyOf(this.#cleared));
      this.#lowest = Math.min(this.#lowest, this.#cleared);
      count++;
    }
    return count;
  }

  #isFree(slot: number): boolean {
    return !this.#ours.has(slot) && (slot < this.#cleared || this.#map.programId(slot) === null);
  }

  get #end(): number {
    return this.#map.info.maxEntries - 1;
  }

  #full(count: number): UnsupportedError {
    const { name, maxEntries } = this.#map.info;
    const room = this.#end - programIndex.firstPolicy;
    return new UnsupportedError(
      `cannot load policy: map ${name} of ${maxEntries} has room for ${room} programs of policy, want ${this.#ours.size + count} or more`,
    );
  }
}

function keyOf(slot: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(slot).buffer);
}
