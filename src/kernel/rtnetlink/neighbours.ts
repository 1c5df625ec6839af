// SPDX-License-Identifier: Apache-2.0
/** Neighbours (ARP and NDP entries): struct ndmsg and NDA attributes. */
import { addressBytes, type Family, familyOf, formatAddress } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { KernelError } from '../../lib/errors.ts';
import { NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/constants.ts';
import type { NetlinkMessage } from '../netlink/reader.ts';
import type { NetlinkSocket } from '../netlink/socket.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { ENOENT } from '../sys/constants.ts';
import * as nl from './constants.ts';
import { afOf, familyOfAf } from './family.ts';
import { formatMac, macBytes } from './mac.ts';

const ndmsgBytes = 12; // family, pad, ifindex, state, flags, type

/** ndm_state: NUD_*. */
export const neighbourStates = {
  incomplete: 1,
  reachable: 2,
  stale: 4,
  delay: 8,
  probe: 16,
  failed: 32,
  noarp: 64,
  permanent: 128,
} as const;
export type NeighbourState = keyof typeof neighbourStates;
const stateNames = new Map(
  Object.entries(neighbourStates).map(([name, bit]) => [bit as number, name as NeighbourState]),
);

export interface Neighbour {
  /** Of its link. */
  readonly index: number;
  readonly address: Address;
  /** Null while it is not known. */
  readonly mac: string | null;
  /** Null for NUD_NONE. */
  readonly state: NeighbourState | null;
}

export class Neighbours {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  list(filter: { readonly index?: number; readonly family?: Family } = {}): Neighbour[] {
    const fill = (writer: NetlinkWriter) => {
      ndmsg(writer, filter.family ? afOf(filter.family) : 0, 0, 0);
      if (filter.index !== undefined) writer.attrU32(nl.NDA_IFINDEX, filter.index);
    };
    return this.#socket.dump('list neighbours', nl.RTM_GETNEIGH, fill, decodeNeighbour);
  }

  /** An entry that is never asked for and never ages. */
  replacePermanent(entry: { readonly index: number; readonly address: Address; readonly mac: string }): void {
    const flags = NLM_F_CREATE | NLM_F_REPLACE;
    this.#socket.request(`set neighbour ${entry.address}`, nl.RTM_NEWNEIGH, flags, (writer) => {
      ndmsg(writer, afOf(familyOf(entry.address)), entry.index, neighbourStates.permanent);
      writer.attrBytes(nl.NDA_DST, addressBytes(entry.address)).attrBytes(nl.NDA_LLADDR, macBytes(entry.mac));
    });
  }

  /** @returns false when it was gone already. */
  delete(entry: { readonly index: number; readonly address: Address }): boolean {
    try {
      this.#socket.request(`delete neighbour ${entry.address}`, nl.RTM_DELNEIGH, 0, (writer) => {
        ndmsg(writer, afOf(familyOf(entry.address)), entry.index, 0);
        writer.attrBytes(nl.NDA_DST, addressBytes(entry.address));
      });
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENOENT) return false;
      throw error;
    }
  }
}

function ndmsg(writer: NetlinkWriter, af: number, index: number, state: number): void {
  writer.u32(af).u32(index).u16(state).u8(0).u8(0);
}

/** Null for families other than IP: bridges list their forwarding entries among neighbours. */
export function decodeNeighbour(message: NetlinkMessage): Neighbour | null {
  if (familyOfAf(message.u8(0)) === null) return null;
  let address: Address | null = null;
  let mac: string | null = null;
  for (const attribute of message.attributes(ndmsgBytes)) {
    if (attribute.type === nl.NDA_DST) address = formatAddress(attribute.bytes());
    else if (attribute.type === nl.NDA_LLADDR && attribute.length === 6) mac = formatMac(attribute.bytes());
  }
  if (address === null) return null;
  return { index: message.i32(4), address, mac, state: stateNames.get(message.u16(8)) ?? null };
}
