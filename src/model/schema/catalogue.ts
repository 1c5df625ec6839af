// SPDX-License-Identifier: Apache-2.0
/** The schema of each kind. Of those without one here, ../validate/kubernetes.ts reads what Muslin uses of them. */
import type { ResourceKind } from '../types.ts';
import { bgpConfiguration } from './bgp-configuration.ts';
import { bgpFilter } from './bgp-filter.ts';
import { bgpPeer } from './bgp-peer.ts';
import {
  globalNetworkPolicy,
  networkPolicy,
  stagedGlobalNetworkPolicy,
  stagedNetworkPolicy,
} from './calico-policy.ts';
import { clusterInformation } from './cluster-information.ts';
import { clusterNetworkPolicy } from './cluster-network-policy.ts';
import { felixConfiguration } from './felix-configuration.ts';
import { hostEndpoint } from './host-endpoint.ts';
import { ipPool } from './ip-pool.ts';
import { ipReservation } from './ip-reservation.ts';
import { blockAffinity, ipamBlock, ipamConfiguration, ipamHandle } from './ipam.ts';
import { kubeControllersConfiguration } from './kube-controllers-configuration.ts';
import { kubernetesNetworkPolicy, stagedKubernetesNetworkPolicy } from './kubernetes-policy.ts';
import { liveMigration } from './live-migration.ts';
import { networkSet } from './network-set.ts';
import { node } from './node.ts';
import { calicoNodeStatus } from './node-status.ts';
import { profile } from './profile.ts';
import type { Schema } from './schema.ts';
import { tier } from './tier.ts';
import { workloadEndpoint } from './workload-endpoint.ts';

/** Kubernetes' own kinds that are read openly: what they hold beyond what Muslin reads is none of its business. */
export type OpenKind = 'Namespace' | 'ServiceAccount' | 'Pod' | 'Node' | 'Service' | 'EndpointSlice';
export type SchemaKind = Exclude<ResourceKind, OpenKind>;

export const schemas: { readonly [K in SchemaKind]: Schema } = {
  NetworkPolicy: networkPolicy,
  GlobalNetworkPolicy: globalNetworkPolicy,
  StagedNetworkPolicy: stagedNetworkPolicy,
  StagedGlobalNetworkPolicy: stagedGlobalNetworkPolicy,
  StagedKubernetesNetworkPolicy: stagedKubernetesNetworkPolicy,
  KubernetesNetworkPolicy: kubernetesNetworkPolicy,
  ClusterNetworkPolicy: clusterNetworkPolicy,
  Tier: tier,
  NetworkSet: networkSet,
  GlobalNetworkSet: networkSet,
  HostEndpoint: hostEndpoint,
  Profile: profile,
  FelixConfiguration: felixConfiguration,
  IPPool: ipPool,
  IPReservation: ipReservation,
  IPAMConfiguration: ipamConfiguration,
  IPAMBlock: ipamBlock,
  IPAMHandle: ipamHandle,
  BlockAffinity: blockAffinity,
  BGPConfiguration: bgpConfiguration,
  BGPPeer: bgpPeer,
  BGPFilter: bgpFilter,
  CalicoNodeStatus: calicoNodeStatus,
  ClusterInformation: clusterInformation,
  KubeControllersConfiguration: kubeControllersConfiguration,
  CalicoWorkloadEndpoint: workloadEndpoint,
  CalicoNode: node,
  LiveMigration: liveMigration,
};

export function schemaOf(kind: ResourceKind): Schema | null {
  return Object.hasOwn(schemas, kind) ? schemas[kind as SchemaKind] : null;
}
