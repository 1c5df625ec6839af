// SPDX-License-Identifier: Apache-2.0
/** Which lists of an endpoint's tiers count: those in force, or those that would be with every staged policy in force. */
import type { Direction, ResolvedTier } from '../contract/dataplane.ts';

export type TierView = (tiers: readonly ResolvedTier[]) => readonly ResolvedTier[];

export const asEnforced: TierView = (tiers) => tiers;

export const withStaged: TierView = (tiers) =>
  tiers.map((tier) => (tier.pending ? { ...tier, ...tier.pending } : tier));

/** Whether a staged policy would change the endpoint's lists. */
export function isStaged(tiers: readonly ResolvedTier[], direction: Direction): boolean {
  return tiers.some(({ [direction]: enforced, pending }) => {
    const would = pending?.[direction] ?? enforced;
    return would.length !== enforced.length || would.some((id, i) => id !== enforced[i]);
  });
}
