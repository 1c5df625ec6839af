// SPDX-License-Identifier: Apache-2.0
/** Which host endpoint polices a link of this host: the same claims that data planes settle (contract/dataplane.ts). */
import type { ResolvedHostEndpoint } from '../contract/dataplane.ts';
import type { Address, IfName, KeyPath } from '../lib/brand.ts';
import type { DataplaneState } from './dataplane-state.ts';

export interface HostLink {
  /** Null where nobody knows its name: then only addresses and `*` can claim it. */
  readonly name: IfName | null;
  readonly addresses: readonly Address[];
}

/** Null: no endpoint has a say there. @param link - never a workload's. */
export function hostEndpointAt(state: DataplaneState, link: HostLink): KeyPath | null {
  const sorted = [...state.hostEndpoints].sort(([a], [b]) => (a < b ? -1 : 1));
  const claiming = sorted.find(([, endpoint]) => claims(endpoint, link));
  const others = sorted.find(([, { ifName }]) => ifName === '*');
  return (claiming ?? others)?.[0] ?? null;
}

function claims({ ifName, addresses }: ResolvedHostEndpoint, link: HostLink): boolean {
  if (ifName === '*') return false;
  if (ifName !== null) return ifName === link.name;
  return addresses.some((address) => link.addresses.includes(address));
}
