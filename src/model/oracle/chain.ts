// SPDX-License-Identifier: Apache-2.0
/** One endpoint's say about one packet: through its tiers in order, then its profiles. */
import { assertNever } from '../../lib/errors.ts';
import type { Owner } from './owner.ts';
import { type Direction, type OraclePacket, type Policy, policyPath, type Rule } from './policy.ts';
import type { Profile } from './profile.ts';
import type { Tier } from './tier.ts';

/** The cluster, read. */
export interface World {
  readonly owners: readonly Owner[];
  readonly tiers: readonly Tier[];
  readonly profiles: readonly Profile[];
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

/** At which of them a host's packet is; workloads know `normal` alone. */
export type Stage = 'untracked' | 'pre-dnat' | 'normal' | 'forward';

/** Who is asked about what. Links are added as they come about. */
export interface Question {
  readonly endpoint: Owner;
  readonly stage: Stage;
  readonly direction: Direction;
  readonly packet: OraclePacket;
  readonly links: ChainLink[];
}

/** The policies that take part in a stage, and whether the end of a tier there may drop. */
const stages: {
  readonly [S in Stage]: { readonly hears: readonly Policy['traffic'][]; readonly endMayDrop: boolean };
} = {
  untracked: { hears: ['untracked'], endMayDrop: false },
  'pre-dnat': { hears: ['pre-dnat'], endMayDrop: false },
  normal: { hears: ['normal', 'normal-and-forward'], endMayDrop: true },
  forward: { hears: ['normal-and-forward'], endMayDrop: true },
};

/** Null when every tier passed, or none took part. */
export function tiersVerdict(tiers: readonly Tier[], question: Question): 'allow' | 'deny' | null {
  for (const tier of tiers) {
    const policies = tier.policies.filter((policy) => takesPart(policy, question));
    if (policies.length === 0) continue; // no say in it, whatever its default action
    const verdict = tierVerdict(tier, policies, question);
    if (verdict !== 'pass') return verdict;
  }
  return null;
}

function takesPart(policy: Policy, { endpoint, stage, direction }: Question): boolean {
  return (
    stages[stage].hears.includes(policy.traffic) && policy.governs[direction] && policy.selects(endpoint)
  );
}

function tierVerdict(
  tier: Tier,
  policies: readonly Policy[],
  { stage, direction, packet, links }: Question,
): 'allow' | 'deny' | 'pass' {
  for (const policy of policies) {
    const decided = firstDecision(policy.rules[direction], packet, (rule, action) =>
      links.push({ at: 'rule', tier: tier.name, policy: policyPath(policy), rule, action }),
    );
    if (decided) return decided;
  }
  const action = stages[stage].endMayDrop ? tier.defaultAction : 'pass';
  links.push({ at: 'end-of-tier', tier: tier.name, action });
  return action;
}

export function profilesVerdict(
  profiles: readonly Profile[],
  { endpoint, direction, packet, links }: Question,
): 'allow' | 'deny' {
  for (const name of endpoint.profiles) {
    const profile = profiles.find((candidate) => candidate.name === name);
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
