// SPDX-License-Identifier: Apache-2.0
/**
 * One ResolvedRule as matches of one address family. Alternatives (numeric or named ports; no protocol but ports)
 * become several rules, as a chain rule is a conjunction.
 */
import type { PeerMatch, ResolvedRule } from '../contract/dataplane.ts';
import { type Family, familyOf } from '../lib/address.ts';
import { hasPorts, protocolNumbers } from '../lib/protocol.ts';
import type { Match, Side } from './chain.ts';

const protocolsWithPorts = [protocolNumbers.TCP, protocolNumbers.UDP, protocolNumbers.SCTP] as const;
const icmpOf: { readonly [F in Family]: number } = { 4: protocolNumbers.ICMP, 6: protocolNumbers.ICMPv6 };

/** Each element is one conjunction; none when the rule cannot match a packet of this family. */
export function matchesOf(rule: ResolvedRule, family: Family): readonly (readonly Match[])[] {
  if (rule.ipVersion !== undefined && rule.ipVersion !== family) return [];
  if (!canMatchFamily(rule.src, family) || !canMatchFamily(rule.dst, family)) return [];
  const known = rule.protocol !== undefined;
  return protocolAlternatives(rule, family).flatMap(({ match, mayHavePorts }) =>
    portAlternatives('src', rule.src, known).flatMap((sourcePorts) =>
      portAlternatives('dst', rule.dst, known).map((destinationPorts) => [
        ...match,
        ...peerMatches('src', rule.src, family),
        ...peerMatches('dst', rule.dst, family),
        ...(mayHavePorts ? [...notPortSets('src', rule.src), ...notPortSets('dst', rule.dst)] : []),
        ...sourcePorts,
        ...destinationPorts,
        ...icmpMatches(rule, family),
      ]),
    ),
  );
}

/** Nets of the other family alone never match here; nets of none match all. */
function canMatchFamily(peer: PeerMatch, family: Family): boolean {
  return peer.nets.length === 0 || peer.nets.some((net) => familyOf(net) === family);
}

interface ProtocolAlternative {
  readonly match: readonly Match[];
  /** False: packets of these protocols have no port, and so none that is excluded. */
  readonly mayHavePorts: boolean;
}

/** Port and ICMP fields may only be read once the protocol is known, else they read another protocol's bytes. */
function protocolAlternatives(rule: ResolvedRule, family: Family): readonly ProtocolAlternative[] {
  const excluded = rule.notProtocol === undefined ? [] : [not(rule.notProtocol)];
  const wanted = wantedProtocols(rule, family);
  if (wanted !== null) return wanted.map((protocol) => only(protocol, excluded));
  if (!onlyExcludesNamedPorts(rule)) return [{ match: excluded, mayHavePorts: true }];
  // A packet may be too short to hold ports: a lookup would then end the rule unmatched, although nothing excludes it.
  return [
    ...protocolsWithPorts.map((protocol) => only(protocol, excluded)),
    { match: [...protocolsWithPorts.map(not), ...excluded], mayHavePorts: false },
  ];
}

function only(protocol: number, excluded: readonly Match[]): ProtocolAlternative {
  return { match: [{ kind: 'protocol', protocol }, ...excluded], mayHavePorts: hasPorts(protocol) };
}

function not(protocol: number): Match {
  return { kind: 'protocol', protocol, negate: true };
}

/** Where named ports are wanted as well, their lookup keeps other protocols out. */
function onlyExcludesNamedPorts({ src, dst }: ResolvedRule): boolean {
  const excludes = src.notPortSets.length > 0 || dst.notPortSets.length > 0;
  return excludes && src.portSets.length === 0 && dst.portSets.length === 0;
}

/** Null: any. A rule with an ICMP condition matches ICMP of its family only, a rule with ports TCP, UDP and SCTP only. */
function wantedProtocols(rule: ResolvedRule, family: Family): readonly number[] | null {
  const readsPorts = [rule.src, rule.dst].some((peer) => needsPort(peer));
  let wanted: readonly number[] | null = rule.protocol === undefined ? null : [rule.protocol];
  if (rule.icmp !== undefined || excludesOwnIcmp(rule, family)) wanted = restrict(wanted, [icmpOf[family]]);
  if (readsPorts) wanted = restrict(wanted, protocolsWithPorts);
  return wanted;
}

function restrict(wanted: readonly number[] | null, allowed: readonly number[]): readonly number[] {
  return wanted === null ? allowed : wanted.filter((protocol) => allowed.includes(protocol));
}

/** Named ports carry their protocol in the set and need no more. */
function needsPort(peer: PeerMatch): boolean {
  return peer.notPorts.length > 0 || (peer.ports.length > 0 && peer.portSets.length === 0);
}

function portAlternatives(
  side: Side,
  peer: PeerMatch,
  protocolKnown: boolean,
): readonly (readonly Match[])[] {
  const alternatives: Match[][] = peer.portSets.map((set) => [{ kind: 'port-set', side, set }]);
  if (peer.ports.length > 0) {
    const ports: Match = { kind: 'ports', side, ports: peer.ports };
    if (peer.portSets.length === 0 || protocolKnown) alternatives.push([ports]);
    else
      for (const protocol of protocolsWithPorts) alternatives.push([{ kind: 'protocol', protocol }, ports]);
  }
  return alternatives.length === 0 ? [[]] : alternatives;
}

function peerMatches(side: Side, peer: PeerMatch, family: Family): readonly Match[] {
  const nets = peer.nets.filter((net) => familyOf(net) === family);
  const notNets = peer.notNets.filter((net) => familyOf(net) === family);
  return [
    ...(nets.length > 0 ? [{ kind: 'nets', side, nets } as const] : []),
    ...(notNets.length > 0 ? [{ kind: 'nets', side, nets: notNets, negate: true } as const] : []),
    ...peer.sets.map((set) => ({ kind: 'set', side, set }) as const),
    ...peer.notSets.map((set) => ({ kind: 'set', side, set, negate: true }) as const),
    ...(peer.notPorts.length > 0
      ? [{ kind: 'ports', side, ports: peer.notPorts, negate: true } as const]
      : []),
  ];
}

function notPortSets(side: Side, peer: PeerMatch): readonly Match[] {
  return peer.notPortSets.map((set) => ({ kind: 'port-set', side, set, negate: true }));
}

function icmpMatches(rule: ResolvedRule, family: Family): readonly Match[] {
  return [
    ...(rule.icmp ? [icmpMatch(rule.icmp, false)] : []),
    ...(rule.notIcmp && excludesOwnIcmp(rule, family) ? [icmpMatch(rule.notIcmp, true)] : []),
  ];
}

/** ICMP inside IPv6, or ICMPv6 inside IPv4, has no type that could be excluded. */
function excludesOwnIcmp(rule: ResolvedRule, family: Family): boolean {
  return rule.notIcmp !== undefined && (rule.protocol === undefined || rule.protocol === icmpOf[family]);
}

function icmpMatch(icmp: { type: number; code?: number }, negate: boolean): Match {
  const { type, code } = icmp;
  return code === undefined
    ? { kind: 'icmp-type', type, negate }
    : { kind: 'icmp-type-code', type, code, negate };
}
