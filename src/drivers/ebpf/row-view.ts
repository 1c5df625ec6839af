// SPDX-License-Identifier: Apache-2.0
/** One key, value or record of bpf/types.h, read field by field: the other side of row.ts. */
import { formatAddress } from '../../lib/address.ts';
import type { Address, Cidr } from '../../lib/brand.ts';
import { hasPorts, protocolNumbers } from '../../lib/protocol.ts';
import { tupleAt } from './layout.ts';
import { addressRowBytes } from './row.ts';

/** What stands before an IPv4 address: RFC 4291 section 2.5.5.2. */
const mappedBytes = 12;
const mappedBits = 8 * mappedBytes;

export interface Tuple {
  readonly protocol: number;
  readonly src: Address;
  readonly dst: Address;
  /** Null where the protocol has none; of ICMP the identifier. */
  readonly srcPort: number | null;
  /** Null where the protocol has none; of ICMP the type. */
  readonly dstPort: number | null;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function addressAt(view: DataView, at: number): Address {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, addressRowBytes);
  return formatAddress(isMapped(bytes) ? bytes.subarray(mappedBytes) : bytes);
}

/** Null for zero, which is nobody's. */
export function someAddressAt(view: DataView, at: number): Address | null {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, addressRowBytes);
  return bytes.every((byte) => byte === 0) ? null : addressAt(view, at);
}

/** @param length - of the prefix in the 128-bit form. */
export function cidrAt(view: DataView, at: number, length: number): Cidr {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, addressRowBytes);
  const bits = length >= mappedBits && isMapped(bytes) ? length - mappedBits : length;
  return `${addressAt(view, at)}/${bits}` as Cidr;
}

export function tupleOf(view: DataView, at: number): Tuple {
  const protocol = view.getUint8(at + tupleAt.protocol);
  const port = (field: number) => (hasNumbers(protocol) ? view.getUint16(at + field, true) : null);
  return {
    protocol,
    src: addressAt(view, at + tupleAt.src),
    dst: addressAt(view, at + tupleAt.dst),
    srcPort: port(tupleAt.srcPort),
    dstPort: port(tupleAt.dstPort),
  };
}

function hasNumbers(protocol: number): boolean {
  const { UDPLite } = protocolNumbers;
  return hasPorts(protocol) || protocol === UDPLite || isIcmp(protocol);
}

export function isIcmp(protocol: number): boolean {
  return protocol === protocolNumbers.ICMP || protocol === protocolNumbers.ICMPv6;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}
