// SPDX-License-Identifier: Apache-2.0
/** Clients that stay: a UDP socket that asks again and again, a TCP connection that is talked over for a while. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import {
  bindUdp,
  connectTcp,
  connectUdp,
  decodeAddress,
  encodeAddress,
  type SocketAddress,
  socketError,
} from '../../src/kernel/socket.ts';
import {
  AF_INET,
  AF_INET6,
  POLLOUT,
  SO_REUSEADDR,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { type Family, familyOf, parseAddress } from '../../src/lib/address.ts';
import { KernelError } from '../../src/lib/errors.ts';
import { inSeat, type Seat } from './service-ask.ts';
import { readLine } from './service-echo.ts';

/** include/uapi/linux/in.h, in6.h */
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const options = {
  4: { level: IPPROTO_IP, mtu: 14, discover: 10, hops: 2, tellErrors: 11 },
  6: { level: IPPROTO_IPV6, mtu: 24, discover: 23, hops: 16, tellErrors: 25 },
} as const;
const always = 2; // IP_PMTUDISC_DO: never cut into fragments
const answersWithinMs = 3000;

export class Datagrams implements Disposable {
  readonly fd: Fd;
  readonly #family: Family;
  readonly #to: SocketAddress | null;

  private constructor(fd: Fd, family: Family, to: SocketAddress | null) {
    this.fd = fd;
    this.#family = family;
    this.#to = to;
  }

  /** From one port, 0: any, to whomever. */
  static open(seat: Seat, family: Family, port = 0): Datagrams {
    const address = parseAddress(family === 4 ? '0.0.0.0' : '::');
    return new Datagrams(
      inSeat(seat, () => bindUdp({ address, port })),
      family,
      null,
    );
  }

  /** To one peer, whose errors it hears of; its datagrams are never cut. */
  static connect(seat: Seat, to: SocketAddress): Datagrams {
    const family = familyOf(to.address);
    const datagrams = new Datagrams(
      inSeat(seat, () => connectUdp(to)),
      family,
      to,
    );
    const { level, discover, tellErrors } = options[family];
    sys.setsockopt(datagrams.fd, level, discover, always);
    sys.setsockopt(datagrams.fd, level, tellErrors, 1);
    return datagrams;
  }

  /** @returns errno, or 0. */
  send(bytes: number, to?: SocketAddress): number {
    try {
      sys.send(this.fd, new Uint8Array(bytes), 0, ...(to ? [encodeAddress(to)] : []));
      return 0;
    } catch (error) {
      if (error instanceof KernelError) return error.errno;
      throw error;
    }
  }

  /** `b sees 10.0.0.1:5555`, with the length of a long answer; `silent`; or `from ADDRESS:PORT` where someone else answers. */
  async ask(to: SocketAddress, bytes = 64, withinMs: number = answersWithinMs): Promise<string> {
    assert.equal(this.send(bytes, this.#to ? undefined : to), 0);
    const buffer = new Uint8Array(65_536);
    const from = new Uint8Array(28);
    const deadline = Date.now() + withinMs;
    for (;;) {
      const length = sys.recv(this.fd, buffer, 0, from);
      if (length !== null) return told(buffer.subarray(0, length), decodeAddress(from), to);
      if (Date.now() > deadline) return 'silent';
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Of the way to its peer, as the kernel has learnt it. */
  pathMtu(): number {
    const { level, mtu } = options[this.#family];
    return readInt(this.fd, level, mtu);
  }

  /** Time to live, hop limit. */
  setHops(hops: number): void {
    const { level, hops: name } = options[this.#family];
    sys.setsockopt(this.fd, level, name, hops);
  }

  /** The next ICMP error's errno; 0 where none comes. */
  async error(withinMs: number = answersWithinMs): Promise<number> {
    for (const deadline = Date.now() + withinMs; Date.now() < deadline; ) {
      const errno = socketError(this.fd);
      if (errno !== 0) return errno;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return 0;
  }

  [Symbol.dispose](): void {
    this.fd.close();
  }
}

export class Talk implements Disposable {
  readonly by: string;
  /** The client as the server sees it. */
  readonly sees: SocketAddress;
  readonly #socket: Socket;
  readonly #fd: Fd;
  #heard = 0;
  #digest = 0;

  private constructor(socket: Socket, fd: Fd, first: Uint8Array) {
    const line = readLine(first);
    assert.ok(line, 'no line');
    this.by = line.by;
    this.sees = { address: parseAddress(line.sees), port: line.port };
    this.#socket = socket;
    this.#fd = fd;
    socket.on('data', (bytes) => this.#hear(bytes));
    socket.on('error', () => {});
  }

  /** @param port - may be that of another talk too, with another peer. @throws {AssertionError} when it cannot be established. */
  static async open(seat: Seat, to: SocketAddress, port?: number): Promise<Talk> {
    const fd = inSeat(seat, () => (port === undefined ? connectTcp(to).fd : connectFrom(port, to)));
    const deadline = Date.now() + answersWithinMs;
    while (!sys.poll([{ fd, events: POLLOUT }], 0)[0]) {
      assert.ok(Date.now() < deadline, `no connection to ${to.address}:${to.port}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(socketError(fd), 0, `no connection to ${to.address}:${to.port}`);
    const socket = new Socket({ fd: sys.dup(fd).release() });
    const [first] = (await once(socket, 'data', { signal: AbortSignal.timeout(answersWithinMs) })) as [
      Uint8Array,
    ];
    return new Talk(socket, fd, first);
  }

  /** Sends so many bytes and waits until they are back. @returns how many are, unharmed. */
  async echo(bytes: number, withinMs = 20_000): Promise<number> {
    const block = Buffer.alloc(bytes, 'The quick brown fox jumps over the lazy dog. ');
    const [heard, digest] = [this.#heard, this.#digest];
    this.#socket.write(block);
    const wanted = block.reduce((sum, byte) => (sum + byte) >>> 0, 0);
    for (const deadline = Date.now() + withinMs; Date.now() < deadline && this.#heard - heard < bytes; )
      await new Promise((resolve) => setTimeout(resolve, 1));
    return (this.#digest - digest) >>> 0 === wanted ? this.#heard - heard : 0;
  }

  pathMtu(): number {
    const { level, mtu } = options[familyOf(this.sees.address)];
    return readInt(this.#fd, level, mtu);
  }

  [Symbol.dispose](): void {
    this.#fd.close();
    this.#socket.resetAndDestroy();
  }

  #hear(bytes: Buffer): void {
    this.#heard += bytes.length;
    for (const byte of bytes) this.#digest = (this.#digest + byte) >>> 0;
  }
}

function connectFrom(port: number, to: SocketAddress): Fd {
  const isIpv4 = familyOf(to.address) === 4;
  const fd = sys.socket(isIpv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sys.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  sys.bind(fd, encodeAddress({ address: parseAddress(isIpv4 ? '0.0.0.0' : '::'), port }));
  sys.connect(fd, encodeAddress(to));
  return fd;
}

function told(bytes: Uint8Array, from: SocketAddress, to: SocketAddress): string {
  const line = readLine(bytes);
  if (from.address !== to.address || from.port !== to.port) return `from ${from.address}:${from.port}`;
  return `${line?.by} sees ${line?.sees}:${line?.port}${bytes.length > 64 ? ` ${bytes.length}` : ''}`;
}

function readInt(fd: Fd, level: number, name: number): number {
  const value = new Uint8Array(4);
  sys.getsockopt(fd, level, name, value);
  return new DataView(value.buffer).getInt32(0, true);
}
