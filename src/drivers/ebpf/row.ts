// SPDX-License-Identifier: Apache-2.0
/** One key or value of a map, field by field at the offsets of bpf/types.h. */
import { addressBytes, bitsOf, familyOf } from '../../lib/address.ts';
import type { Address, Cidr } from '../../lib/brand.ts';
import { addressOf, prefixLength } from '../../lib/cidr.ts';

export const addressRowBytes = 16;

/** IPv4 as ::ffff:a.b.c.d, RFC 4291 section 2.5.5.2. */
export function mapped(address: Address): Uint8Array {
  const bytes = addressBytes(address);
  if (bytes.length === addressRowBytes) return bytes;
  const row = new Uint8Array(addressRowBytes);
  row.fill(0xff, 10, 12);
  row.set(bytes, 12);
  return row;
}

/** Length of the prefix in the 128-bit form. */
export function mappedLength(cidr: Cidr): number {
  return prefixLength(cidr) + bitsOf[6] - bitsOf[familyOf(cidr)];
}

export class Row {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(at: number, value: number): this {
    this.#view.setUint8(at, value);
    return this;
  }

  u16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(at: number, value: number): this {
    this.#view.setUint32(at, value >>> 0, true);
    return this;
  }

  u64(at: number, value: bigint): this {
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  address(at: number, address: Address): this {
    this.bytes.set(mapped(address), at);
    return this;
  }

  net(at: number, cidr: Cidr): this {
    return this.address(at, addressOf(cidr));
  }
}
