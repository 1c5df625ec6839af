// SPDX-License-Identifier: Apache-2.0
declare const brand: unique symbol;

/** A primitive that only its own parser can make: a `Cidr` is a string, but no string is a `Cidr`. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Canonical text of an address without prefix: `10.0.0.1`, `fd00::1` (RFC 5952). */
export type Address = Brand<string, 'Address'>;
/** Canonical text, host bits zero, always with its length: `10.0.0.0/26`, `10.0.0.1/32`, `fd00::/64`. */
export type Cidr = Brand<string, 'Cidr'>;
/** 1 to 15 bytes (IFNAMSIZ - 1, linux/if.h), no '/' and no white space. */
export type IfName = Brand<string, 'IfName'>;
/** `s:` or `n:` and a hash of the selector or named port the set stands for. */
export type IpSetId = Brand<string, 'IpSetId'>;
/** Canonical text of a key, `Kind/[namespace/]name`: what every Map is keyed by. */
export type KeyPath = Brand<string, 'KeyPath'>;
/** Opaque: compare for equality, never for order. */
export type Revision = Brand<string, 'Revision'>;
