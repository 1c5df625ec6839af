// SPDX-License-Identifier: Apache-2.0
/** Which interface of this host is which host endpoint's. Workloads' links are never one's. */
import { claimantOf, claimantOfOthers, type HostEndpoints } from '../../contract/host-claims.ts';
import type { Address, IfName, KeyPath } from '../../lib/brand.ts';

export interface HostClaims {
  readonly byInterface: ReadonlyMap<IfName, KeyPath>;
  /** The `*` endpoint: every host interface that none of the others claims. */
  readonly others: KeyPath | null;
}

export const noClaims: HostClaims = { byInterface: new Map(), others: null };

/** @param addresses - of each link of the host. */
export function hostClaims(
  endpoints: HostEndpoints,
  addresses: ReadonlyMap<IfName, readonly Address[]>,
  workloadPrefix: string,
): HostClaims {
  const named = [...endpoints.values()].flatMap(({ ifName }) =>
    ifName === null || ifName === '*' ? [] : [ifName],
  );
  const byInterface = new Map<IfName, KeyPath>();
  for (const name of new Set([...named, ...addresses.keys()])) {
    if (name.startsWith(workloadPrefix)) continue;
    const id = claimantOf(endpoints, { name, addresses: addresses.get(name) ?? [] });
    if (id !== null) byInterface.set(name, id);
  }
  return { byInterface, others: claimantOfOthers(endpoints) };
}

export function sameClaims(a: HostClaims, b: HostClaims): boolean {
  const text = ({ byInterface, others }: HostClaims) => JSON.stringify([[...byInterface].sort(), others]);
  return text(a) === text(b);
}
