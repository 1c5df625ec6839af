// SPDX-License-Identifier: Apache-2.0
/** Compiled rules, policies and endpoints in few words, for tests of what reads them. */
import { anyPeer } from '../../src/calc/resolve-rule.ts';
import type { CompiledNode } from '../../src/contract/compiled.ts';
import type {
  IpSet,
  PeerMatch,
  ResolvedEndpoint,
  ResolvedPolicy,
  ResolvedRule,
  ResolvedTier,
} from '../../src/contract/dataplane.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { IfName, KeyPath } from '../../src/lib/brand.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';

/** Texts are taken as they are: write canonical CIDRs and ids. */
export type PeerFields = { readonly [K in keyof PeerMatch]?: readonly (PeerMatch[K][number] | string)[] };

export function resolvedRule(
  action: ResolvedRule['action'],
  fields: Omit<Partial<ResolvedRule>, 'src' | 'dst' | 'action'> & { src?: PeerFields; dst?: PeerFields } = {},
): ResolvedRule {
  const { src = {}, dst = {}, ...rest } = fields;
  return {
    action,
    ...rest,
    src: { ...anyPeer, ...src } as PeerMatch,
    dst: { ...anyPeer, ...dst } as PeerMatch,
  };
}

export function resolvedPolicy(
  tier: string,
  ingress: readonly ResolvedRule[],
  egress: readonly ResolvedRule[] = [],
): ResolvedPolicy {
  return { name: 'p', tier, kind: 'GlobalNetworkPolicy', ingress, egress };
}

export function resolvedTier(
  name: string,
  defaultAction: ResolvedTier['defaultAction'],
  ingress: readonly string[],
  egress: readonly string[] = [],
): ResolvedTier {
  return {
    name,
    defaultAction,
    ingress: ingress as readonly KeyPath[],
    egress: egress as readonly KeyPath[],
  };
}

export function resolvedEndpoint(
  name: string,
  addresses: readonly string[],
  fields: Partial<ResolvedEndpoint> = {},
): ResolvedEndpoint {
  const ifName = 'cali0' as IfName;
  return {
    name,
    ifName,
    adminUp: true,
    tiers: [],
    profiles: [],
    ...fields,
    addresses: addresses.map(parseAddress),
  };
}

export function netSet(...members: readonly string[]): IpSet {
  return { type: 'net', members, description: 'test' };
}

export function portSet(...members: readonly string[]): IpSet {
  return { type: 'ip-port', members, description: 'test' };
}

export function stateOf(compiled: Partial<CompiledNode>): DataplaneState {
  return DataplaneState.fromCompiled(compiled);
}
