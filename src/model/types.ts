// SPDX-License-Identifier: Apache-2.0
/**
 * What is stored (resources, as users write them) and what the calculation graph reads (model values, parsed).
 *
 * Owns:       Resource and ResourceKey; ModelTypes, the closed table of what the graph consumes.
 * Invariants: a Resource is JSON as its author wrote it, defaults filled in; it may be invalid (written behind our back).
 *             A model value is valid by construction: model/updates.ts turns one into the other, or into null.
 * Next:       model/kinds.ts lists the resource kinds, model/updates.ts converts, calc/graph.ts consumes.
 */
import type { Address, Cidr, IfName, KeyPath } from '../lib/brand.ts';
import type { PortRange } from '../lib/ports.ts';

// ---- tier 1: resources -------------------------------------------------------------------------------------------

/**
 * Kubernetes' own kinds and Calico's. `KubernetesNetworkPolicy` is networking.k8s.io/v1 NetworkPolicy; `CalicoNode` and
 * `CalicoWorkloadEndpoint` are projectcalico.org/v3 Node and WorkloadEndpoint, which only other writers store.
 */
export type ResourceKind = KubernetesKind | CalicoKind;

export type KubernetesKind =
  | 'Namespace'
  | 'ServiceAccount'
  | 'Pod'
  | 'Node'
  | 'Service'
  | 'EndpointSlice'
  | 'KubernetesNetworkPolicy'
  | 'ClusterNetworkPolicy';

export type CalicoKind =
  | 'NetworkPolicy'
  | 'GlobalNetworkPolicy'
  | 'StagedNetworkPolicy'
  | 'StagedGlobalNetworkPolicy'
  | 'StagedKubernetesNetworkPolicy'
  | 'Tier'
  | 'NetworkSet'
  | 'GlobalNetworkSet'
  | 'HostEndpoint'
  | 'Profile'
  | 'FelixConfiguration'
  | 'IPPool'
  | 'IPReservation'
  | 'IPAMConfiguration'
  | 'IPAMBlock'
  | 'IPAMHandle'
  | 'BlockAffinity'
  | 'BGPConfiguration'
  | 'BGPPeer'
  | 'BGPFilter'
  | 'CalicoNodeStatus'
  | 'ClusterInformation'
  | 'KubeControllersConfiguration'
  | 'CalicoWorkloadEndpoint'
  | 'CalicoNode'
  | 'LiveMigration';

export interface ResourceKey {
  readonly kind: ResourceKind;
  /** Present exactly for namespaced kinds. */
  readonly namespace?: string;
  readonly name: string;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: { readonly [key: string]: string };
  readonly annotations?: { readonly [key: string]: string };
  readonly uid?: string;
  readonly creationTimestamp?: string;
  readonly resourceVersion?: string;
  readonly [other: string]: unknown;
}

/** As stored and as printed: the author's own apiVersion and kind, spec untyped until model/updates.ts reads it. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

/** The annotation that keeps where a manifest was read: JSON `{"file", "line", "rules": {"ingress": [line...]}}`. */
export const originAnnotation = 'muslin.dev/origin';

// ---- tier 2's input: model values ----------------------------------------------------------------------------------

/** Every kind of thing the calculation graph consumes. A new one is one line here; the compiler lists what is missing. */
export interface ModelTypes {
  Tier: TierValue;
  Policy: PolicyValue;
  Profile: ProfileValue;
  WorkloadEndpoint: WorkloadEndpointValue;
  HostEndpoint: HostEndpointValue;
  NetworkSet: NetworkSetValue;
  ServiceEndpoints: ServiceEndpointsValue;
  IPPool: IPPoolValue;
  Node: NodeValue;
  FelixConfiguration: FelixConfigurationValue;
}
export type ModelKind = keyof ModelTypes;

/**
 * A path and what it holds now. `null`: absent, be it deleted or stored but invalid. Not a history: streams may repeat
 * and skip states.
 */
export type Update = {
  [K in ModelKind]: { readonly kind: K; readonly path: KeyPath; readonly value: ModelTypes[K] | null };
}[ModelKind];

export interface TierValue {
  readonly name: string;
  /** Infinity when unset. Ties are broken by name. */
  readonly order: number;
  readonly defaultAction: 'deny' | 'pass';
}

/** The kinds of policy, each under the name that its author gave it. */
export type PolicyKind = Extract<ResourceKind, `${string}NetworkPolicy`>;

/** A policy of any kind in evaluated form (reference: Calico's update processors). */
export interface PolicyValue {
  readonly kind: PolicyKind;
  readonly namespace?: string;
  readonly name: string;
  readonly tier: string;
  /** Infinity when unset. Ties are broken by name, then namespace, then kind. */
  readonly order: number;
  /** Canonical text; namespace, namespaceSelector and serviceAccountSelector already folded in. */
  readonly selector: string;
  /** The directions that it governs, also those in which it has no rule. */
  readonly types: { readonly ingress: boolean; readonly egress: boolean };
  readonly ingress: readonly ModelRule[];
  readonly egress: readonly ModelRule[];
  /** Present on staged policies, which never change a verdict: what their author means to do. */
  readonly staged?: StagedAction;
  /** What of a host endpoint's traffic it is about; workloads meet `normal` and `normal-and-forward` alone. */
  readonly hostTraffic: HostTraffic;
  /** True: sent to every node, also where it selects no endpoint (performanceHints). */
  readonly onEveryNode: boolean;
}

/**
 * `normal`: what ends or starts at the host. `normal-and-forward` (applyOnForward): also what passes through it.
 * `untracked` (doNotTrack): both, before connection tracking. `pre-dnat` (preDNAT): both, before destination NAT, ingress
 * alone.
 */
export type HostTraffic = 'normal' | 'normal-and-forward' | 'untracked' | 'pre-dnat';

/**
 * `set`: put in force in the place of the enforced policy with its name. `delete`: take that one away. `learn` and
 * `ignore`: nothing.
 */
export type StagedAction = 'set' | 'delete' | 'learn' | 'ignore';

export interface ModelRule {
  readonly action: 'allow' | 'deny' | 'pass' | 'log';
  readonly ipVersion?: 4 | 6;
  /** 1 to 255. */
  readonly protocol?: number;
  readonly notProtocol?: number;
  readonly icmp?: { readonly type: number; readonly code?: number };
  readonly notIcmp?: { readonly type: number; readonly code?: number };
  readonly source: ModelPeer;
  readonly destination: ModelPeer;
  readonly origin?: { readonly file: string; readonly line: number };
}

/** One end of a rule; scope (namespace, service accounts, folded notSelector) is already in the selectors. */
export interface ModelPeer {
  readonly nets: readonly Cidr[];
  readonly notNets: readonly Cidr[];
  /** Canonical text; the address must belong to a selected endpoint or network set. */
  readonly selector?: string;
  /** Canonical text; only where there is no positive selector: the address must not belong to a selected one. */
  readonly notSelector?: string;
  /** No selector and no net beside it; as destination (address, protocol, port) of the service, as source its addresses. */
  readonly service?: ServiceName;
  /** Numeric and named ports are alternatives. */
  readonly ports: readonly PortRange[];
  readonly namedPorts: readonly string[];
  readonly notPorts: readonly PortRange[];
  readonly notNamedPorts: readonly string[];
}

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

export interface ProfileValue {
  readonly name: string;
  /** Inherited by endpoints that list the profile: `pcns.*`, `pcsa.*`. */
  readonly labels: { readonly [key: string]: string };
  readonly ingress: readonly ModelRule[];
  readonly egress: readonly ModelRule[];
}

export interface WorkloadEndpointValue {
  /** `namespace/pod`. */
  readonly name: string;
  readonly node: string;
  readonly ifName: IfName;
  readonly addresses: readonly Address[];
  /** The endpoint's own labels; those of its profiles are inherited by the graph. */
  readonly labels: { readonly [key: string]: string };
  /** In order of evaluation; the first that has a label gives it. */
  readonly profiles: readonly string[];
  readonly ports: readonly { readonly name: string; readonly protocol: number; readonly port: number }[];
  readonly adminUp: boolean;
}

/** An interface of a host, seen by policy. */
export interface HostEndpointValue {
  readonly name: string;
  readonly node: string;
  /** `*`: every interface of the host that no other endpoint claims. Null: the interface that has one of `addresses`. */
  readonly ifName: IfName | '*' | null;
  /** expectedIPs; the members that selectors in rules give. */
  readonly addresses: readonly Address[];
  readonly labels: { readonly [key: string]: string };
  /** In order of evaluation; the first that has a label gives it. */
  readonly profiles: readonly string[];
  readonly ports: readonly { readonly name: string; readonly protocol: number; readonly port: number }[];
}

/** One EndpointSlice: some of a service's endpoints. */
export interface ServiceEndpointsValue {
  readonly service: ServiceName;
  readonly addresses: readonly Address[];
  readonly ports: readonly { readonly protocol: number; readonly port: number }[];
}

/** One layer of settings, its parameters as text under their names (`defaultEndpointToHostAction`). */
export interface FelixConfigurationValue {
  /** `default`, `node.<name>`, or any other name with a `nodeSelector`. */
  readonly name: string;
  /** Canonical text over nodes' labels; null: by the name. */
  readonly nodeSelector: string | null;
  /** ISO 8601; of several selectors that match a node the oldest wins, then the first by name. */
  readonly created: string;
  readonly parameters: { readonly [name: string]: string };
}

/** NetworkSet and GlobalNetworkSet. */
export interface NetworkSetValue {
  readonly nets: readonly Cidr[];
  readonly labels: { readonly [key: string]: string };
  /** A namespaced set inherits its namespace's labels through `kns.<namespace>`. */
  readonly profiles: readonly string[];
}

export interface IPPoolValue {
  readonly cidr: Cidr;
  readonly disabled: boolean;
  readonly natOutgoing: boolean;
}

export interface NodeValue {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
  /** Its addresses on the network that the nodes share: at most one of each family. */
  readonly addresses: readonly Address[];
}
