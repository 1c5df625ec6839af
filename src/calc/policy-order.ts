// SPDX-License-Identifier: Apache-2.0
import type { ResolvedEndpoint, ResolvedHostEndpoint, ResolvedTier } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { pathOf } from '../model/kinds.ts';
import type {
  HostEndpointValue,
  HostTraffic,
  PolicyValue,
  StagedAction,
  TierValue,
  WorkloadEndpointValue,
} from '../model/types.ts';
import { Multimap } from './multimap.ts';
import { type CalcNode, type Change, nameOf, type Work } from './node.ts';
import { sameValue } from './same-value.ts';
import type { Sequencer } from './sequencer.ts';

/** What places a policy among others, and the directions in which it takes part. */
interface Rank {
  readonly path: KeyPath;
  readonly tier: string;
  readonly order: number;
  readonly name: string;
  readonly namespace: string;
  /** Of a staged policy the kind that it stands for, so that it stands where that would stand. */
  readonly kind: string;
  readonly hostTraffic: HostTraffic;
  readonly staged: StagedAction | null;
  /** The policy in whose place a staged one would come, or which it would take away. */
  readonly overrides: KeyPath | null;
  readonly types: { readonly ingress: boolean; readonly egress: boolean };
}

/**
 * The tiers of each local endpoint, of workloads and of the host, and their policies in order of evaluation.
 *
 * @remarks A match is one insertion into one endpoint's sorted list; a tier's change touches only endpoints with a policy
 * in it.
 */
export class PolicyOrder implements CalcNode {
  readonly name = 'policy-order';
  readonly consumes = ['WorkloadEndpoint', 'HostEndpoint', 'Tier'] as const;
  readonly feeds = ['sequencer'] as const;
  readonly localEndpointsOnly = true;
  readonly #sequencer: Sequencer;
  readonly #endpoints = new Map<KeyPath, WorkloadEndpointValue>();
  readonly #hostEndpoints = new Map<KeyPath, HostEndpointValue>();
  readonly #tiers = new Map<string, TierValue>();
  readonly #ranks = new Map<KeyPath, Rank>();
  /** Policies that a staged one would replace or take away. */
  readonly #overridden = new Set<KeyPath>();
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
    } else if (change.kind === 'HostEndpoint') {
      if (change.value) this.#hostEndpoints.set(change.path, change.value);
      else this.#hostEndpoints.delete(change.path);
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
    this.#override(before, false);
    this.#ranks.set(path, rank);
    this.#override(rank, true);
    for (const endpoint of endpoints) this.addMatch(path, endpoint);
  }

  /** After all its matches were taken back. */
  deletePolicy(path: KeyPath): void {
    this.#override(this.#ranks.get(path), false);
    this.#ranks.delete(path);
  }

  addMatch(path: KeyPath, endpoint: KeyPath): void {
    const rank = this.#rankOf(path);
    const tiers = this.#sorted.get(endpoint) ?? new Map<string, Rank[]>();
    this.#sorted.set(endpoint, tiers);
    const ranks = tiers.get(rank.tier);
    if (ranks) ranks.splice(placeOf(rank, ranks), 0, rank);
    else {
      tiers.set(rank.tier, [rank]);
      this.#endpointsByTier.add(rank.tier, endpoint);
    }
    this.#endpointsByPolicy.add(path, endpoint);
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

  *flush(): Work {
    for (const path of this.#dirty) {
      yield;
      const endpoint = this.#endpoints.get(path);
      const host = this.#hostEndpoints.get(path);
      if (endpoint) this.#sequencer.endpoints.set(path, this.#resolved(path, endpoint));
      else this.#sequencer.endpoints.delete(path);
      if (host) this.#sequencer.hostEndpoints.set(path, this.#resolvedHost(path, host));
      else this.#sequencer.hostEndpoints.delete(path);
    }
    this.#dirty.clear();
  }

  /** Whatever endpoints the staged policy selects: what it stands for is meant to change everywhere. */
  #override(rank: Rank | undefined, isOverridden: boolean): void {
    if (!rank?.overrides) return;
    if (isOverridden) this.#overridden.add(rank.overrides);
    else this.#overridden.delete(rank.overrides);
    for (const endpoint of this.#endpointsByPolicy.get(rank.overrides)) this.#dirty.add(endpoint);
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
    return {
      name,
      ifName,
      addresses,
      adminUp,
      tiers: this.#tiersFor(path, ['normal', 'normal-and-forward']),
      profiles,
    };
  }

  #resolvedHost(
    path: KeyPath,
    { name, ifName, addresses, profiles }: HostEndpointValue,
  ): ResolvedHostEndpoint {
    return {
      name,
      ifName,
      addresses,
      tiers: this.#tiersFor(path, ['normal', 'normal-and-forward']),
      forward: this.#tiersFor(path, ['normal-and-forward']),
      untracked: this.#tiersFor(path, ['untracked']),
      preDnat: this.#tiersFor(path, ['pre-dnat']),
      profiles,
    };
  }

  #tiersFor(path: KeyPath, traffic: readonly HostTraffic[]): ResolvedTier[] {
    return [...(this.#sorted.get(path) ?? [])]
      .map(([name, ranks]) =>
        this.#resolvedTier(
          name,
          ranks.filter((rank) => traffic.includes(rank.hostTraffic)),
        ),
      )
      .filter((tier) => tier.ingress.length > 0 || tier.egress.length > 0 || tier.pending !== undefined)
      .sort((a, b) => this.#compareTiers(a.name, b.name));
  }

  #resolvedTier(name: string, ranks: readonly Rank[]): ResolvedTier {
    const enforced = listsOf(ranks.filter((rank) => rank.staged === null));
    const pending = listsOf(
      ranks.filter((rank) => (rank.staged ?? 'set') === 'set' && !this.#overridden.has(rank.path)),
    );
    const defaultAction = this.#tiers.get(name)?.defaultAction ?? 'deny';
    return { name, defaultAction, ...enforced, ...(sameValue(enforced, pending) ? {} : { pending }) };
  }

  /** Order, unset last, then name; a tier that does not exist comes after all that do. */
  #compareTiers(a: string, b: string): number {
    const left = this.#tiers.get(a);
    const right = this.#tiers.get(b);
    if (!left || !right) return (left ? 0 : 1) - (right ? 0 : 1) || compare(a, b);
    return compare(left.order, right.order) || compare(a, b);
  }
}

function rankOf(path: KeyPath, policy: PolicyValue): Rank {
  const { tier, order, name, namespace = '', hostTraffic, staged = null } = policy;
  const kind = policy.kind.replace('Staged', '');
  const acts = staged === 'set' || staged === 'delete';
  const overrides = acts ? pathOf(kind, policy.namespace, name) : null;
  return { path, tier, order, name, namespace, kind, hostTraffic, staged, overrides, types: typesOf(policy) };
}

/** Before destination NAT there is no egress. */
function typesOf({ types, hostTraffic }: PolicyValue): Rank['types'] {
  return hostTraffic === 'pre-dnat' ? { ...types, egress: false } : types;
}

function listsOf(ranks: readonly Rank[]): { ingress: KeyPath[]; egress: KeyPath[] } {
  return {
    ingress: ranks.filter((rank) => rank.types.ingress).map((rank) => rank.path),
    egress: ranks.filter((rank) => rank.types.egress).map((rank) => rank.path),
  };
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
