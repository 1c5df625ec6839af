// SPDX-License-Identifier: Apache-2.0
/** Port ranges: inclusive, 0 to 65535; lists of them as sorted, disjoint unions. */

/** Both ends belong to it. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export const maxPort = 65535;

/** `80` or `8000:8080`, as Calico's API writes them; null if it is neither (a named port, or out of range). */
export function tryParsePortRange(value: string | number): PortRange | null {
  const match = /^([0-9]{1,5})(?::([0-9]{1,5}))?$/.exec(String(value));
  if (!match) return null;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= maxPort ? { first, last } : null;
}

export function portRangeText(range: PortRange): string {
  return range.first === range.last ? String(range.first) : `${range.first}:${range.last}`;
}

export function inRanges(port: number, ranges: readonly PortRange[]): boolean {
  return ranges.some((range) => port >= range.first && port <= range.last);
}

/** Sorted and disjoint, touching ranges joined. */
export function unionOfRanges(ranges: readonly PortRange[]): PortRange[] {
  const union: { first: number; last: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const top = union.at(-1);
    if (top && range.first <= top.last + 1) top.last = Math.max(top.last, range.last);
    else union.push({ ...range });
  }
  return union;
}
