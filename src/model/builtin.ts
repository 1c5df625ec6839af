// SPDX-License-Identifier: Apache-2.0
/** What exists without being stored: three tiers and one profile, which nobody can change or delete. */
import { pathOf } from './kinds.ts';
import type { ModelRule, ProfileValue, ResourceKey, TierValue, Update } from './types.ts';

export const defaultTier = 'default';
/** For host endpoints that the controllers make; lists no labels and allows both ways. */
export const defaultAllowProfile = 'projectcalico-default-allow';

export interface BuiltinTier {
  readonly order: number;
  readonly defaultAction: 'Deny' | 'Pass';
}

export const builtinTiers: ReadonlyMap<string, BuiltinTier> = new Map([
  ['kube-admin', { order: 1_000, defaultAction: 'Pass' }],
  [defaultTier, { order: 1_000_000, defaultAction: 'Deny' }],
  ['kube-baseline', { order: 10_000_000, defaultAction: 'Pass' }],
]);

const anyPeer = { nets: [], notNets: [], ports: [], namedPorts: [], notPorts: [], notNamedPorts: [] };
export const allowAll: ModelRule = { action: 'allow', source: anyPeer, destination: anyPeer };

/** To feed to the graph before anything that is stored. */
export function builtinUpdates(): Update[] {
  const tiers = [...builtinTiers.keys()].map((name): Update => tierUpdate(name));
  const value: ProfileValue = {
    name: defaultAllowProfile,
    labels: {},
    ingress: [allowAll],
    egress: [allowAll],
  };
  return [...tiers, { kind: 'Profile', path: pathOf('Profile', undefined, defaultAllowProfile), value }];
}

/** The update that stands for a built-in object whatever is stored under its key; null for any other key. */
export function builtinUpdate(key: ResourceKey): Update | null {
  if (key.kind === 'Tier' && builtinTiers.has(key.name)) return tierUpdate(key.name);
  if (key.kind === 'Profile' && key.name === defaultAllowProfile) return builtinUpdates().at(-1) ?? null;
  return null;
}

function tierUpdate(name: string): Update {
  const tier = builtinTiers.get(name);
  if (!tier) throw new TypeError(`no built-in tier ${name}`);
  const value: TierValue = {
    name,
    order: tier.order,
    defaultAction: tier.defaultAction === 'Deny' ? 'deny' : 'pass',
  };
  return { kind: 'Tier', path: pathOf('Tier', undefined, name), value };
}
