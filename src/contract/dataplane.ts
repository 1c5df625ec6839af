// SPDX-License-Identifier: Apache-2.0
/**
 * The seam between the calculation graph (tier 2) and a data plane driver (tier 3): plain data and one interface.
 *
 * Owns:       DataplaneMessage, the closed union of what a node must enforce, and DataplaneDriver.
 * Takes in:   nothing; these are types only.
 * Gives out:  to calc what it may say, to drivers what they must understand, to observe what it explains.
 * Invariants: messages are plain JSON data, so a driver can live in another thread or process.
 *             Order within one flush: configuration, IP sets, policies, profiles, workload endpoints, host endpoints;
 *             removals in reverse; then routes.
 *             Nothing is referenced before it was sent; nothing is removed while it is referenced.
 *             Messages carry present state: repeating one changes nothing.
 * Next:       calc/graph.ts writes these, drivers/nftables/driver.ts reads them, observe/evaluate.ts explains them.
 */
import type { Address, Cidr, IfName, IpSetId, KeyPath } from '../lib/brand.ts';
import type { PortRange } from '../lib/ports.ts';
import type { PolicyKind, StagedAction } from '../model/types.ts';

export type DataplaneMessage =
  /** Sent once before `in-sync`, then on every change. */
  | { readonly kind: 'config-update'; readonly config: DataplaneConfig }
  | { readonly kind: 'ipset-update'; readonly id: IpSetId; readonly set: IpSet }
  | {
      readonly kind: 'ipset-delta';
      readonly id: IpSetId;
      readonly add: readonly string[];
      readonly remove: readonly string[];
    }
  | { readonly kind: 'ipset-remove'; readonly id: IpSetId }
  | { readonly kind: 'policy-update'; readonly id: KeyPath; readonly policy: ResolvedPolicy }
  | { readonly kind: 'policy-remove'; readonly id: KeyPath }
  | { readonly kind: 'profile-update'; readonly name: string; readonly profile: ResolvedProfile }
  | { readonly kind: 'profile-remove'; readonly name: string }
  | { readonly kind: 'endpoint-update'; readonly id: KeyPath; readonly endpoint: ResolvedEndpoint }
  | { readonly kind: 'endpoint-remove'; readonly id: KeyPath }
  | { readonly kind: 'host-endpoint-update'; readonly id: KeyPath; readonly endpoint: ResolvedHostEndpoint }
  | { readonly kind: 'host-endpoint-remove'; readonly id: KeyPath }
  | { readonly kind: 'route-update'; readonly dst: Cidr; readonly route: Route }
  | { readonly kind: 'route-remove'; readonly dst: Cidr }
  | { readonly kind: 'in-sync' };

/**
 * `net`: members are canonical CIDRs with their length (`10.0.0.1/32`, `fd00::/64`), both families in one set;
 * no member contains another. `ip-port`: members are `ADDRESS,PROTOCOL:PORT`, PROTOCOL in lower case by name where it
 * has one (`tcp`, `udp`, `sctp`), else its number: `10.0.0.1,tcp:80`.
 */
export interface IpSet {
  readonly type: 'net' | 'ip-port';
  readonly members: readonly string[];
  /** The selector or named port it stands for, canonical text; for people only. */
  readonly description: string;
}

export interface ResolvedPolicy {
  /** Absent for global policies. */
  readonly namespace?: string;
  readonly name: string;
  readonly tier: string;
  /** Kind as its author wrote it. */
  readonly kind: PolicyKind;
  /** Present on staged policies: no data plane enforces them, only `pending` lists of tiers name them. */
  readonly staged?: StagedAction;
  /** Present when it is about one stage of hosts' traffic alone; then only that list of a host endpoint names it. */
  readonly stage?: 'untracked' | 'pre-dnat';
  readonly ingress: readonly ResolvedRule[];
  readonly egress: readonly ResolvedRule[];
}

export interface ResolvedProfile {
  /** True when no such profile is stored: it then has no rules, and what reaches it is denied. */
  readonly missing: boolean;
  readonly ingress: readonly ResolvedRule[];
  readonly egress: readonly ResolvedRule[];
}

export type RuleAction = 'allow' | 'deny' | 'pass' | 'log';

/** All conditions must hold. An absent condition holds always. */
export interface ResolvedRule {
  readonly action: RuleAction;
  readonly ipVersion?: 4 | 6;
  /** IP protocol number, 1 to 255. */
  readonly protocol?: number;
  readonly notProtocol?: number;
  readonly icmp?: IcmpMatch;
  readonly notIcmp?: IcmpMatch;
  readonly src: PeerMatch;
  readonly dst: PeerMatch;
  /** Where its author wrote it, when that is known. */
  readonly origin?: RuleOrigin;
}

export interface RuleOrigin {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** Type and code of ICMP in IPv4 packets and of ICMPv6 in IPv6 packets; without `code` any code. */
export interface IcmpMatch {
  readonly type: number;
  readonly code?: number;
}

/** One end of a packet. Every present, non-empty condition must hold. */
export interface PeerMatch {
  /** The address is in at least one of these. */
  readonly nets: readonly Cidr[];
  /** The address is in none of these. */
  readonly notNets: readonly Cidr[];
  /** The address is in every one of these sets (type `net`). */
  readonly sets: readonly IpSetId[];
  /** The address is in none of these sets (type `net`). */
  readonly notSets: readonly IpSetId[];
  /**
   * Only packets of protocols with ports match: TCP 6, UDP 17, SCTP 132. Numeric and named ports are alternatives: the
   * port is in one of `ports`, or (address, protocol, port) is in one of `portSets` (type `ip-port`). Both empty: any
   * port.
   */
  readonly ports: readonly PortRange[];
  readonly portSets: readonly IpSetId[];
  /** The port is in none of `notPorts` and (address, protocol, port) in none of `notPortSets`. */
  readonly notPorts: readonly PortRange[];
  readonly notPortSets: readonly IpSetId[];
}

export interface ResolvedEndpoint {
  /** `namespace/pod` for people. */
  readonly name: string;
  /** The host's end of its link. */
  readonly ifName: IfName;
  /** Its own addresses, from which alone it may send. */
  readonly addresses: readonly Address[];
  /** False: everything from and to it is dropped. */
  readonly adminUp: boolean;
  /** In order of evaluation; only tiers with a policy for this endpoint. */
  readonly tiers: readonly ResolvedTier[];
  /** In order of evaluation; each was sent as a profile. */
  readonly profiles: readonly string[];
}

/** A tier takes part in a direction only if that direction's list is not empty. */
export interface ResolvedTier {
  readonly name: string;
  /** What befalls traffic that none of its policies decided. */
  readonly defaultAction: 'deny' | 'pass';
  /** Policies in order of evaluation. */
  readonly ingress: readonly KeyPath[];
  readonly egress: readonly KeyPath[];
  /**
   * What the lists would be if every staged policy did what its author means (StagedAction); absent when that is the
   * same. For explanation alone: data planes do not read it.
   */
  readonly pending?: { readonly ingress: readonly KeyPath[]; readonly egress: readonly KeyPath[] };
}

/**
 * An interface of this host. Two that claim one interface: the first by id wins. An interface with the workloads' prefix
 * is never a host's.
 *
 * What passes all tiers of `untracked`, `preDnat` and `forward` undecided goes on as if there were none; of `tiers` it
 * meets the profiles, then is dropped. `untracked` and `preDnat` drop by rule alone, never at the end of a tier. What
 * `untracked` or `preDnat` accepts, no later host policy of the same direction looks at.
 */
export interface ResolvedHostEndpoint {
  readonly name: string;
  /** `*`: every host interface that no other endpoint claims. Null: the interface that has one of `addresses`. */
  readonly ifName: IfName | '*' | null;
  readonly addresses: readonly Address[];
  /** What ends or starts at the host. */
  readonly tiers: readonly ResolvedTier[];
  /** What is forwarded. */
  readonly forward: readonly ResolvedTier[];
  /** Both, before connection tracking, each packet for itself. */
  readonly untracked: readonly ResolvedTier[];
  /** Both, new connections before destination NAT; egress lists are empty. */
  readonly preDnat: readonly ResolvedTier[];
  /** After `tiers` alone, in order of evaluation; each was sent as a profile. */
  readonly profiles: readonly string[];
}

/** What the cluster's and the node's settings (FelixConfiguration) come to for a data plane. */
export interface DataplaneConfig {
  /** What becomes of a workload's traffic to its own node once policy allowed it (defaultEndpointToHostAction). */
  readonly endpointToHost: 'drop' | 'return' | 'accept';
  /** Open at every host endpoint before any policy (failsafeInboundHostPorts, failsafeOutboundHostPorts). */
  readonly failsafeInbound: readonly FailsafePort[];
  readonly failsafeOutbound: readonly FailsafePort[];
  /** Whether workloads may send encapsulated packets (allowVXLANPacketsFromWorkloads, allowIPIPPacketsFromWorkloads). */
  readonly vxlanFromWorkloads: boolean;
  readonly ipipFromWorkloads: boolean;
  /** UDP port of the fabric's own VXLAN (vxlanPort). */
  readonly vxlanPort: number;
  /** Packets that connection tracking calls invalid are dropped at endpoints (disableConntrackInvalidCheck: false). */
  readonly dropInvalid: boolean;
  /** What Log rules write first (logPrefix); %t, %k, %n and %p stand for the policy's tier, kind, name and path. */
  readonly logPrefix: string;
}

export interface FailsafePort {
  /** TCP 6 or UDP 17. */
  readonly protocol: number;
  readonly port: number;
  /** The peer must be in it; absent: anywhere. */
  readonly net?: Cidr;
}

/** How this node reaches workloads of other nodes. Local workloads' routes follow from their endpoints. */
export interface Route {
  readonly type: 'remote-workload';
  readonly node: string;
  /** The other node's address, on a network that both share. */
  readonly via: Address;
}

/** One data plane. The agent knows no more of nftables, eBPF, iptables, HNS or VPP than this. */
export interface DataplaneDriver extends AsyncDisposable {
  readonly name: 'nftables' | 'ebpf' | 'iptables' | 'hns' | 'vpp' | 'fake';
  /** What this host lacks to run it; empty if nothing. Reads, changes nothing. */
  probe(): Promise<readonly string[]>;
  /** Remember it and mark dirty what it touches. Cheap, synchronous, no kernel access. */
  onMessage(message: DataplaneMessage): void;
  /** Make the kernel agree. Never called before `in-sync` was heard; safe to repeat after a failure. */
  apply(signal: AbortSignal): Promise<ApplyReport>;
  /** Trust nothing read so far: the next apply reads back first. */
  queueResync(reason: string): void;
  /**
   * Called when there is something to apply although no message came: links or addresses came or went, or someone else
   * changed what is the driver's. It has noted by itself what to read back.
   */
  onStrangersChange(listener: (reason: string) => void): void;
}

export interface ApplyReport {
  /** Objects written or removed; 0 when the kernel agreed already. */
  readonly changed: number;
  /** What stays pending. The endpoints that depend on it are closed. */
  readonly failed: readonly ApplyFailure[];
  /** Endpoints whose policy is in force and whose link is open. */
  readonly openEndpoints: readonly KeyPath[];
}

export interface ApplyFailure {
  readonly table: string;
  readonly key: string;
  readonly message: string;
}

/** The sides of a table that both seams and tests name alike. */
export type Direction = 'ingress' | 'egress';
export type IpFamily = 4 | 6;
