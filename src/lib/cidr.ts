// SPDX-License-Identifier: Apache-2.0
/** Prefixes: canonical text `address/length` with host bits zero, always with its length. */
import {
  addressBytes,
  addressNumber,
  bitsOf,
  type Family,
  familyOf,
  formatAddress,
  tryParseAddress,
} from './address.ts';
import type { Address, Cidr } from './brand.ts';
import { InvalidError } from './errors.ts';

/**
 * A CIDR or a bare address (which stands for itself alone); host bits are cleared.
 *
 * @throws {InvalidError} unless `text` is an address with an optional prefix length in range.
 */
export function parseCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (!cidr) throw new InvalidError(`CIDR ${JSON.stringify(text)}: want an address, or address/length`);
  return cidr;
}

export function tryParseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  const address = tryParseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return null;
  const bits = bitsOf[familyOf(address)];
  const lengthText = slash < 0 ? String(bits) : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText) || Number(lengthText) > bits) return null;
  return maskedCidr(addressBytes(address), Number(lengthText));
}

/** True if `text` parses and has no host bits set, as Calico wants of `nets`. A bare address counts. */
export function isStrictCidr(text: string): boolean {
  const cidr = tryParseCidr(text);
  const slash = text.indexOf('/');
  return cidr !== null && (slash < 0 || tryParseAddress(text.slice(0, slash)) === addressOf(cidr));
}

/** @param address - canonical. */
export function hostCidr(address: Address): Cidr {
  return (address.includes(':') ? `${address}/128` : `${address}/32`) as Cidr;
}

export function addressOf(cidr: Cidr): Address {
  return cidr.slice(0, cidr.indexOf('/')) as Address;
}

export function prefixLength(cidr: Cidr): number {
  return Number(cidr.slice(cidr.indexOf('/') + 1));
}

export function isHost(cidr: Cidr): boolean {
  return cidr.endsWith(cidr.includes(':') ? '/128' : '/32');
}

/** First and last address as numbers. */
export function cidrRange(cidr: Cidr): { family: Family; first: bigint; last: bigint } {
  const family = familyOf(cidr);
  const first = addressNumber(addressOf(cidr));
  return { family, first, last: first | ((1n << BigInt(bitsOf[family] - prefixLength(cidr))) - 1n) };
}

export function cidrContains(outer: Cidr, inner: Cidr): boolean {
  if (familyOf(outer) !== familyOf(inner) || prefixLength(outer) > prefixLength(inner)) return false;
  return maskedCidr(addressBytes(addressOf(inner)), prefixLength(outer)) === outer;
}

function maskedCidr(bytes: Uint8Array, length: number): Cidr {
  const masked = bytes.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, length - 8 * i)))));
  return `${formatAddress(masked)}/${length}` as Cidr;
}
