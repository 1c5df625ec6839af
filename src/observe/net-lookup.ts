// SPDX-License-Identifier: Apache-2.0
import { familyOf } from '../lib/address.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { addressOf, isHost, parseCidr, prefixLength } from '../lib/cidr.ts';

export type Mask = (address: Address, length: number) => Cidr;

function mask(address: Address, length: number): Cidr {
  return parseCidr(`${address}/${length}`);
}

/** Remembers what it masked: for a fixed and not too large number of addresses. */
export function rememberedMask(): Mask {
  const known = new Map<Address, Map<number, Cidr>>();
  return (address, length) => {
    const byLength = known.get(address) ?? new Map<number, Cidr>();
    known.set(address, byLength);
    const cidr = byLength.get(length) ?? mask(address, length);
    byLength.set(length, cidr);
    return cidr;
  };
}

/**
 * Whether an address lies in one of many CIDRs.
 *
 * @remarks One map look-up for single addresses and one for each prefix length that occurs.
 */
export class NetLookup {
  readonly #addresses = new Set<string>();
  /** Prefix length to CIDRs, per family; only those wider than one address. */
  readonly #wider = { 4: new Map<number, Set<Cidr>>(), 6: new Map<number, Set<Cidr>>() };

  constructor(nets: Iterable<Cidr>) {
    for (const net of nets) this.add(net);
  }

  add(net: Cidr): void {
    if (isHost(net)) {
      this.#addresses.add(addressOf(net));
      return;
    }
    const byLength = this.#wider[familyOf(net)];
    const same = byLength.get(prefixLength(net));
    if (same) same.add(net);
    else byLength.set(prefixLength(net), new Set([net]));
  }

  delete(net: Cidr): void {
    if (isHost(net)) this.#addresses.delete(addressOf(net));
    const byLength = this.#wider[familyOf(net)];
    const same = byLength.get(prefixLength(net));
    if (same?.delete(net) && same.size === 0) byLength.delete(prefixLength(net));
  }

  /** @param masked - the address cut to a prefix length; for callers that keep the results. */
  has(address: Address, masked: Mask = mask): boolean {
    if (this.#addresses.has(address)) return true;
    for (const [length, nets] of this.#wider[familyOf(address)]) {
      if (nets.has(masked(address, length))) return true;
    }
    return false;
  }
}
