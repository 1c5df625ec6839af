// SPDX-License-Identifier: Apache-2.0
/** Interfaces: struct ifinfomsg and IFLA attributes. */
import { KernelError } from '../../lib/errors.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Attributes, NetlinkMessage } from '../netlink/reader.ts';
import type { NetlinkSocket } from '../netlink/socket.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import type { NetNs } from '../netns.ts';
import { ENODEV } from '../sys/constants.ts';
import * as nl from './constants.ts';
import { formatMac, macBytes } from './mac.ts';

const ifinfoBytes = 16; // struct ifinfomsg: family, pad, type, index, flags, change

export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`; null for hardware and loopback. */
  readonly kind: string | null;
  /** Null where the device has none. */
  readonly mac: string | null;
  /** Bytes. */
  readonly mtu: number;
  /** IFF_UP: set by an administrator. */
  readonly up: boolean;
  /** IFF_LOWER_UP: it could carry packets. */
  readonly carrier: boolean;
  /** Index of the bridge it belongs to. */
  readonly master: number | null;
  /** Index of the other end of a veth, in the namespace `peerNetnsId` (null: this one). */
  readonly peer: number | null;
  readonly peerNetnsId: number | null;
}

/** What can be changed of a link; absent stays as it is. */
export interface LinkChange {
  readonly name?: string;
  readonly up?: boolean;
  readonly mtu?: number;
  readonly mac?: string;
  /** Index of a bridge; 0 takes it out. */
  readonly master?: number;
  /** Moves it; its index may change there. */
  readonly netns?: NetNs;
}

export interface VethEnd {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
}

export class Links {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  list(): Link[] {
    return this.#socket.dump('list links', nl.RTM_GETLINK, (writer) => ifinfo(writer, 0), decodeLink);
  }

  /** Null when there is none of that name. */
  get(name: string): Link | null {
    return this.#find(name, (writer) => ifinfo(writer, 0).attrString(nl.IFLA_IFNAME, name));
  }

  getByIndex(index: number): Link | null {
    return this.#find(`${index}`, (writer) => ifinfo(writer, index));
  }

  /** Both ends in one message, both down; the peer is born in `peer.netns` if given. @throws {KernelError} EEXIST */
  createVeth(end: VethEnd, peer: VethEnd & { readonly netns?: NetNs }): Link {
    return this.#create(end, 'veth', (writer) => {
      writer.nested(nl.IFLA_INFO_DATA, () => {
        writer.nested(nl.VETH_INFO_PEER, () => writeEnd(ifinfo(writer, 0), peer, peer.netns));
      });
    });
  }

  createBridge(end: VethEnd): Link {
    return this.#create(end, 'bridge', () => {});
  }

  /** @throws {KernelError} ENODEV */
  set(index: number, change: LinkChange): void {
    const flags = change.up === undefined ? undefined : change.up ? nl.IFF_UP : 0;
    this.#socket.request(`set link ${index}`, nl.RTM_SETLINK, 0, (writer) => {
      ifinfo(writer, index, flags, nl.IFF_UP);
      if (change.name !== undefined) writer.attrString(nl.IFLA_IFNAME, change.name);
      if (change.mtu !== undefined) writer.attrU32(nl.IFLA_MTU, change.mtu);
      if (change.mac !== undefined) writer.attrBytes(nl.IFLA_ADDRESS, macBytes(change.mac));
      if (change.master !== undefined) writer.attrU32(nl.IFLA_MASTER, change.master);
      if (change.netns !== undefined) writer.attrU32(nl.IFLA_NET_NS_FD, change.netns.fd.number);
    });
  }

  /** @returns false when it was gone already. */
  delete(index: number): boolean {
    try {
      this.#socket.request(`delete link ${index}`, nl.RTM_DELLINK, 0, (writer) => ifinfo(writer, index));
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENODEV) return false;
      throw error;
    }
  }

  #create(end: VethEnd, kind: string, fillInfo: (writer: NetlinkWriter) => void): Link {
    const operation = `create ${kind} ${end.name}`;
    this.#socket.request(operation, nl.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
      writeEnd(ifinfo(writer, 0), end);
      writer.nested(nl.IFLA_LINKINFO, () => {
        writer.attrString(nl.IFLA_INFO_KIND, kind);
        fillInfo(writer);
      });
    });
    const link = this.get(end.name);
    if (!link) throw new KernelError(operation, ENODEV, 'it was gone at once');
    return link;
  }

  #find(what: string, fill: (writer: NetlinkWriter) => void): Link | null {
    try {
      return this.#socket.get(`get link ${what}`, nl.RTM_GETLINK, fill, decodeLink);
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENODEV) return null;
      throw error;
    }
  }
}

function ifinfo(writer: NetlinkWriter, index: number, flags?: number, mask = 0): NetlinkWriter {
  return writer
    .u32(0)
    .u32(index)
    .u32(flags ?? 0)
    .u32(flags === undefined ? 0 : mask);
}

function writeEnd(writer: NetlinkWriter, end: VethEnd, netns?: NetNs): void {
  writer.attrString(nl.IFLA_IFNAME, end.name);
  if (end.mac !== undefined) writer.attrBytes(nl.IFLA_ADDRESS, macBytes(end.mac));
  if (end.mtu !== undefined) writer.attrU32(nl.IFLA_MTU, end.mtu);
  if (netns) writer.attrU32(nl.IFLA_NET_NS_FD, netns.fd.number);
}

/** True of messages about a link as a whole; those with a family are about a bridge port or IPv6 settings. */
export function isLinkMessage(message: NetlinkMessage): boolean {
  return message.u8(0) === 0;
}

export function decodeLink(message: NetlinkMessage): Link {
  const flags = message.u32(8);
  const link = {
    index: message.i32(4),
    name: '',
    kind: null as string | null,
    mac: null as string | null,
    mtu: 0,
    up: (flags & nl.IFF_UP) !== 0,
    carrier: (flags & nl.IFF_LOWER_UP) !== 0,
    master: null as number | null,
    peer: null as number | null,
    peerNetnsId: null as number | null,
  };
  for (const attribute of message.attributes(ifinfoBytes)) {
    if (attribute.type === nl.IFLA_IFNAME) link.name = attribute.string();
    else if (attribute.type === nl.IFLA_MTU) link.mtu = attribute.u32();
    else if (attribute.type === nl.IFLA_ADDRESS && attribute.length === 6)
      link.mac = formatMac(attribute.bytes());
    else if (attribute.type === nl.IFLA_MASTER) link.master = attribute.u32();
    else if (attribute.type === nl.IFLA_LINK) link.peer = attribute.u32() || null;
    else if (attribute.type === nl.IFLA_LINK_NETNSID) link.peerNetnsId = attribute.i32();
    else if (attribute.type === nl.IFLA_LINKINFO) link.kind = kindOf(attribute.nested());
  }
  return link;
}

function kindOf(info: Attributes): string | null {
  for (const attribute of info) if (attribute.type === nl.IFLA_INFO_KIND) return attribute.string();
  return null;
}
