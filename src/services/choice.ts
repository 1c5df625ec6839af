// SPDX-License-Identifier: Apache-2.0
/**
 * Which endpoints count: the ready ones; where there is none, those that end and still serve. Of several near and far
 * ones the near, where all of them say for whom they are meant.
 *
 * @see kubernetes pkg/proxy/topology.go; KEP-1669 (terminating endpoints), KEP-2433 (hints), KEP-3015 (same node)
 */
import type { PortEndpoint } from './endpoint.ts';

/** The place of this node. */
export interface Here {
  readonly node: string;
  /** Its label topology.kubernetes.io/zone; empty: nobody says. */
  readonly zone: string;
}

export interface Choice {
  /** For traffic policy Cluster. */
  readonly cluster: readonly PortEndpoint[];
  /** For traffic policy Local: those on this node. */
  readonly local: readonly PortEndpoint[];
  /** Every one that counts, the same on every node. Empty: the service is not answered anywhere. */
  readonly everywhere: readonly PortEndpoint[];
}

export function choose(endpoints: readonly PortEndpoint[], here: Here): Choice {
  const everywhere = readyElseServing(endpoints);
  const local = readyElseServing(endpoints.filter(({ node }) => node === here.node));
  const isReady = everywhere.some(({ ready }) => ready);
  return { everywhere, local, cluster: isReady ? nearest(everywhere, here) : everywhere };
}

function readyElseServing(endpoints: readonly PortEndpoint[]): readonly PortEndpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : endpoints.filter(({ serving, terminating }) => serving && terminating);
}

/** Hints count only if every ready endpoint has some, and at least one of them is for here. */
function nearest(ready: readonly PortEndpoint[], here: Here): readonly PortEndpoint[] {
  return (
    meantFor(ready, here.node, ({ nodeHints }) => nodeHints) ??
    meantFor(ready, here.zone, ({ zoneHints }) => zoneHints) ??
    ready
  );
}

function meantFor(
  ready: readonly PortEndpoint[],
  place: string,
  hintsOf: (endpoint: PortEndpoint) => readonly string[],
): readonly PortEndpoint[] | null {
  if (ready.some((endpoint) => hintsOf(endpoint).length === 0)) return null;
  const near = ready.filter((endpoint) => hintsOf(endpoint).includes(place));
  return near.length > 0 ? near : null;
}
