// SPDX-License-Identifier: Apache-2.0
/**
 * Maglev's table: which of the backends has which slot. Every node computes the same of the same backends, each backend has
 * almost equally many slots, and one that comes or goes moves few of the others'.
 *
 * @see Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4
 */
import { hash } from 'node:crypto';

/** @param names - distinct; their order does not matter. @param size - a prime. @returns indices into `names`; empty for none. */
export function maglevTable(names: readonly string[], size: number): readonly number[] {
  if (names.length === 0) return [];
  const table = new Array<number>(size).fill(-1);
  const walkers = names.map((name, index) => walkerOf(name, index, size));
  walkers.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (let filled = 0; filled < size; ) {
    for (const walker of walkers) {
      if (filled === size) break;
      table[nextFree(walker, table, size)] = walker.index;
      filled++;
    }
  }
  return table;
}

interface Walker {
  readonly name: string;
  readonly index: number;
  readonly skip: number;
  at: number;
}

function walkerOf(name: string, index: number, size: number): Walker {
  const bytes = hash('sha256', name, 'buffer');
  return {
    name,
    index,
    at: bytes.readUInt32LE(0) % size,
    skip: (bytes.readUInt32LE(4) % (size - 1)) + 1,
  };
}

function nextFree(walker: Walker, table: readonly number[], size: number): number {
  while (table[walker.at] !== -1) walker.at = (walker.at + walker.skip) % size;
  return walker.at;
}
