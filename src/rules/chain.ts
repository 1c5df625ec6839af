// SPDX-License-Identifier: Apache-2.0
/**
 * The chain tree: what a policy means for a packet filter that walks chains, still without any filter's syntax.
 *
 * Owns:       Chain, Step, Match and Action; how a ResolvedPolicy, a tier list and an endpoint become chains.
 * Takes in:   messages of contract/dataplane.ts, one address family at a time.
 * Gives out:  chains that nftables renders with sets and verdict maps and that iptables renders with ipset and jumps.
 * Invariants: chains are functions of their inputs, names included, so equal inputs share one chain;
 *             every chain that an endpoint reaches ends in a verdict: nothing falls out of policy undecided.
 * Next:       policy-chains.ts (one policy), tier-chains.ts (an endpoint's list), classify.ts (why a thousand policies
 *             cost what one costs), static-chains.ts (hooks), then drivers/nftables/render.ts.
 */
import type { Cidr, IpSetId } from '../lib/brand.ts';
import type { PortRange } from '../lib/ports.ts';

export interface Chain {
  readonly name: string;
  readonly steps: readonly Step[];
}

export type Step = ChainRule | Classifier;

/** All matches must hold; then the action is taken. */
export interface ChainRule {
  readonly kind: 'rule';
  readonly match: readonly Match[];
  readonly action: Action;
  /** For people: which policy's rule this is. */
  readonly comment?: string;
}

/** Jumps to the one cell that holds the packet's protocol and destination port; goes on when there is none. */
export interface Classifier {
  readonly kind: 'classify';
  /** Unique in the family; the name of the verdict map where there are such. */
  readonly name: string;
  /** Disjoint. */
  readonly cells: readonly Cell[];
}

export interface Cell {
  readonly protocol: number;
  readonly ports: PortRange;
  readonly chain: string;
}

export type Side = 'src' | 'dst';

export type Match =
  | { readonly kind: 'protocol'; readonly protocol: number; readonly negate?: boolean }
  /** In one of them (negated: in none). Never empty, all of one family. */
  | { readonly kind: 'nets'; readonly side: Side; readonly nets: readonly Cidr[]; readonly negate?: boolean }
  | { readonly kind: 'set'; readonly side: Side; readonly set: IpSetId; readonly negate?: boolean }
  /** In at least one of them. */
  | { readonly kind: 'any-set'; readonly side: Side; readonly sets: readonly IpSetId[] }
  | {
      readonly kind: 'ports';
      readonly side: Side;
      readonly ports: readonly PortRange[];
      readonly negate?: boolean;
    }
  /** (address, protocol, port) of that side is in the set. */
  | { readonly kind: 'port-set'; readonly side: Side; readonly set: IpSetId; readonly negate?: boolean }
  | { readonly kind: 'icmp-type'; readonly type: number; readonly negate?: boolean }
  | {
      readonly kind: 'icmp-type-code';
      readonly type: number;
      readonly code: number;
      readonly negate?: boolean;
    }
  | {
      readonly kind: 'interface-prefix';
      readonly side: Side;
      readonly prefix: string;
      readonly negate?: boolean;
    }
  /** The empty name: the packet comes from the node itself, or ends at it. */
  | { readonly kind: 'interface'; readonly side: Side; readonly name: string; readonly negate?: boolean }
  | { readonly kind: 'connection'; readonly state: 'established' | 'invalid' }
  | { readonly kind: 'mark'; readonly mark: MarkName };

export type Action =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | { readonly kind: 'log'; readonly prefix: string }
  | { readonly kind: 'set-mark' | 'clear-mark'; readonly mark: MarkName }
  /** Connection tracking does not see the packet; only where it comes before that. */
  | { readonly kind: 'untrack' }
  /** By the interface on that side, to the chain that the dispatch names; goes on when there is none. */
  | { readonly kind: 'dispatch'; readonly side: Side; readonly map: string };

/**
 * `accepted`: policy let the packet pass; the guard at the workload's link wants it.
 * `passed`: a Pass rule ended the tier. `to-host`: the packet is for the node itself. `host-accepted`: untracked or pre-DNAT
 * policy let the packet in, no later host policy looks at it.
 */
export type MarkName = 'accepted' | 'passed' | 'to-host' | 'host-accepted';

/**
 * One bit each. Bits 0 to 15 belong to others: Kubernetes takes 14 and 15, administrators the low byte; Calico's own
 * default mask is 0xffff0000 too (FelixConfiguration iptablesMarkMask), and the two never run on one node.
 */
export const markBits: { readonly [M in MarkName]: number } = {
  accepted: 0x0001_0000,
  passed: 0x0002_0000,
  'to-host': 0x0004_0000,
  'host-accepted': 0x0008_0000,
};

export function rule(match: readonly Match[], action: Action, comment?: string): ChainRule {
  return { kind: 'rule', match, action, ...(comment === undefined ? {} : { comment }) };
}
