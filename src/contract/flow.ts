// SPDX-License-Identifier: Apache-2.0
/**
 * The seam between a data plane and the flow log: what was decided on a node's packets, as plain JSON data.
 *
 * A record is one new flow, one dropped packet, or one packet that a Log rule names. Packets of a flow that was accepted before
 * make none.
 */
import type { Address, KeyPath } from '../lib/brand.ts';

export interface FlowRecord {
  /** Milliseconds since 1970, of the node's clock. */
  readonly timeMs: number;
  readonly family: 4 | 6;
  /** IP protocol number. */
  readonly protocol: number;
  readonly src: FlowEnd;
  readonly dst: FlowEnd;
  /** Of the family's own ICMP; null for other protocols. */
  readonly icmp: { readonly type: number; readonly code: number } | null;
  /** Bytes of the packet, IP header and all. */
  readonly length: number;
  readonly hook: FlowHook;
  readonly verdict: 'allow' | 'deny';
  /** Null when it was allowed. */
  readonly reason: DropReason | null;
  /** The service (`namespace/name`) by whose address it was sent; null: none. */
  readonly service: string | null;
  /** Whose policies were asked, in order, and the rule by which each decided. */
  readonly trace: readonly FlowStage[];
  /** Log rules that it met. */
  readonly logs: readonly FlowLogLine[];
}

export interface FlowEnd {
  /** As the packet came. */
  readonly address: Address;
  /** Null where the protocol has none. */
  readonly port: number | null;
  /** As it goes on; null: the same. */
  readonly translated: { readonly address: Address; readonly port: number | null } | null;
  /** The workload; null: none of this node's. */
  readonly endpoint: FlowEndpoint | null;
}

export interface FlowEndpoint {
  readonly id: KeyPath;
  /** `namespace/pod`, or a host endpoint's name. */
  readonly name: string;
}

/** Where the packet was judged. */
export type FlowHook = 'from-workload' | 'to-workload' | 'from-network' | 'to-network';

export interface FlowStage {
  /** Null: the data plane knows it no more. */
  readonly endpoint: FlowEndpoint | null;
  /** What decided; null: nothing did, and the packet went on, or its policy is not there. */
  readonly rule: string | null;
}

export interface FlowLogLine {
  readonly rule: string;
  /** What the rule writes first (logPrefix). */
  readonly prefix: string;
}

export type DropReason =
  | 'policy'
  | 'no-policy'
  | 'malformed'
  | 'spoofed'
  | 'not-ip'
  | 'invalid'
  | 'table-full'
  | 'no-port'
  | 'no-backend'
  | 'source-range'
  | 'fragment'
  | 'unjudged'
  | 'unknown-link'
  | 'to-host'
  | 'tunnel'
  | 'too-big'
  | 'rewrite'
  | 'router-message'
  | 'unknown-workload'
  | 'stale'
  | 'rejected'
  | 'hop-limit'
  /** Of a number that this build has no word for. */
  | 'unknown';

/** A data plane that tells what it decides. */
export interface ObservedDataplane {
  /** Several at once, in their order; `lost` of them were decided but cannot be told. */
  onFlows(listener: (flows: readonly FlowRecord[], lost: number) => void): void;
}
