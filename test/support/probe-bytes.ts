// SPDX-License-Identifier: Apache-2.0
/** What probes consist of: after the protocol's own header the word MUSL and the probe's number. */
import type { Family } from '../../src/lib/address.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';

const magic = 0x4d55534c; // MUSL
const { UDP, ICMP, ICMPv6, SCTP } = protocolNumbers;

/** Of UDP only the payload: its socket makes the header. Of ICMPv6 without checksum: the kernel fills it in (RFC 3542). */
export function probeBytes(packet: OraclePacket, number: number): Uint8Array {
  switch (packet.protocol) {
    case ICMP:
    case ICMPv6:
      return icmpRequest(packet, number);
    case SCTP:
      return sctpInit(packet, number);
    case UDP:
      return stamp(new Uint8Array(8), 0, number);
    default:
      return shortProbe(number);
  }
}

/** @param bytes - as a raw socket gives it: with the IP header in IPv4 alone (raw(7), ipv6(7)). @returns null if it is no probe. */
export function probeNumber(protocol: number, family: Family, bytes: Uint8Array): number | null {
  const start = family === 4 ? ((bytes[0] ?? 0) & 0x0f) * 4 : 0;
  if (![UDP, ICMP, ICMPv6, SCTP].some((known) => known === protocol))
    return shortNumber(bytes.subarray(start));
  const at = start + headerBytes(protocol);
  if (bytes.length < at + 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isReply = protocol === ICMP ? [0, 14].includes(bytes[start] ?? 0) : bytes[start] === 129;
  if ((protocol === ICMP || protocol === ICMPv6) && isReply) return null;
  return view.getUint32(at) === magic ? view.getUint32(at + 4) : null;
}

/** The number alone: too short to hold ports, which a rule about ports must survive. */
function shortProbe(number: number): Uint8Array {
  return new Uint8Array([number >>> 16, number >>> 8, number]);
}

function shortNumber(bytes: Uint8Array): number | null {
  const [high = 0, middle = 0, low = 0] = bytes;
  return bytes.length === 3 ? (high << 16) | (middle << 8) | low : null;
}

function headerBytes(protocol: number): number {
  if (protocol === SCTP) return sctpHeaderBytes + initChunkBytes + parameterHeaderBytes;
  return 8;
}

/** 20 bytes, so that a timestamp request (RFC 792) is whole. */
function icmpRequest(packet: OraclePacket, number: number): Uint8Array {
  const bytes = stamp(new Uint8Array(20), 8, number);
  const view = new DataView(bytes.buffer);
  bytes[0] = packet.icmpType ?? 0;
  bytes[1] = packet.icmpCode ?? 0;
  // Identifier and sequence: connection tracking knows a request by its identifier, so each probe has its own.
  view.setUint16(4, number & 0xffff);
  view.setUint16(6, number >>> 16);
  if (packet.protocol === ICMP) view.setUint16(2, internetChecksum(view));
  return bytes;
}

const sctpHeaderBytes = 12;
const initChunkBytes = 20;
const parameterHeaderBytes = 4;

/** RFC 9260 sections 3.1 and 3.3.2; the number stands in a parameter that receivers skip (section 3.2.1, type 0x8000). */
function sctpInit(packet: OraclePacket, number: number): Uint8Array {
  const length = headerBytes(SCTP) + 8;
  const bytes = stamp(new Uint8Array(length), headerBytes(SCTP), number);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, packet.srcPort ?? 0);
  view.setUint16(2, packet.dstPort ?? 0);
  bytes[12] = 1; // INIT
  view.setUint16(14, length - sctpHeaderBytes);
  view.setUint32(16, number); // initiate tag, not 0
  view.setUint32(20, 65536); // receiver window
  view.setUint16(24, 1); // streams out and in
  view.setUint16(26, 1);
  view.setUint32(28, number);
  view.setUint16(32, 0x8000);
  view.setUint16(34, parameterHeaderBytes + 8);
  view.setUint32(8, crc32c(bytes), true);
  return bytes;
}

function stamp(bytes: Uint8Array, at: number, number: number): Uint8Array {
  const view = new DataView(bytes.buffer);
  view.setUint32(at, magic);
  view.setUint32(at + 4, number);
  return bytes;
}

/** RFC 1071, over an even number of bytes. */
function internetChecksum(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < view.byteLength; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Castagnoli's polynomial, RFC 9260 appendix A. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
