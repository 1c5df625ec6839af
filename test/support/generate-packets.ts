// SPDX-License-Identifier: Apache-2.0
/** Packets by chance between the pods and the outside of a plan. */
import { familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { tryParsePortRange } from '../../src/lib/ports.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import { portNumbers, sourcePortRanges } from './generate-pools.ts';
import type { Random } from './random.ts';

export interface PacketOptions {
  /** Protocols without ports or types. Default: what rules of generate-policy.ts name, and one that none does. */
  readonly otherProtocols?: readonly number[];
  /** Default: as likely as the others. */
  readonly withSctp?: boolean;
}

/** Both ends have one family; at least one is a pod. */
export function generatePacket(
  random: Random,
  pods: readonly Address[],
  outside: readonly Address[],
  options: PacketOptions = {},
): OraclePacket {
  const pod = random.pick(pods);
  const family = familyOf(pod);
  const others = (random.chance(0.75) ? pods : outside).filter((it) => familyOf(it) === family);
  const other = random.pick(others.length > 0 ? others : [pod]);
  const [from, to] = random.chance(0.5) ? [pod, other] : [other, pod];
  return { from, to, ...generateHead(random, family, options) };
}

/** Protocol, ports, type and code. */
export function generateHead(
  random: Random,
  family: 4 | 6,
  options: PacketOptions = {},
): Omit<OraclePacket, 'from' | 'to'> {
  const { otherProtocols = [253, 254, 47, 136], withSctp = true } = options;
  const chosen = random.below(20);
  if (chosen < 8) return { protocol: 6, ...ports(random) };
  if (chosen < 14) return { protocol: 17, ...ports(random) };
  if (chosen < 17) return icmp(random, family);
  if (chosen < 18 && withSctp) return { protocol: 132, ...ports(random) };
  return { protocol: random.pick(otherProtocols) };
}

function ports(random: Random): { srcPort: number; dstPort: number } {
  const range = tryParsePortRange(random.pick(sourcePortRanges)) ?? { first: 1, last: 1 };
  const srcPort = range.first + random.below(range.last - range.first + 1);
  return { srcPort, dstPort: random.pick([...portNumbers, ...portNumbers, 82, 8443]) };
}

/** Requests alone: connection tracking takes any other type for a reply or an error, and so for invalid. */
function icmp(random: Random, family: 4 | 6): Omit<OraclePacket, 'from' | 'to'> {
  const icmpType = random.pick(family === 4 ? [8, 8, 13] : [128, 128, 139]);
  return { protocol: family === 4 ? 1 : 58, icmpType, icmpCode: random.pick([0, 0, 1]) };
}

/** `TCP 10.0.0.1:40000 -> 10.0.0.2:80`, for messages. */
export function packetText(packet: OraclePacket): string {
  const end = (address: Address, port?: number) => (port === undefined ? address : `${address} port ${port}`);
  const type = packet.icmpType === undefined ? '' : ` type ${packet.icmpType} code ${packet.icmpCode}`;
  const way = [
    packet.in === undefined ? '' : ` in ${packet.in}`,
    packet.out === undefined ? '' : ` out ${packet.out}`,
    packet.toBeforeNat === undefined ? '' : ` before NAT ${end(packet.toBeforeNat, packet.dstPortBeforeNat)}`,
    packet.tracked === false ? ' untracked' : '',
  ].join('');
  return `protocol ${packet.protocol}${type} ${end(packet.from, packet.srcPort)} -> ${end(packet.to, packet.dstPort)}${way}`;
}
