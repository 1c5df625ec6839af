// SPDX-License-Identifier: Apache-2.0
/**
 * CEL's functions, as far as the schemas call them. One that gets what it has no meaning for answers undefined, which
 * stands for CEL's error.
 *
 * @see https://kubernetes.io/docs/reference/using-api/cel/ (libraries for strings, addresses and CIDRs)
 */
import { familyOf, tryParseAddress } from '../../../lib/address.ts';
import type { Address, Cidr } from '../../../lib/brand.ts';
import { addressOf, cidrContains, hostCidr, prefixLength, tryParseCidr } from '../../../lib/cidr.ts';
import { isObject } from '../../json.ts';
import { jsPattern } from '../pattern.ts';

/** Of a JSON value, an IpValue or a CidrValue; undefined: CEL's error. */
export type Value = unknown;
export type Call = (args: readonly Value[]) => Value;

/** An address, as `ip()` makes it. */
export class IpValue {
  readonly address: Address;

  constructor(address: Address) {
    this.address = address;
  }
}

/** An address with a prefix length, host bits as written, as `cidr()` makes it. */
export class CidrValue {
  readonly address: Address;
  /** Host bits zero. */
  readonly masked: Cidr;

  constructor(address: Address, masked: Cidr) {
    this.address = address;
    this.masked = masked;
  }
}

/** What may be there or not, as `oldSelf` of a rule with optionalOldSelf. */
export class OptionalValue {
  /** undefined: none. */
  readonly held: Value;

  constructor(held: Value) {
    this.held = held;
  }
}

function ipOf(value: Value): IpValue | undefined {
  if (value instanceof IpValue) return value;
  const address = typeof value === 'string' ? tryParseAddress(value) : null;
  return address ? new IpValue(address) : undefined;
}

function cidrOf(value: Value): CidrValue | undefined {
  if (value instanceof CidrValue) return value;
  if (typeof value !== 'string' || !value.includes('/')) return undefined;
  const masked = tryParseCidr(value);
  const address = tryParseAddress(value.slice(0, value.indexOf('/')));
  return masked && address ? new CidrValue(address, masked) : undefined;
}

function sizeOf(value: Value): Value {
  // Characters, not UTF-16 units.
  if (typeof value === 'string') return /[\ud800-\udbff]/.test(value) ? [...value].length : value.length;
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : undefined;
}

function integerOf(value: Value): Value {
  if (typeof value === 'number') return Math.trunc(value);
  return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : undefined;
}

export const functions: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['size', ([value]) => sizeOf(value)],
  [
    'string',
    ([value]) => (typeof value === 'string' || typeof value === 'number' ? String(value) : undefined),
  ],
  ['int', ([value]) => integerOf(value)],
  ['isIP', ([value]) => (typeof value === 'string' ? tryParseAddress(value) !== null : undefined)],
  ['ip', ([value]) => ipOf(value)],
  ['isCIDR', ([value]) => (typeof value === 'string' ? cidrOf(value) !== undefined : undefined)],
  ['cidr', ([value]) => cidrOf(value)],
]);

function ofTexts(call: (on: string, argument: string) => Value): Call {
  return ([on, argument]) =>
    typeof on === 'string' && typeof argument === 'string' ? call(on, argument) : undefined;
}

function ofCidr(call: (on: CidrValue, argument: Value) => Value): Call {
  return ([on, argument]) => (on instanceof CidrValue ? call(on, argument) : undefined);
}

function substring([on, from, to]: readonly Value[]): Value {
  if (typeof on !== 'string' || typeof from !== 'number') return undefined;
  const end = typeof to === 'number' ? to : on.length;
  return from >= 0 && from <= end && end <= on.length ? on.slice(from, end) : undefined;
}

function joined([on, separator = '']: readonly Value[]): Value {
  if (!Array.isArray(on) || typeof separator !== 'string') return undefined;
  return on.every((item) => typeof item === 'string') ? on.join(separator) : undefined;
}

function contains(on: CidrValue, inner: Cidr | undefined): Value {
  return inner === undefined ? undefined : cidrContains(on.masked, inner);
}

/** The first argument is what they are called on. */
export const methods: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['size', ([on]) => sizeOf(on)],
  ['contains', ofTexts((on, part) => on.includes(part))],
  ['startsWith', ofTexts((on, part) => on.startsWith(part))],
  ['endsWith', ofTexts((on, part) => on.endsWith(part))],
  ['indexOf', ofTexts((on, part) => on.indexOf(part))],
  [
    'lowerAscii',
    ([on]) => (typeof on === 'string' ? on.replace(/[A-Z]+/g, (word) => word.toLowerCase()) : undefined),
  ],
  [
    'upperAscii',
    ([on]) => (typeof on === 'string' ? on.replace(/[a-z]+/g, (word) => word.toUpperCase()) : undefined),
  ],
  ['trim', ([on]) => (typeof on === 'string' ? on.trim() : undefined)],
  ['join', joined],
  ['lastIndexOf', ofTexts((on, part) => on.lastIndexOf(part))],
  ['split', ofTexts((on, part) => on.split(part))],
  ['substring', substring],
  ['hasValue', ([on]) => (on instanceof OptionalValue ? on.held !== undefined : undefined)],
  ['value', ([on]) => (on instanceof OptionalValue ? on.held : undefined)],
  ['orValue', ([on, other]) => (on instanceof OptionalValue ? (on.held ?? other) : undefined)],
  ['family', ([on]) => (on instanceof IpValue ? familyOf(on.address) : undefined)],
  ['ip', ofCidr((on) => new IpValue(on.address))],
  ['masked', ofCidr((on) => new CidrValue(addressOf(on.masked), on.masked))],
  ['prefixLength', ofCidr((on) => prefixLength(on.masked))],
  [
    'containsIP',
    ofCidr((on, inner) => {
      const ip = ipOf(inner);
      return contains(on, ip && hostCidr(ip.address));
    }),
  ],
  ['containsCIDR', ofCidr((on, inner) => contains(on, cidrOf(inner)?.masked))],
]);

/** `matches` with a pattern that is known beforehand. */
export function matching(pattern: string): Call {
  const expression = jsPattern(pattern);
  return ([on]) => (typeof on === 'string' ? expression.test(on) : undefined);
}

export function isEqual(a: Value, b: Value): boolean {
  if (a instanceof IpValue) return b instanceof IpValue && a.address === b.address;
  if (a instanceof CidrValue)
    return b instanceof CidrValue && a.address === b.address && a.masked === b.masked;
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  if (isObject(a)) return isObject(b) && sameMembers(a, b);
  return a === b;
}

function sameMembers(
  a: { readonly [key: string]: unknown },
  b: { readonly [key: string]: unknown },
): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]))
  );
}
