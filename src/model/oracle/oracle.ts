// SPDX-License-Identifier: Apache-2.0
/**
 * The policy oracle: what becomes of a packet, said slowly and obviously. The one source of the semantics.
 *
 * Owns:       the order of tiers, policies, rules and profiles, and what each end of a list means.
 * Takes in:   every resource of the cluster as users write them, valid, defaults filled in or not; the first packet of a
 *             flow by its addresses.
 * Gives out:  allowed or not, and for each end that is a pod the chain of tier, policy, rule that led to it.
 * Invariants: it shares nothing with the calculation graph and the evaluators but addresses and the selector's grammar,
 *             so that it is a second opinion: test/conformance holds them and every data plane to it.
 *             No index, no cache, no cleverness: scans over all there is. An address is at most one pod's.
 *             Workloads only: the node's own traffic, forged sources and encapsulated packets are not its matter.
 * Next:       owner.ts (who an address is), calico-policy.ts and calico-rule.ts, kubernetes-policy.ts.
 */
import { assertNever } from '../../lib/errors.ts';
import type { Resource } from '../types.ts';
import { calicoPolicy, isForWorkloads } from './calico-policy.ts';
import { kubernetesPolicy } from './kubernetes-policy.ts';
import { type Owner, ownersOf, owns, type Pod } from './owner.ts';
import { type Direction, type OraclePacket, type Policy, policyPath, type Rule } from './policy.ts';
import { type Profile, profilesOf } from './profile.ts';
import { type Tier, tiersOf } from './tier.ts';

export interface Judgement {
  readonly allowed: boolean;
  /** Of the pod that sends; null when no pod does, or when it sends to itself. */
  readonly egress: Chain | null;
  /** Of the pod that receives; likewise. */
  readonly ingress: Chain | null;
}

export interface Chain {
  /** `namespace/pod`. */
  readonly pod: string;
  readonly verdict: 'allow' | 'deny';
  /** Everything that matched or ended, in order; the last one decided. */
  readonly links: readonly ChainLink[];
}

export type ChainLink =
  | {
      readonly at: 'rule';
      readonly tier: string;
      /** `Kind/[namespace/]name`. */
      readonly policy: string;
      /** From 0, among the direction's rules as written. */
      readonly rule: number;
      readonly action: Rule['action'];
    }
  | { readonly at: 'end-of-tier'; readonly tier: string; readonly action: 'deny' | 'pass' }
  | {
      readonly at: 'profile-rule';
      readonly profile: string;
      readonly rule: number;
      readonly action: Rule['action'];
    }
  | { readonly at: 'missing-profile'; readonly profile: string; readonly action: 'deny' }
  | { readonly at: 'end-of-profiles'; readonly action: 'deny' };

interface World {
  readonly owners: readonly Owner[];
  readonly tiers: readonly Tier[];
  readonly policies: readonly Policy[];
  readonly profiles: readonly Profile[];
}

/** @throws {UnsupportedError} {SelectorError} {InvalidError} when a resource is not valid, or not for workloads alone. */
export function judge(resources: readonly Resource[], packet: OraclePacket): Judgement {
  return oracleOf(resources)(packet);
}

/** The same for many packets: resources are read once. */
export function oracleOf(resources: readonly Resource[]): (packet: OraclePacket) => Judgement {
  const owners = ownersOf(resources);
  const policies = resources.flatMap((resource) => policyOf(resource, owners, resources) ?? []);
  const world: World = {
    owners,
    policies,
    tiers: tiersOf(resources, policies),
    profiles: profilesOf(resources, owners),
  };
  return (packet) => judgeIn(world, packet);
}

function judgeIn(world: World, packet: OraclePacket): Judgement {
  const pods = world.owners.filter((owner) => owner.pod !== null);
  const from = pods.find((owner) => owns(owner, packet.from));
  const to = pods.find((owner) => owns(owner, packet.to));
  if (from && from === to) return { allowed: true, egress: null, ingress: null };
  const egress = from ? chainOf(world, from, 'egress', packet) : null;
  const ingress = to ? chainOf(world, to, 'ingress', packet) : null;
  return { allowed: egress?.verdict !== 'deny' && ingress?.verdict !== 'deny', egress, ingress };
}

function policyOf(
  resource: Resource,
  owners: readonly Owner[],
  resources: readonly Resource[],
): Policy | null {
  if (resource.kind === 'NetworkPolicy' && resource.apiVersion.startsWith('networking.k8s.io/')) {
    return kubernetesPolicy(resource, owners, resources);
  }
  if (resource.kind !== 'NetworkPolicy' && resource.kind !== 'GlobalNetworkPolicy') return null;
  return isForWorkloads(resource) ? calicoPolicy(resource, resource.kind, owners) : null;
}

function chainOf(world: World, endpoint: Owner, direction: Direction, packet: OraclePacket): Chain {
  const pod = endpoint.pod;
  if (!pod) throw new TypeError(`${endpoint.name} is no pod`);
  const links: ChainLink[] = [];
  const verdict =
    tiersVerdict(world, endpoint, direction, packet, links) ??
    profilesVerdict(world, pod, direction, packet, links);
  return { pod: `${pod.namespace}/${pod.name}`, verdict, links };
}

/** Null when every tier passed. */
function tiersVerdict(
  world: World,
  endpoint: Owner,
  direction: Direction,
  packet: OraclePacket,
  links: ChainLink[],
): 'allow' | 'deny' | null {
  for (const tier of world.tiers) {
    const policies = tier.policies.filter((policy) => policy.governs[direction] && policy.selects(endpoint));
    if (policies.length === 0) continue; // no say in it, whatever its default action
    const verdict = tierVerdict(tier, policies, direction, packet, links);
    if (verdict !== 'pass') return verdict;
  }
  return null;
}

function tierVerdict(
  tier: Tier,
  policies: readonly Policy[],
  direction: Direction,
  packet: OraclePacket,
  links: ChainLink[],
): 'allow' | 'deny' | 'pass' {
  for (const policy of policies) {
    const decided = firstDecision(policy.rules[direction], packet, (rule, action) =>
      links.push({ at: 'rule', tier: tier.name, policy: policyPath(policy), rule, action }),
    );
    if (decided) return decided;
  }
  links.push({ at: 'end-of-tier', tier: tier.name, action: tier.defaultAction });
  return tier.defaultAction;
}

function profilesVerdict(
  world: World,
  pod: Pod,
  direction: Direction,
  packet: OraclePacket,
  links: ChainLink[],
): 'allow' | 'deny' {
  for (const name of pod.profiles) {
    const profile = world.profiles.find((candidate) => candidate.name === name);
    if (!profile) {
      links.push({ at: 'missing-profile', profile: name, action: 'deny' });
      return 'deny';
    }
    const decided = firstDecision(profile.rules[direction], packet, (rule, action) =>
      links.push({ at: 'profile-rule', profile: name, rule, action }),
    );
    if (decided === 'allow' || decided === 'deny') return decided; // pass: there is no tier to pass to but the next profile
  }
  links.push({ at: 'end-of-profiles', action: 'deny' });
  return 'deny';
}

/** The first rule that matches decides, unless it only logs. */
function firstDecision(
  rules: readonly Rule[],
  packet: OraclePacket,
  onMatch: (rule: number, action: Rule['action']) => void,
): 'allow' | 'deny' | 'pass' | null {
  for (const [index, rule] of rules.entries()) {
    if (!rule.matches(packet)) continue;
    onMatch(index, rule.action);
    switch (rule.action) {
      case 'allow':
      case 'deny':
      case 'pass':
        return rule.action;
      case 'log':
        break;
      default:
        assertNever(rule.action);
    }
  }
  return null;
}
