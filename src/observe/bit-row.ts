// SPDX-License-Identifier: Apache-2.0

/** One bit for each of a fixed number of things, 32 to a word. Bits beyond the last are 0. */
export type BitRow = Uint32Array;

export function emptyRow(count: number): BitRow {
  return new Uint32Array((count + 31) >>> 5);
}

export function rowWhere(count: number, isSet: (index: number) => boolean): BitRow {
  const row = emptyRow(count);
  for (let i = 0; i < count; i++) if (isSet(i)) row[i >>> 5] = (row[i >>> 5] ?? 0) | (1 << (i & 31));
  return row;
}

export function hasBit(row: BitRow, index: number): boolean {
  return (((row[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1;
}

export function isEmpty(row: BitRow): boolean {
  return row.every((word) => word === 0);
}

export function and(into: BitRow, other: BitRow): void {
  for (let w = 0; w < into.length; w++) into[w] = (into[w] ?? 0) & (other[w] ?? 0);
}

export function andNot(into: BitRow, other: BitRow): void {
  for (let w = 0; w < into.length; w++) into[w] = (into[w] ?? 0) & ~(other[w] ?? 0);
}

export function or(into: BitRow, other: BitRow): void {
  for (let w = 0; w < into.length; w++) into[w] = (into[w] ?? 0) | (other[w] ?? 0);
}

/**
 * Moves the bits that are in `mask` from `from` to `to`, or drops them where `to` is null.
 *
 * @returns whether `from` has any bit left.
 */
export function move(from: BitRow, mask: BitRow, to: BitRow | null): boolean {
  let left = 0;
  for (let w = 0; w < from.length; w++) {
    const word = from[w] ?? 0;
    const moved = word & (mask[w] ?? 0);
    if (to && moved !== 0) to[w] = (to[w] ?? 0) | moved;
    from[w] = word & ~moved;
    left |= word & ~moved;
  }
  return left !== 0;
}
