// SPDX-License-Identifier: Apache-2.0
/**
 * Where a Pod runs and which addresses it has: the node with the fewest Pods, the next free address of the first pool of
 * each family, unless its author chose. Pure: what is chosen depends on what is there.
 */
import { addressFromNumber, addressNumber, type Family, familyOf } from '../lib/address.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { cidrRange } from '../lib/cidr.ts';
import type { PodView } from './pod-view.ts';

export interface Assignment {
  readonly node: string;
  readonly addresses: readonly Address[];
}

/** A Pod that cannot run, and why; it is shown in the Pod's status. */
export interface Refusal {
  readonly refused: string;
}

export interface Room {
  readonly nodes: readonly string[];
  readonly pools: readonly Cidr[];
  /** Every other Pod that runs. */
  readonly others: readonly PodView[];
}

export function assign(pod: PodView, room: Room): Assignment | Refusal {
  const node = pod.node ?? leastUsed(room);
  if (!room.nodes.includes(node)) return { refused: `node ${node} is not one of ${room.nodes.join(', ')}` };
  const taken = new Map(
    room.others.flatMap((other) => other.addresses.map((address) => [address, other] as const)),
  );
  const chosen = pod.wanted.length > 0 ? pod.wanted : pod.addresses;
  for (const address of chosen) {
    const owner = taken.get(address);
    if (owner) return { refused: `address ${address} is ${owner.namespace}/${owner.name}'s` };
  }
  if (chosen.length > 0) return { node, addresses: chosen };
  const free = ([4, 6] as const).map((family) => nextFree(family, room.pools, taken));
  const missing = free.find((result) => typeof result === 'object' && result !== null);
  if (missing) return missing;
  const addresses = free.filter((result) => typeof result === 'string');
  return addresses.length > 0 ? { node, addresses } : { refused: 'there is no pool to take an address from' };
}

function leastUsed(room: Room): string {
  const used = (node: string) => room.others.filter((other) => other.node === node).length;
  return room.nodes.toSorted((a, b) => used(a) - used(b))[0] ?? '';
}

/** Null: no pool of that family, so the Pod has no such address. The first and last of a pool stay free. */
function nextFree(
  family: Family,
  pools: readonly Cidr[],
  taken: ReadonlyMap<Address, unknown>,
): Address | Refusal | null {
  const ours = pools.filter((pool) => familyOf(pool) === family);
  if (ours.length === 0) return null;
  for (const pool of ours) {
    const { first, last } = cidrRange(pool);
    const used = new Set(
      [...taken.keys()].filter((address) => familyOf(address) === family).map(addressNumber),
    );
    for (let number = first + 1n; number < last; number++) {
      if (!used.has(number)) return addressFromNumber(number, family);
    }
  }
  return { refused: `no free IPv${family} address in ${ours.join(', ')}` };
}
