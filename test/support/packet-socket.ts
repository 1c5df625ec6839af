// SPDX-License-Identifier: Apache-2.0
/** AF_PACKET: frames as they go over a link, sent and seen below every IP stack. Reference: packet(7). */
import type { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { AF_PACKET, SOCK_NONBLOCK, SOCK_RAW } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';

/** include/uapi/linux/if_ether.h */
const ETH_P_ALL = 0x0003;
/** struct sockaddr_ll, pkttype: what the host itself sends. include/uapi/linux/if_packet.h */
const PACKET_OUTGOING = 4;
const pkttypeOffset = 10;

export class PacketSocket implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(65_536);
  readonly mac: Uint8Array;

  /** On one link of the namespace. @throws {TypeError} when it has no such link. */
  constructor(netns: NetNs, ifName: string) {
    const { fd, mac } = netns.run(() => openOn(ifName));
    this.#fd = fd;
    this.mac = mac;
  }

  /** @throws {KernelError} EMSGSIZE, ENETDOWN. */
  send(frame: Uint8Array): void {
    sys.send(this.#fd, frame);
  }

  /** What came in since it was last asked; not what went out. */
  received(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const from = new Uint8Array(20);
    for (;;) {
      const length = sys.recv(this.#fd, this.#buffer, 0, from);
      if (length === null) return frames;
      if (from[pkttypeOffset] !== PACKET_OUTGOING) frames.push(this.#buffer.slice(0, length));
    }
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }
}

function openOn(ifName: string): { fd: Fd; mac: Uint8Array } {
  using rtnetlink = Rtnetlink.open();
  const link = rtnetlink.links.get(ifName);
  if (!link?.mac) throw new TypeError(`no link ${ifName}`);
  const fd = sys.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, swapped(ETH_P_ALL));
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL);
  view.setInt32(4, link.index, true);
  sys.bind(fd, address);
  return { fd, mac: Uint8Array.from(link.mac.split(':'), (part) => Number.parseInt(part, 16)) };
}

/** To network order. */
function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}
