// SPDX-License-Identifier: Apache-2.0
/**
 * The seam between services (src/services) and a data plane that balances and translates by itself.
 *
 * Owns:       TranslationMessage, the closed union of what a node must know to translate addresses.
 * Takes in:   nothing; these are types only.
 * Gives out:  to src/services what it may say, to drivers what they must understand.
 * Invariants: plain JSON data of present state: repeating a message changes nothing. `translation-update` comes first.
 *             A data plane that leaves services to kube-proxy does not listen.
 * Next:       services/graph.ts writes these, drivers/ebpf reads them.
 */
import type { Address, Cidr, KeyPath } from '../lib/brand.ts';
import type { PortRange } from '../lib/ports.ts';

export type TranslationMessage =
  | { readonly kind: 'translation-update'; readonly config: TranslationConfig }
  | { readonly kind: 'service-update'; readonly id: KeyPath; readonly service: ResolvedService }
  | { readonly kind: 'service-remove'; readonly id: KeyPath };

/** A driver that listens. */
export interface TranslatingDataplane {
  /** Remember it and mark dirty what it touches. Cheap, synchronous, no kernel access. */
  onTranslation(message: TranslationMessage): void;
}

/** How a data plane translates addresses on this node. */
export interface TranslationConfig {
  /** Workloads' addresses (IPPool, disabled ones too): traffic between pools keeps its source. */
  readonly pools: readonly TranslationPool[];
  /** Nodes' own addresses count as inside as well (natOutgoingExclusions: IPPoolsAndHostIPs). */
  readonly nodesAreInside: boolean;
  /** Of all nodes, this one's too. */
  readonly nodeAddresses: readonly Address[];
  /** Answers of another node's workloads to outside clients: back by the first node, or straight (bpfExternalServiceMode). */
  readonly externalServices: 'tunnel' | 'dsr';
  /** Clients that are answered by way of the first node all the same (bpfDSROptoutCIDRs). */
  readonly dsrOptOut: readonly Cidr[];
  /** Which sockets on this node are led to a backend when they connect (bpfConnectTimeLoadBalancing). */
  readonly connectTime: 'tcp' | 'all' | 'off';
  /** Seconds for which a flow without packets is remembered (bpfConntrackTimeouts). */
  readonly flowTimeouts: FlowTimeouts;
  /** What a source port may become when its own is taken (bpfPSNATPorts). */
  readonly natPorts: PortRange;
}

export interface TranslationPool {
  readonly cidr: Cidr;
  /** What leaves it for the outside takes its node's address. */
  readonly natOutgoing: boolean;
}

export interface FlowTimeouts {
  readonly tcpSynSent: number;
  readonly tcpEstablished: number;
  readonly tcpFinsSeen: number;
  readonly tcpResetSeen: number;
  readonly udp: number;
  readonly icmp: number;
  readonly generic: number;
}

/** One service as this node balances it: traffic policies, topology and terminating endpoints are settled. */
export interface ResolvedService {
  /** `namespace/service`, for people. */
  readonly name: string;
  readonly frontends: readonly ServiceFrontend[];
}

export interface ServiceFrontend {
  readonly kind: 'cluster-ip' | 'node-port' | 'external-ip' | 'load-balancer';
  /** Null: every address of every node, that is a node port. */
  readonly address: Address | null;
  /** Of a node port, whose address does not tell. */
  readonly family: 4 | 6;
  /** TCP 6, UDP 17, SCTP 132. */
  readonly protocol: number;
  readonly port: number;
  /** Name of the service's port; may be empty. For people. */
  readonly portName: string;
  /** For clients in the cluster: workloads and nodes. */
  readonly inside: readonly ServiceBackend[];
  /** For all other clients. */
  readonly outside: readonly ServiceBackend[];
  /** What befalls a client for whom there is no backend: it is told, or, where only local ones count, silence. */
  readonly withoutInside: 'reject' | 'drop';
  readonly withoutOutside: 'reject' | 'drop';
  /** Every client must come from one of these, those in the cluster too; null: from anywhere. */
  readonly sources: readonly Cidr[] | null;
  /** A client keeps its backend this long after its last connection, in seconds; 0: it does not. */
  readonly affinitySeconds: number;
  /** Outside clients are spread by Maglev hashing, so that every node chooses the same backend. */
  readonly maglev: boolean;
}

export interface ServiceBackend {
  readonly address: Address;
  readonly port: number;
  /** On this node. */
  readonly local: boolean;
}
