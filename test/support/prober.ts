// SPDX-License-Identifier: Apache-2.0
/** Sends probes from inside network namespaces and sees which arrive in others; one thread drives all of them. */
import assert from 'node:assert/strict';
import type { NetNs } from '../../src/kernel/netns.ts';
import { connectTcp, connectUdp, encodeAddress, listenTcp, socketError } from '../../src/kernel/socket.ts';
import {
  AF_INET,
  AF_INET6,
  ENOBUFS,
  EPERM,
  POLLIN,
  POLLOUT,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { type Family, familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { KernelError } from '../../src/lib/errors.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import { probeBytes, probeNumber } from './probe-bytes.ts';

/** Beside TCP: what each address has a raw socket for. */
export const otherProtocols: readonly [number, number] = [253, 254];
/** Every destination port of generated packets: where nothing listens, no handshake could complete. */
export const tcpPorts = [53, 80, 81, 82, 443, 8080, 8443] as const;

const { TCP, UDP, ICMP, ICMPv6, SCTP } = protocolNumbers;
const SO_LINGER = 13; // include/uapi/asm-generic/socket.h

interface Place {
  readonly netns: NetNs;
  readonly address: Address;
  /** By protocol, bound to the address. */
  readonly raw: ReadonlyMap<number, Fd>;
}

/** `first-segment`: where the answer may be dropped although the packet passed, as without connection tracking. */
export type TcpEvidence = 'handshake' | 'first-segment';

export interface Round {
  readonly packets: readonly OraclePacket[];
  readonly tcpEvidence: TcpEvidence;
  /** Number of the first probe. */
  readonly first: number;
  readonly arrived: boolean[];
  /** By index of the probe. */
  readonly connecting: Map<number, Fd>;
  /** To be closed when the round ends. */
  readonly sockets: Fd[];
}

export class Prober implements Disposable {
  readonly #places = new Map<Address, Place>();
  readonly #listeners: Fd[] = [];
  readonly #buffer = new Uint8Array(2048);
  #next = 1;

  addParty(netns: NetNs, addresses: readonly Address[]): void {
    netns.run(() => {
      for (const port of tcpPorts) this.#listeners.push(listenTcp({ address: parseAddress('::'), port }));
      for (const address of addresses)
        this.#places.set(address, { netns, address, raw: rawSockets(address) });
    });
  }

  send(packets: readonly OraclePacket[], tcpEvidence: TcpEvidence): Round {
    const round: Round = {
      packets,
      tcpEvidence,
      first: this.#next,
      arrived: packets.map(() => false),
      connecting: new Map(),
      sockets: [],
    };
    this.#next += packets.length;
    for (const place of this.#places.values()) {
      const own = packets.flatMap((packet, i) => (packet.from === place.address ? [i] : []));
      if (own.length > 0) place.netns.run(() => own.forEach((i) => void this.#sendOne(place, round, i)));
    }
    this.receive(round);
    return round;
  }

  /** Marks what arrived since it was last asked. */
  receive(round: Round): void {
    for (const [address, place] of this.#places) {
      for (const [protocol, fd] of place.raw) this.#drain(fd, protocol, address, round);
    }
    const waiting = [...round.connecting];
    const events = sys.poll(
      waiting.map(([, fd]) => ({ fd, events: POLLOUT })),
      0,
    );
    for (const [k, [i, fd]] of waiting.entries()) {
      if (!events[k]) continue;
      round.connecting.delete(i);
      if (socketError(fd) === 0 && round.tcpEvidence === 'handshake') round.arrived[i] = true;
    }
  }

  /** Connections end with a reset, which leaves no TIME_WAIT behind. */
  end(round: Round): void {
    for (const fd of round.sockets) fd.close();
    const events = sys.poll(
      this.#listeners.map((fd) => ({ fd, events: POLLIN })),
      0,
    );
    for (const [i, listener] of this.#listeners.entries()) {
      if (!events[i]) continue;
      for (let fd = sys.accept(listener); fd; fd = sys.accept(listener)) fd.close();
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#listeners) fd.close();
    for (const place of this.#places.values()) for (const fd of place.raw.values()) fd.close();
  }

  #sendOne(place: Place, round: Round, i: number): void {
    const packet = round.packets[i];
    assert.ok(packet);
    const number = round.first + i;
    const { srcPort = 0, dstPort = 0 } = packet;
    const at = { address: packet.to, port: dstPort };
    const source = { address: packet.from, port: srcPort };
    if (packet.protocol === TCP) {
      const { fd } = connectTcp(at, { source });
      sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
      round.sockets.push(fd);
      round.connecting.set(i, fd);
    } else if (packet.protocol === UDP) {
      const fd = connectUdp(at, { source });
      round.sockets.push(fd);
      send(fd, probeBytes(packet, number));
    } else {
      const raw = place.raw.get(packet.protocol);
      assert.ok(raw, `no socket for protocol ${packet.protocol}`);
      send(raw, probeBytes(packet, number), encodeAddress({ address: packet.to, port: 0 }));
    }
  }

  #drain(fd: Fd, protocol: number, address: Address, round: Round): void {
    for (;;) {
      const length = sys.recv(fd, this.#buffer);
      if (length === null) return;
      const bytes = this.#buffer.subarray(0, length);
      if (protocol === TCP) {
        if (round.tcpEvidence === 'first-segment') markSegment(round, address, bytes);
        continue;
      }
      const number = probeNumber(protocol, familyOf(address), bytes);
      const packet = number === null ? undefined : round.packets[number - round.first];
      // A reply carries its request's number back, but not to the request's destination.
      if (number !== null && packet?.to === address && packet.protocol === protocol) {
        round.arrived[number - round.first] = true;
      }
    }
  }
}

/** Whoever sends from the node itself is told that its packet was dropped, by nftables or by a program at the link: that is no error here. */
const toldOfDrop: readonly number[] = [ENOBUFS, EPERM, ENOBUFS];

function send(fd: Fd, bytes: Uint8Array, to?: Uint8Array): void {
  try {
    sys.send(fd, bytes, 0, ...(to ? [to] : []));
  } catch (error) {
    if (!(error instanceof KernelError) || !toldOfDrop.includes(error.errno)) throw error;
  }
}

/** A SYN tells which probe it is by its ports, of which no two probes of a round have the same. */
function markSegment(round: Round, address: Address, bytes: Uint8Array): void {
  const start = familyOf(address) === 4 ? ((bytes[0] ?? 0) & 0x0f) * 4 : 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  const isFirst = ((bytes[start + 13] ?? 0) & 0x12) === 0x02; // SYN without ACK, RFC 9293 section 3.1
  if (!isFirst) return;
  const [srcPort, dstPort] = [view.getUint16(0), view.getUint16(2)];
  const at = round.packets.findIndex(
    (packet) =>
      packet.protocol === TCP &&
      packet.to === address &&
      packet.srcPort === srcPort &&
      packet.dstPort === dstPort,
  );
  if (at >= 0) round.arrived[at] = true;
}

function rawSockets(address: Address): ReadonlyMap<number, Fd> {
  const family = familyOf(address);
  const protocols = [TCP, UDP, SCTP, family === 4 ? ICMP : ICMPv6, ...otherProtocols];
  return new Map(protocols.map((protocol) => [protocol, rawSocket(address, family, protocol)]));
}

function rawSocket(address: Address, family: Family, protocol: number): Fd {
  const fd = sys.socket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK, protocol);
  sys.bind(fd, encodeAddress({ address, port: 0 }));
  return fd;
}
