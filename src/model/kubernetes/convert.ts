// SPDX-License-Identifier: Apache-2.0
/**
 * Kubernetes' objects as Calico's v3 ones: what `muslin convert` prints.
 *
 * Owns:       which object becomes which. Takes in: a valid resource of any kind. Gives out: a v3 resource.
 * Invariants: pure; what is v3 already comes back as it is.
 * Next:       network-policy.ts, profiles.ts, pod.ts; ../updates.ts feeds the graph from the same conversions.
 */

import { hostCidr } from '../../lib/cidr.ts';
import { UnsupportedError } from '../../lib/errors.ts';
import { protocolName } from '../../lib/protocol.ts';
import { calicoVersion, keyOf } from '../kinds.ts';
import type { Resource } from '../types.ts';
import { convertClusterNetworkPolicy } from './cluster-network-policy.ts';
import { convertNetworkPolicy } from './network-policy.ts';
import { podEndpoint } from './pod.ts';
import { namespaceProfile, serviceAccountProfile } from './profiles.ts';

/** @throws {UnsupportedError} for what has no v3 form, and for a Pod that has no endpoint. */
export function convertKubernetes(resource: Resource): Resource {
  switch (keyOf(resource).kind) {
    case 'Namespace':
      return namespaceProfile(resource);
    case 'ServiceAccount':
      return serviceAccountProfile(resource);
    case 'Pod':
      return podResource(resource);
    case 'KubernetesNetworkPolicy':
      return convertNetworkPolicy(resource);
    case 'ClusterNetworkPolicy':
      return convertClusterNetworkPolicy(resource);
    case 'Node':
    case 'Service':
    case 'EndpointSlice':
      throw new UnsupportedError(
        `cannot convert ${resource.kind} ${resource.metadata.name}: Calico reads it as it is`,
      );
    default:
      return resource;
  }
}

/** A dash in a part is doubled, as dashes join the parts: libcalico-go/lib/names, WorkloadEndpointIdentifiers. */
function podResource(pod: Resource): Resource {
  const endpoint = podEndpoint(pod);
  const { name, namespace = 'default' } = pod.metadata;
  if (!endpoint)
    throw new UnsupportedError(
      `cannot convert Pod ${namespace}/${name}: it has no endpoint (no node or address)`,
    );
  const part = (text: string) => text.replaceAll('-', '--');
  return {
    apiVersion: calicoVersion,
    kind: 'WorkloadEndpoint',
    metadata: { name: `${part(endpoint.node)}-k8s-${part(name)}-eth0`, namespace, labels: endpoint.labels },
    spec: {
      orchestrator: 'k8s',
      node: endpoint.node,
      pod: name,
      endpoint: 'eth0',
      interfaceName: endpoint.ifName,
      ipNetworks: endpoint.addresses.map(hostCidr),
      profiles: endpoint.profiles,
      ports: endpoint.ports.map(({ name: port, protocol, port: number }) => ({
        name: port,
        protocol: protocolName(protocol),
        port: number,
      })),
    },
  };
}
