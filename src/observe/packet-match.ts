// SPDX-License-Identifier: Apache-2.0
import type { IcmpMatch, PeerMatch, ResolvedRule } from '../contract/dataplane.ts';
import type { Address } from '../lib/brand.ts';
import { inRanges } from '../lib/ports.ts';
import { hasPorts, protocolNumbers } from '../lib/protocol.ts';
import type { DataplaneState } from './dataplane-state.ts';
import { NetLookup } from './net-lookup.ts';

/** The first packet of a flow. Replies follow their flow and are not asked about. */
export interface Packet {
  readonly ipVersion: 4 | 6;
  /** IP protocol number. */
  readonly protocol: number;
  readonly src: Address;
  /** After any translation of the destination. */
  readonly dst: Address;
  /** Where it was sent, if that was translated: the first stages of a host see it. */
  readonly dstBeforeNat?: Address;
  readonly dstPortBeforeNat?: number;
  /** Of TCP, UDP and SCTP. One that is not given is unlike every port. */
  readonly srcPort?: number;
  readonly dstPort?: number;
  /** Of ICMP in IPv4 and ICMPv6 in IPv6. */
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/** What a packet says before its addresses and ports. */
export type PacketHead = Pick<Packet, 'ipVersion' | 'protocol' | 'icmpType' | 'icmpCode'>;

/** Whether every condition of the rule holds. The meaning of each is stated in contract/dataplane.ts. */
export function ruleMatches(state: DataplaneState, rule: ResolvedRule, packet: Packet): boolean {
  return (
    headMatches(rule, packet) &&
    addressMatches(state, rule.src, packet.src) &&
    addressMatches(state, rule.dst, packet.dst) &&
    portMatches(state, rule.src, packet.src, packet.protocol, packet.srcPort) &&
    portMatches(state, rule.dst, packet.dst, packet.protocol, packet.dstPort)
  );
}

/** The conditions that do not look at addresses and ports. */
export function headMatches(rule: ResolvedRule, packet: PacketHead): boolean {
  if (rule.ipVersion !== undefined && rule.ipVersion !== packet.ipVersion) return false;
  if (rule.protocol !== undefined && rule.protocol !== packet.protocol) return false;
  if (rule.notProtocol !== undefined && rule.notProtocol === packet.protocol) return false;
  if (rule.icmp && !icmpMatches(rule.icmp, packet)) return false;
  return !(rule.notIcmp && icmpMatches(rule.notIcmp, packet));
}

export function addressMatches(state: DataplaneState, peer: PeerMatch, address: Address): boolean {
  if (peer.nets.length > 0 && !new NetLookup(peer.nets).has(address)) return false;
  if (peer.notNets.length > 0 && new NetLookup(peer.notNets).has(address)) return false;
  if (!peer.sets.every((id) => state.ipSet(id).hasAddress(address))) return false;
  return !peer.notSets.some((id) => state.ipSet(id).hasAddress(address));
}

/** Of a packet without the port in question no port condition holds, and every negated one does. */
export function portMatches(
  state: DataplaneState,
  peer: PeerMatch,
  address: Address,
  protocol: number,
  port: number | undefined,
): boolean {
  const isPlain = peer.ports.length + peer.portSets.length === 0;
  if (port === undefined || !hasPorts(protocol)) return isPlain;
  const inSets = (ids: PeerMatch['portSets']) =>
    ids.some((id) => state.ipSet(id).hasPort(address, protocol, port));
  if (!isPlain && !inRanges(port, peer.ports) && !inSets(peer.portSets)) return false;
  return !inRanges(port, peer.notPorts) && !inSets(peer.notPortSets);
}

function icmpMatches(match: IcmpMatch, { ipVersion, protocol, icmpType, icmpCode }: PacketHead): boolean {
  if (protocol !== (ipVersion === 4 ? protocolNumbers.ICMP : protocolNumbers.ICMPv6)) return false;
  return match.type === icmpType && (match.code === undefined || match.code === icmpCode);
}
