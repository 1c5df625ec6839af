// SPDX-License-Identifier: Apache-2.0
import type { Work } from './node.ts';

/** Sorted at once in a millisecond or two. */
const runLength = 4096;

/** A sorted copy, by code units. Sorting 250,000 strings takes a tenth of a second, hence in steps: a merge sort. */
export function* inOrder<T extends string>(values: Iterable<T>): Work<readonly T[]> {
  const all = [...values];
  if (all.length <= runLength) return all.sort();
  let runs: T[][] = [];
  for (let start = 0; start < all.length; start += runLength) {
    runs.push(all.slice(start, start + runLength).sort());
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) merged.push(yield* mergeOf(runs[i] ?? [], runs[i + 1] ?? []));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeOf<T extends string>(a: readonly T[], b: readonly T[]): Work<T[]> {
  const merged: T[] = [];
  let [i, j] = [0, 0];
  for (let left = a[i], right = b[j]; left !== undefined || right !== undefined; ) {
    if (right === undefined || (left !== undefined && left <= right)) {
      merged.push(left as T); // one of the two is there
      left = a[++i];
    } else {
      merged.push(right);
      right = b[++j];
    }
    if (merged.length % runLength === 0) yield;
  }
  return merged;
}
