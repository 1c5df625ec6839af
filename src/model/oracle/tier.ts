// SPDX-License-Identifier: Apache-2.0
/** Tiers in order of evaluation, each with its policies in order of evaluation. */
import type { Resource } from '../types.ts';
import { fieldsIn, numberIn, textIn } from './fields.ts';
import type { Policy } from './policy.ts';

export interface Tier {
  readonly name: string;
  readonly defaultAction: 'deny' | 'pass';
  readonly policies: readonly Policy[];
}

interface StoredTier {
  readonly name: string;
  readonly order: number;
  readonly defaultAction: 'deny' | 'pass';
}

/** They exist whether stored or not, and cannot be otherwise. */
const fixedTiers: readonly StoredTier[] = [
  { name: 'kube-admin', order: 1_000, defaultAction: 'pass' },
  { name: 'default', order: 1_000_000, defaultAction: 'deny' },
  { name: 'kube-baseline', order: 10_000_000, defaultAction: 'pass' },
];
/** The API's default for a Tier that says none. */
const unsetTierOrder = 1_000_000;

export function tiersOf(resources: readonly Resource[], policies: readonly Policy[]): Tier[] {
  const stored = resources.filter((resource) => resource.kind === 'Tier').map(storedTier);
  const isFixed = (tier: StoredTier) => fixedTiers.some((fixed) => fixed.name === tier.name);
  const existing = [...fixedTiers, ...stored.filter((tier) => !isFixed(tier))];
  existing.sort((a, b) => compareNumbers(a.order, b.order) || compareTexts(a.name, b.name));
  const named = new Set(policies.map((policy) => policy.tier));
  const missing = [...named]
    .filter((name) => !existing.some((tier) => tier.name === name))
    .sort(compareTexts);
  const all = [...existing, ...missing.map((name) => ({ name, defaultAction: 'deny' as const }))];
  return all.map(({ name, defaultAction }) => ({
    name,
    defaultAction,
    policies: policies.filter((policy) => policy.tier === name).sort(comparePolicies),
  }));
}

function storedTier(resource: Resource): StoredTier {
  const spec = fieldsIn(resource, 'spec');
  return {
    name: resource.metadata.name,
    order: numberIn(spec, 'order') ?? unsetTierOrder,
    defaultAction: textIn(spec, 'defaultAction') === 'Pass' ? 'pass' : 'deny',
  };
}

function comparePolicies(a: Policy, b: Policy): number {
  return (
    compareNumbers(a.order, b.order) ||
    compareTexts(a.name, b.name) ||
    compareTexts(a.namespace, b.namespace) ||
    compareTexts(a.kind, b.kind)
  );
}

/** Infinity equals itself here; subtraction would not say so. */
function compareNumbers(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
