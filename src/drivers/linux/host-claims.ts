// SPDX-License-Identifier: Apache-2.0
/**
 * Which interface of this host is which host endpoint's.
 *
 * By name, also before the link is there, so that it is policed from its first packet; without a name by one of its
 * addresses. Of several that claim one interface the first by id has it. Workloads' links are never a host endpoint's.
 *
 * @see felix/dataplane/linux/endpoint_mgr.go, resolveHostEndpoints
 */
import type { ResolvedHostEndpoint } from '../../contract/dataplane.ts';
import type { Address, IfName, KeyPath } from '../../lib/brand.ts';

export interface HostClaims {
  readonly byInterface: ReadonlyMap<IfName, KeyPath>;
  /** The `*` endpoint: every host interface that none of the others claims. */
  readonly others: KeyPath | null;
}

export const noClaims: HostClaims = { byInterface: new Map(), others: null };

/** @param addresses - of each link of the host. */
export function hostClaims(
  endpoints: ReadonlyMap<KeyPath, ResolvedHostEndpoint>,
  addresses: ReadonlyMap<IfName, readonly Address[]>,
  workloadPrefix: string,
): HostClaims {
  const byInterface = new Map<IfName, KeyPath>();
  let others: KeyPath | null = null;
  for (const [id, endpoint] of [...endpoints].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (endpoint.ifName === '*') others ??= id;
    for (const ifName of claimedBy(endpoint, addresses)) {
      if (!ifName.startsWith(workloadPrefix) && !byInterface.has(ifName)) byInterface.set(ifName, id);
    }
  }
  return { byInterface, others };
}

export function sameClaims(a: HostClaims, b: HostClaims): boolean {
  const text = ({ byInterface, others }: HostClaims) => JSON.stringify([[...byInterface].sort(), others]);
  return text(a) === text(b);
}

function claimedBy(
  { ifName, addresses: expected }: ResolvedHostEndpoint,
  addresses: ReadonlyMap<IfName, readonly Address[]>,
): readonly IfName[] {
  if (ifName === '*') return [];
  if (ifName !== null) return [ifName];
  return [...addresses]
    .filter(([, own]) => own.some((each) => expected.includes(each)))
    .map(([name]) => name);
}
