// SPDX-License-Identifier: Apache-2.0
/**
 * One policy or profile, one direction, one family: a chain that many endpoints share.
 *
 * A verdict that ends policy is taken where it is found: Deny drops, Allow goes to the chain that all policies of that
 * direction share. Only Pass depends on who asks (the next tier differs from endpoint to endpoint): it sets a mark and
 * returns, and the tier's chain looks at the mark behind the jump.
 */
import type { Direction, ResolvedRule } from '../contract/dataplane.ts';
import type { Family } from '../lib/address.ts';
import { assertNever } from '../lib/errors.ts';
import { hasPorts } from '../lib/protocol.ts';
import { type Action, type Chain, type ChainRule, type Match, rule } from './chain.ts';
import { classify, type Footprint, type Item } from './classify.ts';
import { matchesOf } from './match.ts';
import { type Merge, mergeSets } from './merge.ts';

/**
 * Where Allow leads: past the source's policy a packet meets the destination's, past that it is accepted. Policies of one
 * stage of hosts' traffic have an end of their own.
 */
export const allowedChain: { readonly [D in Direction]: string } = {
  egress: 'x-allowed',
  ingress: 'x-accept',
};
export const stageAllowedChain = { untracked: 'x-untracked', 'pre-dnat': 'x-pre-dnat' } as const;

/** What a list of rules needs of its owner, be it a policy or a profile. */
export interface RuleListOwner {
  /** The chain's name. */
  readonly chain: string;
  /** `default/allow-web`, for comments. */
  readonly title: string;
  /** Of what Log writes: `calico-packet ingress default/allow-web`. */
  readonly logPrefix: string;
  /** The chain to which Allow leads. */
  readonly allowed: string;
  /** What Pass does: leave the tier, or, in a profile, go on to the next profile. */
  readonly onPass: 'mark' | 'return';
}

export interface RuleListChains {
  /** The owner's chain first, then the cells it needs. */
  readonly chains: readonly Chain[];
  readonly footprint: Footprint;
  /** No rule can do anything but allow. */
  readonly commutes: boolean;
  readonly passes: boolean;
  /** The one rule, for lists of one: so short that it may stand where others would jump to it. */
  readonly only: ChainRule | null;
}

export function ruleListChains(
  owner: RuleListOwner,
  rules: readonly ResolvedRule[],
  direction: Direction,
  family: Family,
  merge: Merge = mergeSets,
): RuleListChains {
  const items = rules.flatMap((resolved, index) => itemOf(owner, resolved, index, direction, family));
  const { steps, chains } = classify([owner.chain], items.map(cuttable), merge);
  return {
    chains: [{ name: owner.chain, steps }, ...chains],
    footprint: joinFootprints(items.map((item) => item.footprint)),
    commutes: items.every((item) => item.commutes),
    only: onlyRule(items),
    passes: rules.some((resolved) => resolved.action === 'pass') && owner.onPass === 'mark',
  };
}

/** A profile that nobody stored: it denies what comes to it, so that no later one speaks in its place. */
export function missingProfile(chain: string, title: string): RuleListChains {
  const steps = [rule([], { kind: 'drop' }, `${title} is missing`)];
  return { chains: [{ name: chain, steps }], footprint: 'any', commutes: false, passes: false, only: null };
}

function onlyRule(items: readonly RuleItem[]): ChainRule | null {
  const [first, ...others] = items.flatMap((item) => item.steps);
  return first?.kind === 'rule' && others.length === 0 && !items.some((item) => item.returns) ? first : null;
}

/** What is left of a rule where protocol and destination port are known: a cell of the cut says them. */
export function withoutPort(step: ChainRule): ChainRule {
  const known = (match: Match) =>
    (match.kind === 'protocol' && !match.negate) ||
    (match.kind === 'ports' && match.side === 'dst' && !match.negate);
  return { ...step, match: step.match.filter((match) => !known(match)) };
}

interface RuleItem extends Item {
  readonly returns: boolean;
}

function itemOf(
  owner: RuleListOwner,
  resolved: ResolvedRule,
  index: number,
  direction: Direction,
  family: Family,
): RuleItem[] {
  const comment = `${owner.title} ${direction} rule ${index}`;
  const steps = matchesOf(resolved, family).flatMap((match) => ruleSteps(owner, resolved, match, comment));
  if (steps.length === 0) return [];
  return [
    {
      id: String(index),
      footprint: footprintOf(resolved),
      commutes: resolved.action === 'allow',
      returns: resolved.action === 'pass',
      steps,
      // several steps are alternatives, each of which may be meant for other ports
      cellSteps: steps.length === 1 ? steps.map(withoutPort) : steps,
    },
  ];
}

/** A return out of a cell leads back to the rules behind the cut, not to the tier: such a rule is walked. */
function cuttable(item: RuleItem): Item {
  return item.returns ? { ...item, footprint: 'any' } : item;
}

function ruleSteps(
  owner: RuleListOwner,
  resolved: ResolvedRule,
  match: readonly Match[],
  comment: string,
): ChainRule[] {
  const actions = actionsOf(owner, resolved);
  return actions.map((action) => rule(match, action, comment));
}

function actionsOf(owner: RuleListOwner, resolved: ResolvedRule): readonly Action[] {
  switch (resolved.action) {
    case 'allow':
      return [{ kind: 'goto', chain: owner.allowed }];
    case 'deny':
      return [{ kind: 'drop' }];
    case 'pass':
      return owner.onPass === 'mark'
        ? [{ kind: 'set-mark', mark: 'passed' }, { kind: 'return' }]
        : [{ kind: 'return' }];
    case 'log':
      return [{ kind: 'log', prefix: `${owner.logPrefix}: ` }];
    default:
      return assertNever(resolved.action);
  }
}

/** Named ports have addresses of their own, so such a rule may match at any port. */
function footprintOf(resolved: ResolvedRule): Footprint {
  const { protocol, dst } = resolved;
  if (protocol === undefined || !hasPorts(protocol) || dst.portSets.length > 0) return 'any';
  if (dst.ports.length === 0) return [{ protocol, ports: { first: 0, last: 65535 } }];
  return dst.ports.map((ports) => ({ protocol, ports }));
}

function joinFootprints(footprints: readonly Footprint[]): Footprint {
  const joined: { protocol: number; ports: { first: number; last: number } }[] = [];
  for (const footprint of footprints) {
    if (footprint === 'any') return 'any';
    for (const part of footprint) joined.push(part);
  }
  return joined;
}
