// SPDX-License-Identifier: Apache-2.0
/**
 * The seam by which people look into a data plane that keeps its state in maps: questions and answers, as plain JSON data.
 *
 * Invariants: answers have names where the maps have numbers; null where nobody knows the name any more. What a limit left out
 *             is counted in `leftOut`. These are the schemas of `muslin ebpf ... -o json`.
 * Next:       drivers/ebpf/inspect.ts answers, cli/ebpf-tables.ts shows.
 */
import type { Address, Cidr } from '../lib/brand.ts';
import type { Direction, IpFamily } from './dataplane.ts';
import type { DropReason, FlowEndpoint } from './flow.ts';

/** A row is in an answer when all that was asked for holds. */
export type Inspection =
  | {
      readonly kind: 'conntrack';
      readonly address?: Address;
      readonly endpoint?: string;
      readonly limit: number;
    }
  | { readonly kind: 'nat'; readonly address?: Address; readonly service?: string; readonly limit: number }
  | {
      readonly kind: 'routes';
      readonly address?: Address;
      readonly endpoint?: string;
      readonly limit: number;
    }
  | { readonly kind: 'ipsets'; readonly limit: number }
  /** One with its members: a number of an `ipsets` answer, or an IP set's id. */
  | { readonly kind: 'ipset'; readonly id: string; readonly address?: Address; readonly limit: number }
  | { readonly kind: 'counters'; readonly limit: number }
  | {
      readonly kind: 'policy';
      readonly endpoint: string;
      /** Absent: both. */
      readonly direction?: Direction;
      readonly family?: IpFamily;
    }
  | { readonly kind: 'links'; readonly endpoint?: string };

export type InspectionKind = Inspection['kind'];

export type InspectionAnswer =
  | ConntrackAnswer
  | NatAnswer
  | RoutesAnswer
  | IpSetsAnswer
  | IpSetAnswer
  | CountersAnswer
  | PolicyAnswer
  | LinksAnswer;

/** A data plane that answers. Reads, changes nothing. */
export interface InspectableDataplane {
  /** @throws {NotFoundError} for an endpoint or set that is not there. @throws {InvalidError} where a name means several. */
  inspect(question: Inspection): Promise<InspectionAnswer>;
}

export interface ConntrackAnswer {
  readonly kind: 'conntrack';
  readonly flows: readonly TrackedFlow[];
  readonly leftOut: number;
}

export interface TrackedFlow {
  readonly family: IpFamily;
  /** IP protocol number. */
  readonly protocol: number;
  /** As its first packet came. */
  readonly src: SocketName;
  readonly dst: SocketName;
  /** As they go on; null: the same. */
  readonly translatedSrc: SocketName | null;
  readonly translatedDst: SocketName | null;
  readonly state: FlowState;
  /** The link by which packets come in; `*`: any of the network's; null: from this host. */
  readonly from: string | null;
  /** How they leave; null while that is being found anew. */
  readonly way: FlowWay | null;
  /** Link by which they leave; null: up the stack. */
  readonly to: string | null;
  /** The other end of the tunnel; null: none. */
  readonly via: Address | null;
  /** The workload that they go to; null: none of this node's. */
  readonly endpoint: FlowEndpoint | null;
  readonly service: string | null;
  /** What allowed it, the last that did. */
  readonly rule: string | null;
  readonly ageSeconds: number;
  readonly idleSeconds: number;
  /** Taken over from the kernel's connection tracking. */
  readonly learnt: boolean;
  /** Answers take another way: none are seen here. */
  readonly dsr: boolean;
}

/** `opening`: nothing came back yet; `half`: one direction is missing, and the flow is about to go. */
export type FlowState = 'opening' | 'established' | 'closing' | 'reset' | 'half';
export type FlowWay = 'stack' | 'peer' | 'link' | 'neighbour' | 'tunnel';

export interface SocketName {
  readonly address: Address;
  /** Null where the protocol has none; of ICMP, the source's is the identifier. */
  readonly port: number | null;
}

export interface NatAnswer {
  readonly kind: 'nat';
  readonly frontends: readonly NatFrontend[];
  readonly leftOut: number;
}

export interface NatFrontend {
  /** `namespace/service`; null: gone. */
  readonly service: string | null;
  /** Which of its addresses: cluster-ip, node-port, external-ip or load-balancer; null: gone. */
  readonly type: string | null;
  /** Null: every address of this node. */
  readonly address: Address | null;
  readonly family: IpFamily;
  readonly protocol: number;
  readonly port: number;
  /** For clients in the cluster, for others, or for others that another node sent on. */
  readonly scope: 'inside' | 'outside' | 'tunnel';
  /** What befalls a client for whom there is no backend. */
  readonly without: 'reject' | 'drop';
  readonly maglev: boolean;
  /** 0: none. */
  readonly affinitySeconds: number;
  /** Clients must come from one of these; null: from anywhere. */
  readonly sources: readonly Cidr[] | null;
  readonly backends: readonly NatBackend[];
}

export interface NatBackend extends SocketName {
  readonly port: number;
  readonly local: boolean;
  readonly endpoint: FlowEndpoint | null;
  /** Places in the table by which one is chosen: its share. */
  readonly places: number;
}

export interface RoutesAnswer {
  readonly kind: 'routes';
  readonly routes: readonly InspectedRoute[];
  readonly leftOut: number;
}

export interface InspectedRoute {
  readonly cidr: Cidr;
  readonly flags: readonly ('workload' | 'local' | 'node' | 'pool' | 'nat-outgoing' | 'dsr-opt-out')[];
  /** Of a remote workload's node. */
  readonly via: Address | null;
  /** Of a local workload. */
  readonly link: string | null;
  readonly endpoint: FlowEndpoint | null;
}

export interface IpSetsAnswer {
  readonly kind: 'ipsets';
  readonly sets: readonly InspectedSet[];
  readonly leftOut: number;
}

export interface InspectedSet {
  /** By which programs know it: 16 hexadecimal digits. */
  readonly id: string;
  readonly family: IpFamily;
  /** Whether members are addresses, or addresses with protocol and port. */
  readonly of: 'address' | 'port';
  readonly description: string;
  /** The IP sets that it is made of, the first that holds an address counts; literal networks as `N nets`. */
  readonly sources: readonly string[];
  readonly rows: number;
}

export interface IpSetAnswer {
  readonly kind: 'ipset';
  readonly set: InspectedSet;
  readonly members: readonly InspectedMember[];
  readonly leftOut: number;
}

export interface InspectedMember {
  readonly cidr: Cidr;
  /** Null: any. */
  readonly protocol: number | null;
  readonly port: number | null;
  /** The set of `sources` that it is from; null where programs put together what nets alone do not say. */
  readonly source: string | null;
}

export interface CountersAnswer {
  readonly kind: 'counters';
  /** The most frequent first; reasons that never happened are left out. */
  readonly drops: readonly {
    readonly reason: DropReason;
    readonly packets: number;
    readonly advice: string;
  }[];
  /** Times that a rule decided on a new flow or dropped a packet; the most frequent first. Null: a rule that is gone. */
  readonly rules: readonly { readonly rule: string | null; readonly hits: number }[];
  readonly leftOut: number;
  readonly events: { readonly told: number; readonly lost: number };
}

export interface PolicyAnswer {
  readonly kind: 'policy';
  readonly endpoint: FlowEndpoint;
  readonly programs: readonly InspectedPolicy[];
}

export interface InspectedPolicy {
  readonly family: IpFamily;
  readonly direction: Direction;
  /** Where the packet meets it: of workloads `workload`. */
  readonly point: 'workload' | 'normal' | 'untracked' | 'pre-dnat' | 'forward';
  readonly state: 'loaded' | 'refused' | 'pending';
  /** Why it was refused. */
  readonly reason: string | null;
  /** In the map `programs`; null: not loaded. */
  readonly place: number | null;
  readonly blocks: readonly InspectedBlock[];
}

export interface InspectedBlock {
  /** Empty: of no rule in particular. */
  readonly rule: string;
  /** Times that the rule decided, at whatever endpoint; null: it ends nothing. */
  readonly hits: number | null;
  readonly instructions: readonly string[];
}

export interface LinksAnswer {
  readonly kind: 'links';
  readonly links: readonly InspectedLink[];
}

export interface InspectedLink {
  /** Null: it went. */
  readonly name: string | null;
  readonly index: number;
  readonly kind: 'workload' | 'network';
  /** Whose policies its packets meet. */
  readonly endpoint: FlowEndpoint | null;
  readonly mtu: number;
  /** Of this host on it. */
  readonly addresses: readonly Address[];
  /** A workload's: its policy is in force and packets pass. */
  readonly open: boolean;
  readonly programs: readonly { readonly family: IpFamily; readonly stage: string; readonly place: number }[];
}
