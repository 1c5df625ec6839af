// SPDX-License-Identifier: Apache-2.0
import type { ResolvedEndpoint, ResolvedTier } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import type { PolicyValue, TierValue, WorkloadEndpointValue } from '../model/types.ts';
import { Multimap } from './multimap.ts';
import { type CalcNode, type Change, nameOf } from './node.ts';
import { sameValue } from './same-value.ts';
import type { Sequencer } from './sequencer.ts';

/** What places a policy among others, and the directions in which it takes part. */
interface Rank {
  readonly path: KeyPath;
  readonly tier: string;
  readonly order: number;
  readonly name: string;
  readonly namespace: string;
  readonly kind: string;
  readonly types: { readonly ingress: boolean; readonly egress: boolean };
}

/**
 * The tiers of each local endpoint and their policies, in order of evaluation.
 *
 * @remarks A match is one insertion into one endpoint's sorted list; a tier's change touches only endpoints with a policy
 * in it.
 */
export class PolicyOrder implements CalcNode {
  readonly name = 'policy-order';
  readonly consumes = ['WorkloadEndpoint', 'Tier'] as const;
  readonly feeds = ['sequencer'] as const;
  readonly localEndpointsOnly = true;
  readonly #sequencer: Sequencer;
  readonly #endpoints = new Map<KeyPath, WorkloadEndpointValue>();
  readonly #tiers = new Map<string, TierValue>();
  readonly #ranks = new Map<KeyPath, Rank>();
  /** Endpoint to tier to policies, sorted. */
  readonly #sorted = new Map<KeyPath, Map<string, Rank[]>>();
  readonly #endpointsByPolicy = new Multimap<KeyPath, KeyPath>();
  readonly #endpointsByTier = new Multimap<string, KeyPath>();
  readonly #dirty = new Set<KeyPath>();

  constructor(sequencer: Sequencer) {
    this.#sequencer = sequencer;
  }

  onChange(change: Change): void {
    if (change.kind === 'WorkloadEndpoint') {
      if (change.value) this.#endpoints.set(change.path, change.value);
      else this.#endpoints.delete(change.path);
      this.#dirty.add(change.path);
    } else if (change.kind === 'Tier') this.#setTier(nameOf(change), change.value);
  }

  /** Before any match of it is told. */
  setPolicy(path: KeyPath, policy: PolicyValue): void {
    const rank = rankOf(path, policy);
    const before = this.#ranks.get(path);
    if (before && sameValue(before, rank)) return;
    const endpoints = [...this.#endpointsByPolicy.get(path)];
    for (const endpoint of endpoints) this.deleteMatch(path, endpoint);
    this.#ranks.set(path, rank);
    for (const endpoint of endpoints) this.addMatch(path, endpoint);
  }

  /** After all its matches were taken back. */
  deletePolicy(path: KeyPath): void {
    this.#ranks.delete(path);
  }

  addMatch(path: KeyPath, endpoint: KeyPath): void {
    const rank = this.#rankOf(path);
    const tiers = this.#sorted.get(endpoint) ?? new Map<string, Rank[]>();
    this.#sorted.set(endpoint, tiers);
    const ranks = tiers.get(rank.tier) ?? [];
    tiers.set(rank.tier, ranks);
    ranks.splice(placeOf(rank, ranks), 0, rank);
    this.#endpointsByPolicy.add(path, endpoint);
    this.#endpointsByTier.add(rank.tier, endpoint);
    this.#dirty.add(endpoint);
  }

  deleteMatch(path: KeyPath, endpoint: KeyPath): void {
    const rank = this.#rankOf(path);
    const tiers = this.#sorted.get(endpoint);
    const ranks = tiers?.get(rank.tier) ?? [];
    ranks.splice(placeOf(rank, ranks), 1);
    if (ranks.length === 0) {
      tiers?.delete(rank.tier);
      this.#endpointsByTier.delete(rank.tier, endpoint);
    }
    if (tiers?.size === 0) this.#sorted.delete(endpoint);
    this.#endpointsByPolicy.delete(path, endpoint);
    this.#dirty.add(endpoint);
  }

  flush(): void {
    for (const path of this.#dirty) {
      const endpoint = this.#endpoints.get(path);
      if (endpoint) this.#sequencer.endpoints.set(path, this.#resolved(path, endpoint));
      else this.#sequencer.endpoints.delete(path);
    }
    this.#dirty.clear();
  }

  #setTier(name: string, tier: TierValue | null): void {
    if (tier) this.#tiers.set(name, tier);
    else this.#tiers.delete(name);
    for (const endpoint of this.#endpointsByTier.get(name)) this.#dirty.add(endpoint);
  }

  #rankOf(path: KeyPath): Rank {
    const rank = this.#ranks.get(path);
    if (!rank) throw new RangeError(`cannot place policy ${path}: it was never told`);
    return rank;
  }

  #resolved(
    path: KeyPath,
    { name, ifName, addresses, adminUp, profiles }: WorkloadEndpointValue,
  ): ResolvedEndpoint {
    return { name, ifName, addresses, adminUp, tiers: this.#resolvedTiers(path), profiles };
  }

  #resolvedTiers(path: KeyPath): ResolvedTier[] {
    const tiers = [...(this.#sorted.get(path) ?? [])].map(([name, ranks]) => ({
      name,
      defaultAction: this.#tiers.get(name)?.defaultAction ?? ('deny' as const),
      ingress: ranks.filter((rank) => rank.types.ingress).map((rank) => rank.path),
      egress: ranks.filter((rank) => rank.types.egress).map((rank) => rank.path),
    }));
    return tiers
      .filter((tier) => tier.ingress.length > 0 || tier.egress.length > 0)
      .sort((a, b) => this.#compareTiers(a.name, b.name));
  }

  /** Order, unset last, then name; a tier that does not exist comes after all that do. */
  #compareTiers(a: string, b: string): number {
    const left = this.#tiers.get(a);
    const right = this.#tiers.get(b);
    if (!left || !right) return (left ? 0 : 1) - (right ? 0 : 1) || compare(a, b);
    return compare(left.order, right.order) || compare(a, b);
  }
}

function rankOf(path: KeyPath, { tier, order, name, namespace = '', kind, types }: PolicyValue): Rank {
  return { path, tier, order, name, namespace, kind, types };
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
function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Index of `rank`, or where it belongs. */
function placeOf(rank: Rank, sorted: readonly Rank[]): number {
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
