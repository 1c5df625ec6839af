// SPDX-License-Identifier: Apache-2.0
/** ClusterNetworkPolicies by chance, each valid in the standard channel, but for named ports. */
import type { Resource } from '../../src/model/types.ts';
import { labelSelector, policyMetadata } from './generate-policy.ts';
import { netsOf, portNames, portNumbers, vocabulary, type World } from './generate-pools.ts';

type Json = { readonly [field: string]: unknown };

/** Orders of other policies are among them. */
const priorities = [0, 1, 2, 10, 1000] as const;

export function clusterPolicyIn(world: World, i: number): Resource {
  const { random } = world;
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: policyMetadata(world, true, i),
    spec: {
      tier: random.pick(['Admin', 'Baseline']),
      priority: random.pick(priorities),
      subject: pods(world),
      ...random.maybe(0.7, () => ({ ingress: random.times(0, 3, () => rule(world, 'from')) })),
      ...random.maybe(0.7, () => ({ egress: random.times(0, 3, () => rule(world, 'to')) })),
    },
  };
}

function pods(world: World): Json {
  const spaces = labelSelector(world, vocabulary.namespace);
  return world.random.chance(0.5)
    ? { namespaces: spaces }
    : { pods: { namespaceSelector: spaces, podSelector: labelSelector(world, vocabulary.pod) } };
}

function rule(world: World, peers: 'from' | 'to'): Json {
  const { random } = world;
  const others = random.times(1, 3, () =>
    peers === 'to' && random.chance(0.4) ? networks(world) : pods(world),
  );
  const arePods = others.every((peer) => !('networks' in peer));
  return {
    action: random.pick(['Accept', 'Accept', 'Deny', 'Pass']),
    [peers]: others,
    ...random.maybe(0.5, () => ({ protocols: random.times(1, 3, () => protocol(world, arePods)) })),
  };
}

/** What egress rules alone may name. */
function networks(world: World): Json {
  return { networks: netsOf(world, world.random.pick([4, 6] as const), 3, true) };
}

/** Nothing but pods has named ports. */
function protocol({ random }: World, mayBeNamed: boolean): Json {
  if (mayBeNamed && random.chance(0.2)) return { destinationNamedPort: random.pick(portNames) };
  const start = random.pick(portNumbers);
  const destinationPort = random.chance(0.6)
    ? { number: start }
    : { range: { start, end: start + 1 + random.below(400) } };
  return { [random.pick(['tcp', 'tcp', 'udp', 'sctp'])]: { destinationPort } };
}
