// SPDX-License-Identifier: Apache-2.0
/**
 * Which host endpoint polices a link: what data planes program and what explain says follow from the same words.
 *
 * By name, also before the link is there, so that it is policed from its first packet; without a name by one of its
 * addresses. Of several that claim one link the first by id has it; `*` has what none of them claims.
 *
 * @see felix/dataplane/linux/endpoint_mgr.go, resolveHostEndpoints
 */
import type { Address, IfName, KeyPath } from '../lib/brand.ts';
import type { ResolvedHostEndpoint } from './dataplane.ts';

export type HostEndpoints = ReadonlyMap<KeyPath, ResolvedHostEndpoint>;

export interface HostLink {
  /** Null where nobody knows its name: then only addresses and `*` can claim it. */
  readonly name: IfName | null;
  readonly addresses: readonly Address[];
}

/** The one that claims the link by its name or an address. */
export function claimantOf(endpoints: HostEndpoints, link: HostLink): KeyPath | null {
  return firstOf(endpoints, (endpoint) => claims(endpoint, link));
}

/** The `*` endpoint. */
export function claimantOfOthers(endpoints: HostEndpoints): KeyPath | null {
  return firstOf(endpoints, ({ ifName }) => ifName === '*');
}

function firstOf(
  endpoints: HostEndpoints,
  wanted: (endpoint: ResolvedHostEndpoint) => boolean,
): KeyPath | null {
  let first: KeyPath | null = null;
  for (const [id, endpoint] of endpoints) {
    if (wanted(endpoint) && (first === null || id < first)) first = id;
  }
  return first;
}

function claims({ ifName, addresses }: ResolvedHostEndpoint, link: HostLink): boolean {
  if (ifName === '*') return false;
  if (ifName !== null) return ifName === link.name;
  return addresses.some((address) => link.addresses.includes(address));
}
