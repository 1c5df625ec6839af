// SPDX-License-Identifier: Apache-2.0
/** A packet in the oracle's words as an IP packet on the wire, plain or dressed with what changes nothing of its meaning. */
import { familyOf } from '../../src/lib/address.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import * as f from './frames.ts';
import type { Random } from './random.ts';

const { TCP, UDP, SCTP } = protocolNumbers;

/** Options that every host skips, a first fragment of more, a padded frame: who reads it must come to the same end. */
export type Dress = 'plain' | 'options' | 'first-fragment' | 'padded';
export const dresses: readonly Dress[] = ['plain', 'plain', 'plain', 'options', 'first-fragment', 'padded'];

/** @param number - 16 bits, of an ICMP request or a fragment. */
export function packetBytesOf(packet: OraclePacket, number: number, dress: Dress = 'plain'): Uint8Array {
  const ends = { src: packet.from, dst: packet.to };
  const transport = transportOf(packet, number);
  const is4 = familyOf(packet.to) === 4;
  switch (dress) {
    case 'plain':
      return f.ip(ends, packet.protocol, transport);
    case 'padded':
      return f.join(f.ip(ends, packet.protocol, transport), new Uint8Array(30).fill(0xa5));
    case 'options':
      return is4
        ? f.ipv4({ ...ends, protocol: packet.protocol, payload: transport, options: routerAlert })
        : f.ipv6(
            ends,
            f.extension.hopByHop,
            f.join(f.paddingOptions(f.extension.destination), f.paddingOptions(packet.protocol), transport),
          );
    case 'first-fragment': {
      const payload = f.join(transport, new Uint8Array((8 - (transport.length % 8)) % 8));
      if (is4)
        return f.ipv4({ ...ends, protocol: packet.protocol, payload, moreFragments: true, id: number });
      return f.ipv6(
        ends,
        f.extension.fragment,
        f.join(f.fragmentHeader(packet.protocol, 0, true, number), payload),
      );
    }
  }
}

/** RFC 2113, and one that says nothing. */
const routerAlert = [0x94, 4, 0, 0, 1, 1, 1, 0];

function transportOf({ from, to, protocol, ...head }: OraclePacket, number: number): Uint8Array {
  const ends = { src: from, dst: to };
  const { srcPort = 0, dstPort = 0, icmpType = 0, icmpCode = 0 } = head;
  const data = new Uint8Array(16);
  if (protocol === TCP) return f.tcp(ends, srcPort, dstPort, f.tcpFlag.syn, new Uint8Array(0));
  if (protocol === UDP) return f.udp(ends, srcPort, dstPort, data);
  if (protocol === SCTP) return f.sctp(srcPort, dstPort);
  if (head.icmpType === undefined) return data;
  const body = f.join([icmpType, icmpCode, 0, 0, ...f.word(number), 0, 1], data);
  return familyOf(to) === 4 ? f.icmp4(body) : f.icmp6(ends, body);
}

export function randomDress(random: Random): Dress {
  return random.pick(dresses);
}
