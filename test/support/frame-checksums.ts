// SPDX-License-Identifier: Apache-2.0
/** Every checksum of a frame made anew and compared: IP, transport, what an ICMP error quotes, and what a tunnel carries. */
import { addressBytes } from '../../src/lib/address.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import { type ReadPacket, readFrame } from './frame-reader.ts';
import { checksum, etherType, join, word } from './frames.ts';

const { TCP, UDP, ICMP, ICMPv6 } = protocolNumbers;
const vxlanPort = 4789;

/** Null: all are right. A fragment's transport checksum is not looked at: it is of all parts together. */
export function wrongChecksum(frame: Uint8Array): string | null {
  const reading = readFrame(frame);
  if (reading.kind !== 'packet') return `${reading.kind}: ${JSON.stringify(reading)}`;
  return wrongHeader(frame) ?? (reading.part === 'whole' ? wrongTransport(reading) : null);
}

function wrongHeader(frame: Uint8Array): string | null {
  if (((frame[12] ?? 0) << 8) + (frame[13] ?? 0) !== etherType.ipv4) return null;
  const bytes = ((frame[14] ?? 0) & 15) * 4;
  return checksum(frame.subarray(14, 14 + bytes)) === 0 ? null : "IPv4 header's";
}

/** Of a packet that is whole, or was put together. */
export function wrongTransport(packet: ReadPacket): string | null {
  const { family, protocol, transport } = packet;
  switch (protocol) {
    case TCP:
      return sumWithEnds(packet) === 0 ? null : "TCP's";
    case UDP:
      return isWithoutChecksum(packet) || sumWithEnds(packet) === 0 ? wrongTunnelled(packet) : "UDP's";
    case ICMP:
      if (family === 6) return null;
      return checksum(transport) === 0 ? wrongQuoted(packet) : "ICMP's";
    case ICMPv6:
      if (family === 4) return null;
      return sumWithEnds(packet) === 0 ? null : "ICMPv6's";
    default:
      return null;
  }
}

/** RFC 768: none was made. RFC 6935: of a tunnel alone in IPv6. */
function isWithoutChecksum({ family, transport, ports }: ReadPacket): boolean {
  const isNone = transport[6] === 0 && transport[7] === 0;
  return isNone && (family === 4 || ports?.[1] === vxlanPort);
}

function sumWithEnds({ src, dst, protocol, transport }: ReadPacket): number {
  const length = [0, 0, ...word(transport.length)];
  return checksum(join(addressBytes(src), addressBytes(dst), length, [0, 0, 0, protocol], transport));
}

function wrongTunnelled({ ports, transport }: ReadPacket): string | null {
  return ports?.[1] === vxlanPort ? wrongChecksum(transport.subarray(16)) : null;
}

/** The quoted header's own; what it heads is not there whole. */
function wrongQuoted({ icmp, transport }: ReadPacket): string | null {
  if (![3, 4, 5, 11, 12].includes(icmp?.type ?? 0)) return null;
  const bytes = ((transport[8] ?? 0) & 15) * 4;
  return checksum(transport.subarray(8, 8 + bytes)) === 0 ? null : "the quoted IPv4 header's";
}
