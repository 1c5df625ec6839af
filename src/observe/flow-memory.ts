// SPDX-License-Identifier: Apache-2.0
/** The last records as they came, and a count of those that went to make room or never came. */
import type { FlowRecord } from '../contract/flow.ts';

export interface RememberedFlows {
  /** The oldest first. */
  readonly flows: readonly FlowRecord[];
  /** Older ones that were forgotten. */
  readonly forgotten: number;
  /** Decided by the data plane, but lost before they could be told. */
  readonly lost: number;
}

export class FlowMemory {
  readonly #size: number;
  /** Filled round and round: the oldest stands at `#told % #size` once it is full. */
  readonly #ring: FlowRecord[] = [];
  #told = 0;
  #lost = 0;

  /** @param size - records; at least 1. */
  constructor(size: number) {
    if (!Number.isInteger(size) || size < 1)
      throw new RangeError(`flow memory: got size ${size}, want 1 or more`);
    this.#size = size;
  }

  add(flows: readonly FlowRecord[], lost = 0): void {
    for (const flow of flows) this.#ring[this.#told++ % this.#size] = flow;
    this.#lost += lost;
  }

  last(): RememberedFlows {
    const oldest = this.#told % this.#size;
    const isFull = this.#ring.length === this.#size;
    const flows = isFull ? [...this.#ring.slice(oldest), ...this.#ring.slice(0, oldest)] : [...this.#ring];
    return { flows, forgotten: this.#told - flows.length, lost: this.#lost };
  }
}
