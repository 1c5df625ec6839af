// SPDX-License-Identifier: Apache-2.0
/**
 * An endpoint's list, one direction: tiers in order, then profiles, then drop. Endpoints with equal lists share them, and
 * equal tiers of different lists share theirs, as a chain's name is a function of what it holds.
 *
 *     endpoint -> list: jump tier 1, jump tier 2, ..., jump profile 1, ..., drop      what passes a tier comes back
 *
 * Tiers stand side by side, not one behind the other: nftables lets a chain be at most 16 deep below its hook, and counts
 * gotos like jumps (NFT_JUMP_STACK_SIZE, nft_chain_validate in net/netfilter/nf_tables_api.c, 6.18).
 *
 * @see Calico documentation, "Get started with tiered network policy": end of tier, Pass, profiles after tiers
 */
import type { Direction, ResolvedEndpoint, ResolvedTier } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { type Chain, type ChainRule, rule, type Step } from './chain.ts';
import { classify, type Item } from './classify.ts';
import { type Merge, mergeSets } from './merge.ts';
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

/**
 * @param undecided - what befalls packets that neither tiers nor profiles decided.
 * @param merge - what neighbours in a tier become.
 * @returns the chain where the endpoint's policy starts, and every chain of the list from there on.
 */
export function listChains(
  endpoint: Pick<ResolvedEndpoint, 'tiers' | 'profiles'>,
  direction: Direction,
  sources: ListSources,
  undecided: 'drop' | 'accept' = 'drop',
  merge: Merge = mergeSets,
): { first: string; chains: readonly Chain[] } {
  const tiers = endpoint.tiers
    .filter((tier) => tier[direction].length > 0)
    .map((tier) => tierChains(tier, direction, sources, merge));
  const profiles = endpoint.profiles.map((name) => sources.profileChain(name, direction));
  const members = [...tiers.map(([tier]) => tier.name), ...profiles];
  const first = chainName('e', 'list', [direction, undecided, ...members]);
  const steps = [
    ...members.map((chain) => rule([], { kind: 'jump', chain })),
    undecided === 'drop'
      ? rule([], { kind: 'drop' }, `no profile allowed ${direction}`)
      : rule([], { kind: 'accept' }, `no policy decided ${direction}`),
  ];
  return { first, chains: [{ name: first, steps }, ...tiers.flat()] };
}

function tierChains(
  tier: ResolvedTier,
  direction: Direction,
  sources: ListSources,
  merge: Merge,
): readonly [Chain, ...Chain[]] {
  const name = chainName('t', tier.name, [direction, tier.name, tier.defaultAction, ...tier[direction]]);
  const policies = tier[direction].map((id) => sources.policy(id, direction));
  const { steps, chains } = classify([name], policies.map(itemOf), merge);
  const passes = policies.some((policy) => policy.passes);
  const clear: Step[] = passes ? [rule([], { kind: 'clear-mark', mark: 'passed' })] : [];
  // What passed in a cell came back from it: it leaves the tier behind the cut.
  const leaving = steps.flatMap((step) =>
    passes && step.kind === 'classify' ? [step, leaveIfPassed()] : [step],
  );
  return [{ name, steps: [...clear, ...leaving, endOfTier(tier, direction)] }, ...chains];
}

function leaveIfPassed(): ChainRule {
  return rule([{ kind: 'mark', mark: 'passed' }], { kind: 'return' });
}

function itemOf(policy: PolicyInList): Item {
  const { id, chain, footprint, commutes } = policy;
  const { only } = policy;
  if (only) return { id, footprint, commutes, steps: [only], cellSteps: [withoutPort(only)] };
  const steps: Step[] = [rule([], { kind: 'jump', chain })];
  if (policy.passes) steps.push(leaveIfPassed());
  return { id, footprint, commutes, steps, cellSteps: steps };
}

function endOfTier(tier: ResolvedTier, direction: Direction): Step {
  const kind = tier.defaultAction === 'pass' ? 'return' : 'drop';
  return rule([], { kind }, `end of tier ${tier.name} ${direction}`);
}
