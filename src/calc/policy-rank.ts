// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import { pathOf } from '../model/kinds.ts';
import type { HostTraffic, PolicyValue, StagedAction } from '../model/types.ts';

/** What places a policy among others, and the directions in which it takes part. */
export interface Rank {
  readonly path: KeyPath;
  readonly tier: string;
  readonly order: number;
  readonly name: string;
  readonly namespace: string;
  /** Of a staged policy the kind that it stands for, so that it stands where that would stand. */
  readonly kind: string;
  readonly hostTraffic: HostTraffic;
  readonly staged: StagedAction | null;
  readonly types: { readonly ingress: boolean; readonly egress: boolean };
}

export function rankOf(path: KeyPath, policy: PolicyValue): Rank {
  const { tier, order, name, namespace = '', hostTraffic, staged = null } = policy;
  const kind = policy.kind.replace('Staged', '');
  return { path, tier, order, name, namespace, kind, hostTraffic, staged, types: typesOf(policy) };
}

/** The policy in whose place a staged one would come, or which it would take away; null for any other. */
export function overriddenBy({ kind, namespace, name, staged }: PolicyValue): KeyPath | null {
  const acts = staged === 'set' || staged === 'delete';
  return acts ? pathOf(kind.replace('Staged', ''), namespace, name) : null;
}

/** Before destination NAT there is no egress. */
function typesOf({ types, hostTraffic }: PolicyValue): Rank['types'] {
  return hostTraffic === 'pre-dnat' ? { ...types, egress: false } : types;
}

/** Order, unset (Infinity) last, then name, namespace, kind; the path makes it total. */
function compareRanks(a: Rank, b: Rank): number {
  return (
    compare(a.order, b.order) ||
    compare(a.name, b.name) ||
    compare(a.namespace, b.namespace) ||
    compare(a.kind, b.kind) ||
    compare(a.path, b.path)
  );
}

/** By code units, which no locale changes. */
export function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Index of `rank`, or where it belongs. */
export function placeOf(rank: Rank, sorted: readonly Rank[]): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle];
    if (other && compareRanks(other, rank) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
