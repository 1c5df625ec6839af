// SPDX-License-Identifier: Apache-2.0
/**
 * What a host at the other end takes a frame for: slow, obvious, and of two readings the stricter one. Where hosts may differ, or
 * where a packet's end is not its destination, it is invalid.
 *
 * Left to the host, as it changes neither address nor port: checksums, hop limits, martian sources, what stands inside IPv6's
 * options (but see RFC 6275 section 6.3, home addresses: nobody takes one without a binding).
 */
import { formatAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import { etherType } from './frames.ts';

export interface ReadPacket {
  readonly kind: 'packet';
  readonly family: 4 | 6;
  readonly src: Address;
  readonly dst: Address;
  readonly protocol: number;
  /** Absent where the protocol has none, or where the first fragment alone has them. */
  readonly ports?: readonly [src: number, dst: number];
  /** Of the family's own ICMP; not in later fragments. */
  readonly icmp?: { readonly type: number; readonly code: number; readonly id: number };
  readonly part: 'whole' | 'first' | 'later';
  /** Of a fragment: what names the datagram, and which of its bytes these are. */
  readonly fragment?: { readonly id: number; readonly from: number; readonly to: number };
  /** From the transport header on; empty in later fragments. */
  readonly transport: Uint8Array;
}

export type Reading =
  | { readonly kind: 'not-ip'; readonly type: number }
  | { readonly kind: 'arp'; readonly isOwn: (address: Address) => boolean }
  | { readonly kind: 'invalid'; readonly why: string }
  | ReadPacket;

const { TCP, UDP, SCTP, ICMP, ICMPv6 } = protocolNumbers;
const hopByHop = 0;
const routing = 43;
const fragmentation = 44;
const authentication = 51;
const destination = 60;
const extensions: readonly number[] = [hopByHop, routing, fragmentation, authentication, destination];

const invalid = (why: string): Reading => ({ kind: 'invalid', why });

/** @param frame - from the Ethernet header on, at least that. */
export function readFrame(frame: Uint8Array): Reading {
  const type = u16(frame, 12);
  const payload = frame.subarray(14);
  if (type === etherType.ipv4) return readIpv4(payload);
  if (type === etherType.ipv6) return readIpv6(payload);
  if (type === etherType.arp) return readArp(frame.subarray(6, 12), payload);
  return { kind: 'not-ip', type };
}

/** RFC 826; an address of zero asks for nobody (RFC 5227). What is no such message is nobody's own. */
function readArp(station: Uint8Array, arp: Uint8Array): Reading {
  const isEthernet = u16(arp, 0) === 1 && u16(arp, 2) === etherType.ipv4 && arp[4] === 6 && arp[5] === 4;
  const isOwnStation = arp.subarray(8, 14).every((byte, i) => byte === station[i]);
  const isRight = arp.length >= 28 && isEthernet && isOwnStation && ((station[0] ?? 0) & 1) === 0;
  const sender = isRight ? formatAddress(arp.subarray(14, 18)) : null;
  return { kind: 'arp', isOwn: (address) => sender === address || sender === '0.0.0.0' };
}

/** RFC 791 section 3.1. */
export function readIpv4(bytes: Uint8Array): Reading {
  if (bytes.length < 20) return invalid('IPv4: header cut short');
  const headerBytes = ((bytes[0] ?? 0) & 15) * 4;
  const length = u16(bytes, 2);
  if ((bytes[0] ?? 0) >> 4 !== 4) return invalid('IPv4: another version');
  if (headerBytes < 20 || length < headerBytes) return invalid('IPv4: header longer than the packet');
  if (length > bytes.length) return invalid('IPv4: longer than the frame');
  const fault = faultOfOptions(bytes.subarray(20, headerBytes));
  if (fault) return invalid(`IPv4: ${fault}`);
  const flags = u16(bytes, 6);
  const payload = bytes.subarray(headerBytes, length);
  const base = {
    family: 4,
    src: formatAddress(bytes.subarray(12, 16)),
    dst: formatAddress(bytes.subarray(16, 20)),
    protocol: bytes[9] ?? 0,
  } as const;
  const from = (flags & 0x1fff) * 8;
  const more = (flags & 0x2000) !== 0;
  if (from === 0 && !more) return readTransport({ ...base, part: 'whole' }, payload);
  return readFragment({ ...base, id: u16(bytes, 4), from, more }, payload);
}

/** RFC 791; source routes lead elsewhere than to the destination (RFC 7126 section 4.3). */
function faultOfOptions(options: Uint8Array): string | null {
  for (let at = 0; at < options.length; ) {
    const type = options[at] ?? 0;
    if (type === 0) return null;
    if (type === 131 || type === 137) return 'source route';
    const length = type === 1 ? 1 : (options[at + 1] ?? 0);
    if (type !== 1 && length < 2) return 'option shorter than itself';
    if (at + length > options.length) return 'option beyond the header';
    at += length;
  }
  return null;
}

/** RFC 8200. */
export function readIpv6(bytes: Uint8Array): Reading {
  if (bytes.length < 40) return invalid('IPv6: header cut short');
  if ((bytes[0] ?? 0) >> 4 !== 6) return invalid('IPv6: another version');
  const length = u16(bytes, 4);
  if (40 + length > bytes.length) return invalid('IPv6: longer than the frame');
  const [src, dst] = [bytes.subarray(8, 24), bytes.subarray(24, 40)];
  if (isMapped(src) || isMapped(dst)) return invalid('IPv6: an IPv4 address in IPv6 clothes');
  const base = { family: 6, src: formatAddress(src), dst: formatAddress(dst) } as const;
  return readExtensions(base, bytes[6] ?? 0, bytes.subarray(40, 40 + length));
}

type Base = Pick<ReadPacket, 'family' | 'src' | 'dst' | 'protocol'>;

function readExtensions(base: Omit<Base, 'protocol'>, first: number, payload: Uint8Array): Reading {
  let next = first;
  let rest = payload;
  let fragment: { id: number; more: boolean; bytes: number } | null = null;
  for (let count = 0; extensions.includes(next); count++) {
    if (rest.length < 8) return invalid(`IPv6: header ${next} cut short`);
    if (next === hopByHop && count > 0) return invalid('IPv6: hop-by-hop options not first');
    if (next === routing && (rest[3] ?? 0) > 0) return invalid('IPv6: routed on to another destination');
    if (next === fragmentation) {
      if (fragment) return invalid('IPv6: fragment of a fragment');
      const [flags, id] = [u16(rest, 2), u32(rest, 4)];
      const [from, more] = [flags & 0xfff8, (flags & 1) === 1];
      fragment = { id, more, bytes: rest.length - 8 };
      if (from > 0)
        return readFragment({ ...base, protocol: rest[0] ?? 0, id, from, more }, rest.subarray(8));
    }
    const length = extensionBytes(next, rest[1] ?? 0);
    if (length === null) return invalid('IPv6: authentication header of an odd length');
    if (length > rest.length) return invalid(`IPv6: header ${next} longer than the packet`);
    next = rest[0] ?? 0;
    rest = rest.subarray(length);
  }
  const packet = { ...base, protocol: next };
  if (!fragment?.more) return readTransport({ ...packet, part: 'whole' }, rest);
  if (fragment.bytes % 8 !== 0) return invalid('fragment of odd length, but not the last');
  const piece = { id: fragment.id, from: 0, to: fragment.bytes };
  return readTransport({ ...packet, part: 'first', fragment: piece }, rest);
}

/** RFC 8200 section 4, RFC 4302 section 2.2: whole units of eight bytes in IPv6, twelve at least. */
function extensionBytes(type: number, length: number): number | null {
  if (type === fragmentation) return 8;
  if (type !== authentication) return (length + 1) * 8;
  const bytes = (length + 2) * 4;
  return bytes % 8 === 0 && bytes >= 12 ? bytes : null;
}

interface Piece extends Base {
  readonly id: number;
  readonly from: number;
  readonly more: boolean;
}

/** RFC 791 section 3.2, RFC 8200 section 4.5. */
function readFragment({ id, from, more, ...base }: Piece, payload: Uint8Array): Reading {
  if (more && payload.length % 8 !== 0) return invalid('fragment of odd length, but not the last');
  if (from + payload.length > 65_535) return invalid('fragment beyond the longest datagram');
  const fragment = { id, from, to: from + payload.length };
  if (from > 0) return { kind: 'packet', ...base, part: 'later', fragment, transport: new Uint8Array(0) };
  return readTransport({ ...base, part: 'first', fragment }, payload);
}

/** A first fragment must hold the transport header whole: RFC 1858, RFC 7112. */
function readTransport(base: Omit<ReadPacket, 'kind' | 'transport'>, bytes: Uint8Array): Reading {
  const packet = { kind: 'packet', ...base, transport: bytes } as const;
  const ports = [u16(bytes, 0), u16(bytes, 2)] as const;
  switch (base.protocol) {
    case TCP: {
      const headerBytes = ((bytes[12] ?? 0) >> 4) * 4;
      const isWhole = bytes.length >= 20 && headerBytes >= 20 && headerBytes <= bytes.length;
      return isWhole ? { ...packet, ports } : invalid('TCP: header cut short');
    }
    case UDP: {
      if (bytes.length < 8) return invalid('UDP: header cut short');
      const length = u16(bytes, 4);
      const isRight = length >= 8 && (base.part === 'first' || length <= bytes.length);
      return isRight ? { ...packet, ports } : invalid('UDP: a length that cannot be');
    }
    case SCTP:
      return bytes.length >= 12 ? { ...packet, ports } : invalid('SCTP: header cut short');
    case base.family === 4 ? ICMP : ICMPv6: {
      const icmp = { type: bytes[0] ?? 0, code: bytes[1] ?? 0, id: u16(bytes, 4) };
      return bytes.length >= 8 ? { ...packet, icmp } : invalid('ICMP: header cut short');
    }
    default:
      return packet;
  }
}

/** What an ICMP error says that it is about: its addresses and ports (RFC 792, RFC 4443 section 3); null: it cannot be told. */
export function readQuoted({
  family,
  transport,
}: ReadPacket): (Omit<Base, 'family'> & { ports: readonly number[] }) | null {
  const quoted = transport.subarray(8);
  const headerBytes = family === 4 ? ((quoted[0] ?? 0) & 15) * 4 : 40;
  const isWhole = quoted.length >= headerBytes + 4 && headerBytes >= 20 && (quoted[0] ?? 0) >> 4 === family;
  if (!isWhole) return null;
  const [src, dst, protocol] = family === 4 ? ([12, 16, 9] as const) : ([8, 24, 6] as const);
  const address = (at: number) => formatAddress(quoted.subarray(at, at + (family === 4 ? 4 : 16)));
  return {
    src: address(src),
    dst: address(dst),
    protocol: quoted[protocol] ?? 0,
    ports: [u16(quoted, headerBytes), u16(quoted, headerBytes + 2)],
  };
}

function isMapped(address: Uint8Array): boolean {
  return address.subarray(0, 10).every((byte) => byte === 0) && address[10] === 0xff && address[11] === 0xff;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65_536 + u16(bytes, at + 2);
}
