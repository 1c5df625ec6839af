// SPDX-License-Identifier: Apache-2.0
import type { ResolvedEndpoint, ResolvedHostEndpoint, ResolvedTier } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import type {
  HostEndpointValue,
  HostTraffic,
  PolicyValue,
  TierValue,
  WorkloadEndpointValue,
} from '../model/types.ts';
import type { LabelClass } from './label-class.ts';
import type { LabelIndex } from './label-index.ts';
import { type CalcNode, type Change, nameOf, stepsPerYield, type Work } from './node.ts';
import { compare, overriddenBy, placeOf, type Rank, rankOf } from './policy-rank.ts';
import { sameValue } from './same-value.ts';
import type { Sequencer } from './sequencer.ts';
import { SmallSet } from './small-set.ts';

/** The endpoints of this node by their labels. */
export interface LocalEndpoints {
  /** Of workloads and of the host. */
  readonly all: LabelIndex;
  /** Of the host alone, for policies that no workload meets. */
  readonly ofHost: LabelIndex;
}

/** A policy that matches something. */
interface Placed {
  rank: Rank;
  readonly classes: SmallSet<LabelClass>;
}

/** The policies of all endpoints of one class: worked out once for all of them. */
interface ClassOrder {
  /** By tier, sorted. */
  readonly tiers: Map<string, Rank[]>;
  /** By what of a host endpoint's traffic it is about; emptied when anything changes. */
  readonly resolved: Map<readonly HostTraffic[], readonly ResolvedTier[]>;
}

const atEndpoint: readonly HostTraffic[] = ['normal', 'normal-and-forward'];
const forwarded: readonly HostTraffic[] = ['normal-and-forward'];
const untracked: readonly HostTraffic[] = ['untracked'];
const preDnat: readonly HostTraffic[] = ['pre-dnat'];

/**
 * The tiers of each local endpoint, of workloads and of the host, and their policies in order of evaluation.
 *
 * @remarks A match is one insertion into the sorted list of one class of endpoints; a tier's change touches only classes
 * with a policy in it.
 */
export class PolicyOrder implements CalcNode {
  readonly name = 'policy-order';
  readonly consumes = ['WorkloadEndpoint', 'HostEndpoint', 'Tier'] as const;
  readonly feeds = ['sequencer'] as const;
  readonly localEndpointsOnly = true;
  readonly #local: LocalEndpoints;
  readonly #sequencer: Sequencer;
  readonly #endpoints = new Map<KeyPath, WorkloadEndpointValue>();
  readonly #hostEndpoints = new Map<KeyPath, HostEndpointValue>();
  readonly #tiers = new Map<string, TierValue>();
  readonly #placed = new Map<KeyPath, Placed>();
  /** Staged policy to the one that it would replace or take away, and back. */
  readonly #overrides = new Map<KeyPath, KeyPath>();
  readonly #overridden = new Set<KeyPath>();
  readonly #orders = new Map<LabelClass, ClassOrder>();
  readonly #dirty = new Set<KeyPath>();

  constructor(local: LocalEndpoints, sequencer: Sequencer) {
    this.#local = local;
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

  /** @param policy - null when there is none any more; its matches were taken back. */
  setPolicy(path: KeyPath, policy: PolicyValue | null): void {
    this.#override(path, policy && overriddenBy(policy));
    const placed = this.#placed.get(path);
    const rank = policy && rankOf(path, policy);
    if (!placed || !rank || sameValue(placed.rank, rank)) return;
    for (const labelClass of placed.classes.values()) this.#takeOut(placed.rank, labelClass);
    placed.rank = rank;
    for (const labelClass of placed.classes.values()) this.#putIn(rank, labelClass);
  }

  addMatch(path: KeyPath, policy: PolicyValue, labelClass: LabelClass): void {
    const placed = this.#placed.get(path) ?? { rank: rankOf(path, policy), classes: new SmallSet() };
    this.#placed.set(path, placed);
    placed.classes.add(labelClass);
    this.#putIn(placed.rank, labelClass);
  }

  deleteMatch(path: KeyPath, labelClass: LabelClass): void {
    const placed = this.#placed.get(path);
    if (!placed) throw new RangeError(`cannot take policy ${path} out of an order: it was never placed`);
    placed.classes.delete(labelClass);
    if (placed.classes.size === 0) this.#placed.delete(path);
    this.#takeOut(placed.rank, labelClass);
  }

  /** It came into a class where other policies match. */
  endpointMoved(path: KeyPath): void {
    this.#dirty.add(path);
  }

  *flush(): Work {
    let steps = 0;
    for (const path of this.#dirty) {
      const endpoint = this.#endpoints.get(path);
      const host = this.#hostEndpoints.get(path);
      if (endpoint) this.#sequencer.endpoints.set(path, this.#resolved(path, endpoint));
      else this.#sequencer.endpoints.delete(path);
      if (host) this.#sequencer.hostEndpoints.set(path, this.#resolvedHost(path, host));
      else this.#sequencer.hostEndpoints.delete(path);
      if (++steps % (stepsPerYield / 8) === 0) yield;
    }
    this.#dirty.clear();
  }

  /** Whatever endpoints the staged policy selects: what it stands for is meant to change everywhere. */
  #override(path: KeyPath, target: KeyPath | null): void {
    const before = this.#overrides.get(path) ?? null;
    if (before === target) return;
    if (before) this.#overridden.delete(before);
    if (target) this.#overridden.add(target);
    if (target) this.#overrides.set(path, target);
    else this.#overrides.delete(path);
    for (const changed of [before, target]) {
      for (const labelClass of (changed && this.#placed.get(changed)?.classes.values()) ?? [])
        this.#touch(labelClass);
    }
  }

  #setTier(name: string, tier: TierValue | null): void {
    if (tier) this.#tiers.set(name, tier);
    else this.#tiers.delete(name);
    for (const [labelClass, order] of this.#orders) if (order.tiers.has(name)) this.#touch(labelClass);
  }

  #putIn(rank: Rank, labelClass: LabelClass): void {
    const order = this.#orders.get(labelClass) ?? { tiers: new Map(), resolved: new Map() };
    this.#orders.set(labelClass, order);
    const ranks = order.tiers.get(rank.tier);
    if (ranks) ranks.splice(placeOf(rank, ranks), 0, rank);
    else order.tiers.set(rank.tier, [rank]);
    this.#touch(labelClass);
  }

  #takeOut(rank: Rank, labelClass: LabelClass): void {
    const order = this.#orders.get(labelClass);
    const ranks = order?.tiers.get(rank.tier) ?? [];
    ranks.splice(placeOf(rank, ranks), 1);
    if (ranks.length === 0) order?.tiers.delete(rank.tier);
    this.#touch(labelClass);
    if (order?.tiers.size === 0) this.#orders.delete(labelClass);
  }

  #touch(labelClass: LabelClass): void {
    this.#orders.get(labelClass)?.resolved.clear();
    for (const { key } of labelClass.items) this.#dirty.add(key as KeyPath);
  }

  #resolved(
    path: KeyPath,
    { name, ifName, addresses, adminUp, profiles }: WorkloadEndpointValue,
  ): ResolvedEndpoint {
    const tiers = this.#tiersFor(this.#local.all.classOf(path), atEndpoint);
    return { name, ifName, addresses, adminUp, tiers, profiles };
  }

  #resolvedHost(
    path: KeyPath,
    { name, ifName, addresses, profiles }: HostEndpointValue,
  ): ResolvedHostEndpoint {
    const asAny = this.#local.all.classOf(path);
    const asHost = this.#local.ofHost.classOf(path);
    return {
      name,
      ifName,
      addresses,
      tiers: this.#tiersFor(asAny, atEndpoint),
      forward: this.#tiersFor(asAny, forwarded),
      untracked: this.#tiersFor(asHost, untracked),
      preDnat: this.#tiersFor(asHost, preDnat),
      profiles,
    };
  }

  #tiersFor(labelClass: LabelClass | null, traffic: readonly HostTraffic[]): readonly ResolvedTier[] {
    const order = labelClass && this.#orders.get(labelClass);
    if (!order) return [];
    const known = order.resolved.get(traffic);
    if (known) return known;
    const tiers = [...order.tiers]
      .map(([name, ranks]) =>
        this.#resolvedTier(
          name,
          ranks.filter((rank) => traffic.includes(rank.hostTraffic)),
        ),
      )
      .filter((tier) => tier.ingress.length > 0 || tier.egress.length > 0 || tier.pending !== undefined)
      .sort((a, b) => this.#compareTiers(a.name, b.name));
    order.resolved.set(traffic, tiers);
    return tiers;
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

function listsOf(ranks: readonly Rank[]): { ingress: KeyPath[]; egress: KeyPath[] } {
  return {
    ingress: ranks.filter((rank) => rank.types.ingress).map((rank) => rank.path),
    egress: ranks.filter((rank) => rank.types.egress).map((rank) => rank.path),
  };
}
