// SPDX-License-Identifier: Apache-2.0
/** What the oracle knows of a policy, whoever's language it was written in; and of a packet. */
import type { Address } from '../../lib/brand.ts';
import type { NamedPort, Owner } from './owner.ts';

/** The first packet of a flow; where it was translated, as it is afterwards. */
export interface OraclePacket {
  readonly from: Address;
  readonly to: Address;
  /** IP protocol number, 1 to 255. */
  readonly protocol: number;
  /** With protocols that have ports: TCP 6, UDP 17, SCTP 132. */
  readonly srcPort?: number;
  readonly dstPort?: number;
  /** With ICMP 1 and ICMPv6 58. */
  readonly icmpType?: number;
  readonly icmpCode?: number;
  /** The host's own links by which it comes and goes; absent: none, or one that no host endpoint is about. */
  readonly in?: string;
  readonly out?: string;
  /** What it was sent to, where destination NAT changed that: what untracked and pre-DNAT policy see as it comes in. */
  readonly toBeforeNat?: Address;
  readonly dstPortBeforeNat?: number;
  /** False: connection tracking leaves it alone, and so does NAT. */
  readonly tracked?: boolean;
}

export type Direction = 'ingress' | 'egress';

export interface Policy {
  readonly kind: 'NetworkPolicy' | 'GlobalNetworkPolicy' | 'KubernetesNetworkPolicy' | 'ClusterNetworkPolicy';
  /** Empty for global ones. */
  readonly namespace: string;
  readonly name: string;
  readonly tier: string;
  /** Infinity when unset. */
  readonly order: number;
  /** What of a host's traffic it is about; workloads meet the first two alone. */
  readonly traffic: 'normal' | 'normal-and-forward' | 'untracked' | 'pre-dnat';
  readonly governs: { readonly [D in Direction]: boolean };
  readonly rules: { readonly [D in Direction]: readonly Rule[] };
  readonly selects: (endpoint: Owner) => boolean;
}

export interface Rule {
  readonly action: 'allow' | 'deny' | 'pass' | 'log';
  readonly matches: (packet: OraclePacket) => boolean;
}

/** The same as the data plane's messages name it: `Kind/[namespace/]name`. */
export function policyPath(policy: Policy): string {
  const { kind, namespace, name } = policy;
  return namespace ? `${kind}/${namespace}/${name}` : `${kind}/${name}`;
}

export function hasNamedPort(
  ports: readonly NamedPort[],
  name: string,
  protocol: number,
  port: number | undefined,
): boolean {
  return ports.some((own) => own.name === name && own.protocol === protocol && own.port === port);
}
