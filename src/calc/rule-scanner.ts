// SPDX-License-Identifier: Apache-2.0
import type { ResolvedPolicy, ResolvedProfile, ResolvedRule } from '../contract/dataplane.ts';
import type { IpSetId, KeyPath } from '../lib/brand.ts';
import type { ModelRule, PolicyValue, ProfileValue } from '../model/types.ts';
import type { IpSetMembers } from './ip-set-members.ts';
import { decrement, increment } from './member-set.ts';
import type { CalcNode, Work } from './node.ts';
import { type IpSetSpec, resolveRule } from './resolve-rule.ts';
import { SelectorTexts } from './selectors.ts';
import type { Sequencer } from './sequencer.ts';

/** Turns active policies and profiles into what a data plane understands, and keeps alive the IP sets that they name. */
export class RuleScanner implements CalcNode {
  readonly name = 'rule-scanner';
  readonly consumes = [] as const;
  readonly feeds = ['ip-set-members', 'sequencer'] as const;
  readonly localEndpointsOnly = true;
  readonly #members: IpSetMembers;
  readonly #sequencer: Sequencer;
  readonly #selectors = new SelectorTexts();
  /** The sets of each policy and profile, each once. */
  readonly #setsOf = new Map<string, ReadonlySet<IpSetId>>();
  readonly #useCounts = new Map<IpSetId, number>();
  /** Unused when last looked at; gone at the flush, unless wanted again. */
  readonly #idle = new Set<IpSetId>();

  constructor(members: IpSetMembers, sequencer: Sequencer) {
    this.#members = members;
    this.#sequencer = sequencer;
  }

  setPolicy(path: KeyPath, policy: PolicyValue): void {
    const { kind, name, tier, types } = policy;
    const specs: IpSetSpec[] = [];
    const resolved: ResolvedPolicy = {
      ...(policy.namespace === undefined ? {} : { namespace: policy.namespace }),
      name,
      tier,
      kind,
      ...(policy.staged === undefined ? {} : { staged: policy.staged }),
      ...stageOf(policy),
      // Rules of a direction that the policy does not govern are never looked at.
      ingress: types.ingress ? this.#resolved(policy.ingress, specs) : [],
      egress: types.egress ? this.#resolved(policy.egress, specs) : [],
    };
    this.#use(`policy ${path}`, specs);
    this.#sequencer.policies.set(path, resolved);
  }

  deletePolicy(path: KeyPath): void {
    this.#use(`policy ${path}`, []);
    this.#sequencer.policies.delete(path);
  }

  /** @param profile - null when there is none of that name. */
  setProfile(name: string, profile: ProfileValue | null): void {
    const specs: IpSetSpec[] = [];
    const resolved: ResolvedProfile = {
      missing: profile === null,
      ingress: this.#resolved(profile?.ingress ?? [], specs),
      egress: this.#resolved(profile?.egress ?? [], specs),
    };
    this.#use(`profile ${name}`, specs);
    this.#sequencer.profiles.set(name, resolved);
  }

  deleteProfile(name: string): void {
    this.#use(`profile ${name}`, []);
    this.#sequencer.profiles.delete(name);
  }

  onChange(): void {}

  *flush(): Work {
    this.#selectors.forget(); // those who have rules to be scanned flush before
    for (const id of this.#idle) {
      if (!this.#useCounts.has(id)) this.#members.deleteSet(id);
      yield;
    }
    this.#idle.clear();
  }

  #resolved(rules: readonly ModelRule[], specs: IpSetSpec[]): ResolvedRule[] {
    const resolved: ResolvedRule[] = [];
    for (const modelRule of rules) {
      const result = resolveRule(modelRule, this.#selectors);
      if (!result) continue;
      resolved.push(result.rule);
      specs.push(...result.sets);
    }
    return resolved;
  }

  /** The new sets are counted before the old ones are let go, so that what stays does not end and begin. */
  #use(owner: string, specs: readonly IpSetSpec[]): void {
    const sets = new Map(specs.map((spec) => [spec.id, spec]));
    for (const spec of sets.values()) {
      if (increment(this.#useCounts, spec.id) === 1 && !this.#idle.has(spec.id)) this.#members.addSet(spec);
    }
    for (const id of this.#setsOf.get(owner) ?? []) {
      if (decrement(this.#useCounts, id) === 0) this.#idle.add(id);
    }
    if (sets.size > 0) this.#setsOf.set(owner, new Set(sets.keys()));
    else this.#setsOf.delete(owner);
  }
}

function stageOf({ hostTraffic }: PolicyValue): Pick<ResolvedPolicy, 'stage'> {
  return hostTraffic === 'untracked' || hostTraffic === 'pre-dnat' ? { stage: hostTraffic } : {};
}
