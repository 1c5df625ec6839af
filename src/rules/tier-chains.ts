// SPDX-License-Identifier: Apache-2.0
/**
 * An endpoint's list, one direction: tiers in order, then profiles, then drop. Endpoints with equal lists share chains,
 * as a chain's name is a function of what follows in the list.
 *
 *     endpoint -> tier 1 -> tier 2 -> ... -> profiles -> drop      each arrow a goto: nothing comes back
 *
 * @see Calico documentation, "Get started with tiered network policy": end of tier, Pass, profiles after tiers
 */
import type { Direction, ResolvedEndpoint, ResolvedTier } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { type Chain, type ChainRule, rule, type Step } from './chain.ts';
import { classify, type Item } from './classify.ts';
import { chainName } from './names.ts';
import { withoutPort } from './policy-chains.ts';

/** What a tier's chain must know of a policy's: how to reach it and what it may do. */
export interface PolicyInList {
  readonly id: KeyPath;
  readonly chain: string;
  readonly footprint: Item['footprint'];
  readonly commutes: boolean;
  readonly passes: boolean;
  /** Its one rule, if it has but one. */
  readonly only: ChainRule | null;
}

export interface ListSources {
  policy(id: KeyPath, direction: Direction): PolicyInList;
  profileChain(name: string, direction: Direction): string;
}

/** @returns the chain where the endpoint's policy starts, and every chain of the list from there on. */
export function listChains(
  endpoint: Pick<ResolvedEndpoint, 'tiers' | 'profiles'>,
  direction: Direction,
  sources: ListSources,
): { first: string; chains: readonly Chain[] } {
  const last = profilesChain(endpoint.profiles, direction, sources);
  const chains: Chain[] = [last];
  let next = last.name;
  for (const tier of endpoint.tiers.filter((candidate) => candidate[direction].length > 0).toReversed()) {
    const [chain, ...cells] = tierChains(tier, direction, next, sources);
    chains.unshift(chain, ...cells);
    next = chain.name;
  }
  return { first: next, chains };
}

function profilesChain(profiles: readonly string[], direction: Direction, sources: ListSources): Chain {
  const jumps = profiles.map((name) =>
    rule([], { kind: 'jump', chain: sources.profileChain(name, direction) }),
  );
  const name = chainName('e', 'profiles', [direction, ...profiles]);
  return { name, steps: [...jumps, rule([], { kind: 'drop' }, `no profile allowed ${direction}`)] };
}

function tierChains(
  tier: ResolvedTier,
  direction: Direction,
  next: string,
  sources: ListSources,
): readonly [Chain, ...Chain[]] {
  const identity = [direction, tier.name, tier.defaultAction, next, ...tier[direction]];
  const name = chainName('t', tier.name, identity);
  const policies = tier[direction].map((id) => sources.policy(id, direction));
  const { steps, chains } = classify(
    [name],
    policies.map((policy) => itemOf(policy, next)),
  );
  const clear: Step[] = policies.some((policy) => policy.passes)
    ? [rule([], { kind: 'clear-mark', mark: 'passed' })]
    : [];
  return [{ name, steps: [...clear, ...steps, endOfTier(tier, direction, next)] }, ...chains];
}

function itemOf(policy: PolicyInList, next: string): Item {
  const { id, chain, footprint, commutes } = policy;
  const steps: Step[] = [rule([], { kind: 'jump', chain })];
  if (policy.passes) steps.push(rule([{ kind: 'mark', mark: 'passed' }], { kind: 'goto', chain: next }));
  return { id, footprint, commutes, steps, cellSteps: policy.only ? [withoutPort(policy.only)] : steps };
}

function endOfTier(tier: ResolvedTier, direction: Direction, next: string): Step {
  if (tier.defaultAction === 'pass') return rule([], { kind: 'goto', chain: next });
  return rule([], { kind: 'drop' }, `end of tier ${tier.name} ${direction}`);
}
