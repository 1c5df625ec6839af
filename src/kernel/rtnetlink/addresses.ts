// SPDX-License-Identifier: Apache-2.0
/** Addresses of interfaces: struct ifaddrmsg and IFA attributes. */
import { addressBytes, bitsOf, type Family, familyOf, formatAddress } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { KernelError } from '../../lib/errors.ts';
import { NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/constants.ts';
import type { NetlinkMessage } from '../netlink/reader.ts';
import type { NetlinkSocket } from '../netlink/socket.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { EADDRNOTAVAIL } from '../sys/constants.ts';
import * as nl from './constants.ts';
import { afOf, familyOfAf } from './family.ts';

const ifaddrBytes = 8; // struct ifaddrmsg: family, prefixlen, flags, scope, index

export interface InterfaceAddress {
  /** Of its link. */
  readonly index: number;
  readonly address: Address;
  readonly prefixLength: number;
  /** 0 global, 253 link, 254 host (rtnetlink.h, rt_scope_t). */
  readonly scope: number;
  /** Duplicate address detection runs still: the address cannot be used. */
  readonly tentative: boolean;
  readonly duplicate: boolean;
}

export interface AddressSpec {
  readonly index: number;
  readonly address: Address;
  /** @defaultValue the address alone, 32 or 128. */
  readonly prefixLength?: number;
  /** @defaultValue 0 */
  readonly scope?: number;
  /** Usable at once (IFA_F_NODAD); IPv6 only. @defaultValue false */
  readonly noDad?: boolean;
  /** Adds no route to the prefix. @defaultValue false */
  readonly noPrefixRoute?: boolean;
}

export class InterfaceAddresses {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** @param filter - absent: every family, every link. */
  list(filter: { readonly index?: number; readonly family?: Family } = {}): InterfaceAddress[] {
    const af = filter.family ? afOf(filter.family) : 0;
    const fill = (writer: NetlinkWriter) => writer.u32(af).u32(filter.index ?? 0);
    return this.#socket.dump('list addresses', nl.RTM_GETADDR, fill, decodeAddress);
  }

  /** Adding what is there already changes nothing. @throws {KernelError} */
  replace(spec: AddressSpec): void {
    const flags = NLM_F_CREATE | NLM_F_REPLACE;
    this.#socket.request(`add address ${spec.address}`, nl.RTM_NEWADDR, flags, (writer) =>
      encode(writer, spec),
    );
  }

  /** @returns false when it was gone already. */
  delete(spec: AddressSpec): boolean {
    try {
      this.#socket.request(`delete address ${spec.address}`, nl.RTM_DELADDR, 0, (writer) =>
        encode(writer, spec),
      );
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === EADDRNOTAVAIL) return false;
      throw error;
    }
  }
}

function encode(writer: NetlinkWriter, spec: AddressSpec): void {
  const family = familyOf(spec.address);
  const bytes = addressBytes(spec.address);
  writer
    .u8(afOf(family))
    .u8(spec.prefixLength ?? bitsOf[family])
    .u8(0)
    .u8(spec.scope ?? 0)
    .u32(spec.index);
  writer.attrBytes(nl.IFA_LOCAL, bytes).attrBytes(nl.IFA_ADDRESS, bytes);
  const noDad = spec.noDad && family === 6 ? nl.IFA_F_NODAD : 0;
  writer.attrU32(
    nl.IFA_FLAGS,
    nl.IFA_F_PERMANENT | noDad | (spec.noPrefixRoute ? nl.IFA_F_NOPREFIXROUTE : 0),
  );
}

/** Null for families other than IP. */
export function decodeAddress(message: NetlinkMessage): InterfaceAddress | null {
  if (familyOfAf(message.u8(0)) === null) return null;
  let own: Uint8Array | null = null;
  let flags = message.u8(2);
  for (const attribute of message.attributes(ifaddrBytes)) {
    // On a point-to-point link IFA_ADDRESS is the other end's; IFA_LOCAL, where there is one, is always ours.
    if (attribute.type === nl.IFA_LOCAL || (attribute.type === nl.IFA_ADDRESS && !own))
      own = attribute.bytes();
    else if (attribute.type === nl.IFA_FLAGS) flags = attribute.u32();
  }
  if (!own) return null;
  return {
    index: message.u32(4),
    address: formatAddress(own),
    prefixLength: message.u8(1),
    scope: message.u8(3),
    tentative: (flags & nl.IFA_F_TENTATIVE) !== 0,
    duplicate: (flags & nl.IFA_F_DADFAILED) !== 0,
  };
}
