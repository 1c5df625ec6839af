// SPDX-License-Identifier: Apache-2.0
import { claimantOf, claimantOfOthers, type HostLink } from '../contract/host-claims.ts';
import type { KeyPath } from '../lib/brand.ts';
import type { DataplaneState } from './dataplane-state.ts';

/** Which host endpoint polices a link of this host. Null: none has a say there. @param link - never a workload's. */
export function hostEndpointAt({ hostEndpoints }: DataplaneState, link: HostLink): KeyPath | null {
  return claimantOf(hostEndpoints, link) ?? claimantOfOthers(hostEndpoints);
}
