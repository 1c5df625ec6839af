// SPDX-License-Identifier: Apache-2.0
/**
 * Set members between key text (model.ts) and the kernel's bytes: each field big-endian, padded to four bytes in a
 * concatenation; interface names NUL-padded to 16.
 */
import {
  addressBytes,
  addressFromNumber,
  bitsOf,
  bytesToNumber,
  type Family,
  formatAddress,
  numberToBytes,
} from '../../lib/address.ts';
import { cidrRange, tryParseCidr } from '../../lib/cidr.ts';
import { assertNever } from '../../lib/errors.ts';
import type { KeyField, SetSpec } from './model.ts';

const ifNameBytes = 16; // IFNAMSIZ, linux/if.h
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function fieldBytes(field: KeyField, family: Family): number {
  switch (field) {
    case 'address':
      return bitsOf[family] / 8;
    case 'protocol':
      return 1;
    case 'port':
      return 2;
    case 'ifname':
      return ifNameBytes;
    default:
      return assertNever(field);
  }
}

/** Datatype numbers of libnftables (nftables, include/datatype.h): only `nft list` reads them. */
const typeNumbers = { address4: 7, address6: 8, protocol: 12, port: 13, ifname: 41 } as const;

export function keyType(spec: SetSpec, family: Family): number {
  const numbers = spec.key.map((field) =>
    field === 'address' ? typeNumbers[`address${family}`] : typeNumbers[field],
  );
  return numbers.reduce((all, number) => (all << 6) | number, 0);
}

/** libnftables' byte order of the key: interface names are host-endian strings, everything else is big-endian. */
export function keyByteOrder(spec: SetSpec): number {
  return spec.key.length === 1 && spec.key[0] === 'ifname' ? 1 : 2;
}

/** In a concatenation every field starts on a four-byte register. */
export function paddedBytes(field: KeyField, family: Family): number {
  return Math.ceil(fieldBytes(field, family) / 4) * 4;
}

export function keyLength(spec: SetSpec, family: Family): number {
  const [only] = spec.key;
  if (only && spec.key.length === 1) return fieldBytes(only, family);
  return spec.key.reduce((sum, field) => sum + paddedBytes(field, family), 0);
}

/** First and last key of one member, each as long as the set's keys; equal where the member is no range. */
export interface KeyRange {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export function encodeKey(key: string, spec: SetSpec, family: Family): KeyRange {
  const [only] = spec.key;
  if (only && spec.key.length === 1) return encodeField(only, key, family);
  const parts = key.split(' . ');
  const first = new Uint8Array(keyLength(spec, family));
  const last = new Uint8Array(first.length);
  let at = 0;
  for (const [i, field] of spec.key.entries()) {
    const range = encodeField(field, parts[i] ?? '', family);
    first.set(range.first, at);
    last.set(range.last, at);
    at += paddedBytes(field, family);
  }
  return { first, last };
}

function encodeField(field: KeyField, text: string, family: Family): KeyRange {
  switch (field) {
    case 'address':
      return encodeAddress(text, family);
    case 'protocol':
      return single(Uint8Array.of(Number(text)));
    case 'port': {
      const [first = '', last = first] = text.split('-');
      return { first: portBytes(Number(first)), last: portBytes(Number(last)) };
    }
    case 'ifname':
      return single(ifNameKey(text));
    default:
      return assertNever(field);
  }
}

function encodeAddress(text: string, family: Family): KeyRange {
  if (text.includes('-')) {
    const [first = '', last = ''] = text.split('-');
    return { first: addressBytes(first), last: addressBytes(last) };
  }
  if (!text.includes('/')) return single(addressBytes(text));
  const cidr = tryParseCidr(text);
  if (!cidr) throw new TypeError(`not a CIDR: ${text}`);
  const range = cidrRange(cidr);
  return { first: numberToBytes(range.first, family), last: numberToBytes(range.last, family) };
}

export function ifNameKey(name: string): Uint8Array {
  const bytes = new Uint8Array(ifNameBytes);
  bytes.set(encoder.encode(name));
  return bytes;
}

export function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

function single(bytes: Uint8Array): KeyRange {
  return { first: bytes, last: bytes };
}

/** The key after `bytes`, which an interval ends before; null past the last one. */
export function successor(bytes: Uint8Array): Uint8Array | null {
  const next = Uint8Array.from(bytes);
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = ((next[i] ?? 0) + 1) & 0xff;
    if (next[i] !== 0) return next;
  }
  return null;
}

/** The key before `bytes`, for reading interval ends back. */
export function predecessor(bytes: Uint8Array): Uint8Array {
  const previous = Uint8Array.from(bytes);
  for (let i = previous.length - 1; i >= 0; i--) {
    previous[i] = ((previous[i] ?? 0) - 1) & 0xff;
    if (previous[i] !== 0xff) break;
  }
  return previous;
}

export function lastKey(spec: SetSpec, family: Family): Uint8Array {
  return new Uint8Array(keyLength(spec, family)).fill(0xff);
}

/** The text that encodeKey reads, in its one canonical form. */
export function decodeKey(range: KeyRange, spec: SetSpec, family: Family): string {
  const [only] = spec.key;
  if (only && spec.key.length === 1) return decodeField(only, range, family);
  let at = 0;
  return spec.key
    .map((field) => {
      const end = at + fieldBytes(field, family);
      const text = decodeField(
        field,
        { first: range.first.slice(at, end), last: range.last.slice(at, end) },
        family,
      );
      at += paddedBytes(field, family);
      return text;
    })
    .join(' . ');
}

function decodeField(field: KeyField, range: KeyRange, family: Family): string {
  switch (field) {
    case 'address':
      return decodeAddress(range, family);
    case 'protocol':
      return String(range.first[0]);
    case 'port': {
      const [first, last] = [bytesToNumber(range.first), bytesToNumber(range.last)];
      return first === last ? String(first) : `${first}-${last}`;
    }
    case 'ifname':
      return decoder.decode(range.first).replace(/\0.*$/, '');
    default:
      return assertNever(field);
  }
}

/** Ranges that are a prefix come back as CIDR; others, which only a stranger writes, as `first-last`. */
function decodeAddress(range: KeyRange, family: Family): string {
  const first = bytesToNumber(range.first);
  const last = bytesToNumber(range.last);
  if (first === last) return formatAddress(range.first);
  const size = last - first + 1n;
  const hostBits = size.toString(2).length - 1;
  const isPrefix = size === 1n << BigInt(hostBits) && first % size === 0n;
  if (isPrefix) return `${formatAddress(range.first)}/${bitsOf[family] - hostBits}`;
  return `${formatAddress(range.first)}-${addressFromNumber(last, family)}`;
}
