// SPDX-License-Identifier: Apache-2.0
import type {
  DataplaneConfig,
  IpSet,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  Route,
} from './dataplane.ts';

/**
 * All that the graph sends to one node, as one JSON object: what `muslin policy compile` prints and
 * `muslin policy eval --rules` reads. Keys are the messages' ids, in order of code units.
 */
export interface CompiledNode {
  readonly ipSets: { readonly [id: string]: IpSet };
  readonly policies: { readonly [path: string]: ResolvedPolicy };
  readonly profiles: { readonly [name: string]: ResolvedProfile };
  readonly endpoints: { readonly [path: string]: ResolvedEndpoint };
  readonly hostEndpoints: { readonly [path: string]: ResolvedHostEndpoint };
  readonly config: DataplaneConfig;
  readonly routes: { readonly [cidr: string]: Route };
  /** Tunnel ends of other nodes; none while there is no overlay. */
  readonly vteps: readonly never[];
}
