// SPDX-License-Identifier: Apache-2.0
/**
 * IPv4 and IPv6 addresses: text, bytes and numbers. The family is always a parameter or a result, never a second copy.
 *
 * Owns:       parsing to canonical text (RFC 4291 section 2.2, RFC 5952 section 4) and conversion to and from bytes.
 * Invariants: two texts of one address have one canonical form; no IPv4 with leading zeros (they read as octal elsewhere).
 * Next:       cidr.ts builds on it.
 */
import type { Address } from './brand.ts';
import { InvalidError } from './errors.ts';

export type Family = 4 | 6;
export const bitsOf: { readonly [F in Family]: number } = { 4: 32, 6: 128 };

/** @throws {InvalidError} unless `text` is an IPv4 or IPv6 address without prefix length or zone. */
export function parseAddress(text: string): Address {
  const bytes = tryParseBytes(text);
  if (!bytes) throw new InvalidError(`address ${JSON.stringify(text)}: want an IPv4 or IPv6 address`);
  return formatAddress(bytes);
}

/** Canonical form, or null if `text` is no address. */
export function tryParseAddress(text: string): Address | null {
  const bytes = tryParseBytes(text);
  return bytes ? formatAddress(bytes) : null;
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/** Network byte order, 4 or 16 bytes. `address` must be canonical or at least valid. */
export function addressBytes(address: string): Uint8Array {
  const bytes = tryParseBytes(address);
  if (!bytes) throw new TypeError(`not an address: ${address}`);
  return bytes;
}

export function addressNumber(address: string): bigint {
  return bytesToNumber(addressBytes(address));
}

export function addressFromNumber(value: bigint, family: Family): Address {
  return formatAddress(numberToBytes(value, family));
}

export function bytesToNumber(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

export function numberToBytes(value: bigint, family: Family): Uint8Array {
  const bytes = new Uint8Array(bitsOf[family] / 8);
  for (let i = bytes.length - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** 4 bytes as dotted decimal, 16 bytes as RFC 5952 text. */
export function formatAddress(bytes: Uint8Array): Address {
  return (bytes.length === 4 ? bytes.join('.') : formatV6(bytes)) as Address;
}

function tryParseBytes(text: string): Uint8Array | null {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseV6(text: string): Uint8Array | null {
  if (text.length > 45) return null; // the longest legal form, RFC 4291 section 2.2 item 3
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (!head || !tail) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  return groupsToBytes([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function parseGroups(text: string): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part);
      if (!v4) return null;
      groups.push(((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups.length <= 8 ? groups : null;
}

function groupsToBytes(groups: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16);
  for (const [i, group] of groups.entries()) {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  }
  return bytes;
}

/** RFC 5952 section 4: lower case, no leading zeros, the first longest run of two or more zero groups shortened. */
function formatV6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const run = longestZeroRun(groups);
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return run.length < 2 ? hex(0, 8) : `${hex(0, run.start)}::${hex(run.start + run.length, 8)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > best.length) best = { start: i, length: end - i };
    if (end > i) i = end;
  }
  return best;
}
