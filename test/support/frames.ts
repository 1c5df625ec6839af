// SPDX-License-Identifier: Apache-2.0
/** Frames made by hand, right or wrong in whatever way a test wants. Layouts: RFC 791, 8200, 768, 9293, 826, 4861, 7348. */
import { addressBytes, familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';

export const etherType = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, qinq: 0x88a8, ipv6: 0x86dd } as const;
export const tcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;
/** RFC 8200 section 4. */
export const extension = { hopByHop: 0, routing: 43, fragment: 44, destination: 60 } as const;

export function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function ethernet(to: Uint8Array, from: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  return join(to, from, word(type), payload);
}

export interface Ends {
  readonly src: Address;
  readonly dst: Address;
}

export interface Ipv4Fields extends Ends {
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** Whole words. */
  readonly options?: readonly number[];
  /** In units of eight bytes. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly id?: number;
}

export function ipv4(fields: Ipv4Fields): Uint8Array {
  const {
    src,
    dst,
    protocol,
    payload,
    options = [],
    fragmentOffset = 0,
    moreFragments = false,
    id = 7,
  } = fields;
  const headerBytes = 20 + options.length;
  const fragment = (moreFragments ? 0x2000 : 0) | fragmentOffset;
  const header = join(
    [
      0x40 | (headerBytes / 4),
      0,
      ...word(headerBytes + payload.length),
      ...word(id),
      ...word(fragment),
      64,
      protocol,
    ],
    [0, 0],
    addressBytes(src),
    addressBytes(dst),
    options,
  );
  header.set(word(checksum(header)), 10);
  return join(header, payload);
}

/** @param next - the first header's number, extension or protocol. */
export function ipv6(ends: Ends, next: number, payload: Uint8Array, hopLimit = 64): Uint8Array {
  const { src, dst } = ends;
  return join(
    [0x60, 0, 0, 0, ...word(payload.length), next, hopLimit],
    addressBytes(src),
    addressBytes(dst),
    payload,
  );
}

/** One packet of either family. */
export function ip(ends: Ends, protocol: number, payload: Uint8Array): Uint8Array {
  return familyOf(ends.dst) === 4 ? ipv4({ ...ends, protocol, payload }) : ipv6(ends, protocol, payload);
}

/** RFC 8200 section 4.5. */
export function fragmentHeader(next: number, offset: number, more: boolean, id: number): Uint8Array {
  return Uint8Array.of(next, 0, ...word((offset << 3) | (more ? 1 : 0)), 0, 0, ...word(id));
}

/** Hop-by-hop or destination options with nothing but padding (PadN). */
export function paddingOptions(next: number): Uint8Array {
  return Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0);
}

export function udp(ends: Ends, sport: number, dport: number, data: Uint8Array): Uint8Array {
  const segment = join([...word(sport), ...word(dport), ...word(8 + data.length), 0, 0], data);
  return withChecksum(ends, protocolNumbers.UDP, segment, 6);
}

export function tcp(ends: Ends, sport: number, dport: number, flags: number, data: Uint8Array): Uint8Array {
  const numbers = [0, 0, 0, 1, 0, 0, 0, 1]; // sequence, acknowledgement
  const segment = join(
    [...word(sport), ...word(dport), ...numbers, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0],
    data,
  );
  return withChecksum(ends, protocolNumbers.TCP, segment, 16);
}

/** @param body - from the type on, the checksum's field 0. */
export function icmp6(ends: Ends, body: Uint8Array): Uint8Array {
  return withChecksum(ends, protocolNumbers.ICMPv6, body, 2);
}

/** The same of IPv4, whose checksum covers no addresses: RFC 792. */
export function icmp4(body: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(body);
  bytes.set(word(checksum(body)), 2);
  return bytes;
}

/** INIT, the first of an association: RFC 9260 section 3.3.2. Its checksum is not made. */
export function sctp(sport: number, dport: number): Uint8Array {
  return join([...word(sport), ...word(dport)], new Uint8Array(8), [1, 0, 0, 20], new Uint8Array(16));
}

export interface ArpFields {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Uint8Array;
  readonly sender: Address;
  readonly target: Address;
}

export function arp({ operation, senderMac, sender, target }: ArpFields): Uint8Array {
  const code = operation === 'request' ? 1 : 2;
  const head = [...word(1), ...word(etherType.ipv4), 6, 4, ...word(code)];
  return join(head, senderMac, addressBytes(sender), [0, 0, 0, 0, 0, 0], addressBytes(target));
}

/** RFC 7348 section 5: valid VNI flag, then the VNI. */
export function vxlan(vni: number, inner: Uint8Array): Uint8Array {
  return join([0x08, 0, 0, 0, vni >>> 16, vni >>> 8, vni, 0], inner);
}

export function contains(frame: Uint8Array, bytes: Uint8Array): boolean {
  return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).includes(Buffer.from(bytes));
}

function withChecksum(ends: Ends, protocol: number, segment: Uint8Array, at: number): Uint8Array {
  const pseudo = join(addressBytes(ends.src), addressBytes(ends.dst), [0, protocol, ...word(segment.length)]);
  const bytes = Uint8Array.from(segment);
  bytes.set(word(checksum(join(pseudo, segment)) || 0xffff), at);
  return bytes;
}

/** RFC 1071. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Two bytes in network order. */
export function word(value: number): [number, number] {
  return [(value >>> 8) & 0xff, value & 0xff];
}
