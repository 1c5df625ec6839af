// SPDX-License-Identifier: Apache-2.0
/** What commands read of a running lab: its Pods, and its policies compiled. */
import type { Stored } from '../contract/datastore.ts';
import { type PodView, podView } from '../lab/pod-view.ts';
import { type LabSpec, uplinkName } from '../lab/spec.ts';
import { type Cluster, clusterOf } from './evaluators/cluster.ts';
import type { NodeKnowledge } from './evaluators/cluster-nodes.ts';
import type { Io } from './io.ts';
import { openStore, type Place } from './place.ts';

export async function storedResources(place: Place, io: Io): Promise<readonly Stored[]> {
  await using store = await openStore(place, io, { mayCreate: false });
  return (await store.snapshot()).items;
}

/** Null: nobody says. */
export async function nodeOfPod(
  place: Place,
  namespace: string,
  name: string,
  io: Io,
): Promise<string | null> {
  const stored = await storedResources(place, io);
  const pod = stored.find(
    ({ key }) => key.kind === 'Pod' && key.namespace === namespace && key.name === name,
  );
  return pod ? podView(pod.resource).node : null;
}

/** @param knowledge - of the nodes that it is about. */
export function compiledCluster(stored: readonly Stored[], knowledge: NodeKnowledge): Cluster {
  return clusterOf(
    stored.map((item) => item.resource),
    knowledge,
  );
}

/** A lab's nodes have addresses that no resource says. */
export function labKnowledge(spec: LabSpec): NodeKnowledge {
  return { uplink: uplinkName, nodes: spec.nodes };
}

/** In order of namespace and name; only those that run. */
export function runningPods(stored: readonly Stored[]): readonly PodView[] {
  return stored
    .filter((item) => item.key.kind === 'Pod')
    .map((item) => podView(item.resource))
    .filter((pod) => pod.phase === 'Running' && !pod.hostNetwork);
}
