// SPDX-License-Identifier: Apache-2.0
/** Members of IP sets as keys of the maps `sets` and `nets`: bytes, held in strings of one character a byte. */
import type { IpSet } from '../../contract/dataplane.ts';
import { addressBytes, type Family, familyOf } from '../../lib/address.ts';
import { tryParseProtocol } from '../../lib/protocol.ts';
import { netKeyAt, netKeyBytes, setKeyAt, setKeyBytes } from './layout.ts';

/** Sixteen bytes; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
export type AddressBytes = string;

export interface NetMember {
  readonly family: Family;
  readonly address: AddressBytes;
  /** Bits of the 128. */
  readonly length: number;
}

const mapped = `${'\0'.repeat(10)}\xff\xff`;
export const addressBits = 128;

/** @param cidr - canonical. */
export function netMember(cidr: string): NetMember {
  const slash = cidr.indexOf('/');
  const family = familyOf(cidr);
  const bytes = Buffer.from(addressBytes(cidr.slice(0, slash))).toString('latin1');
  const length = Number(cidr.slice(slash + 1));
  return family === 4
    ? { family, address: mapped + bytes, length: 96 + length }
    : { family, address: bytes, length };
}

/** @param address - whose bits beyond `length` become zero. */
export function masked(address: AddressBytes, length: number): AddressBytes {
  if (length >= addressBits) return address;
  const whole = length >>> 3;
  const rest = length & 7;
  const byte = rest === 0 ? 0 : address.charCodeAt(whole) & (0xff << (8 - rest)) & 0xff;
  return address.slice(0, whole) + String.fromCharCode(byte) + zeros.slice(0, 15 - whole);
}
const zeros = '\0'.repeat(16);

export function memberFamily(type: IpSet['type'], member: string): Family {
  return familyOf(type === 'net' ? member : member.slice(0, member.indexOf(',')));
}

/** Key of `sets` for a single address. */
export function addressKey(set: bigint, address: AddressBytes): string {
  const key = Buffer.alloc(setKeyBytes);
  key.writeBigUInt64LE(set, setKeyAt.set);
  key.write(address, setKeyAt.address, 'latin1');
  return key.toString('latin1');
}

/** Key of `sets` for `10.0.0.1,tcp:80`. */
export function portKey(set: bigint, member: string): string {
  const [, address = '', protocol = '', port = ''] = /^(.*),(.*):(.*)$/.exec(member) ?? [];
  const number = tryParseProtocol(protocol);
  if (number === null) throw new TypeError(`member ${member}: want ADDRESS,PROTOCOL:PORT`);
  const key = Buffer.alloc(setKeyBytes);
  key.writeBigUInt64LE(set, setKeyAt.set);
  key.writeUInt16LE(Number(port), setKeyAt.port);
  key.writeUInt8(number, setKeyAt.protocol);
  key.write(netMember(`${address}/0`).address, setKeyAt.address, 'latin1');
  return key.toString('latin1');
}

/** Key of `nets`. */
export function netKey(set: bigint, address: AddressBytes, length: number): string {
  const key = Buffer.alloc(netKeyBytes);
  key.writeUInt32LE(64 + length, netKeyAt.prefixLength);
  key.writeBigUInt64LE(set, netKeyAt.set);
  key.write(address, netKeyAt.address, 'latin1');
  return key.toString('latin1');
}

/** The set that a row of either map belongs to. */
export function setOfKey(key: string): bigint {
  const bytes = Buffer.from(key, 'latin1');
  return bytes.readBigUInt64LE(bytes.length === netKeyBytes ? netKeyAt.set : setKeyAt.set);
}
