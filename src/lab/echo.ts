// SPDX-License-Identifier: Apache-2.0
/**
 * The small servers of a workload: for every containerPort one on TCP or UDP that gives back what it is sent, on both
 * families. The sockets are made inside the workload's namespace; who answers is this process.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import type { NetNs } from '../kernel/netns.ts';
import { bindUdp, listenTcp } from '../kernel/socket.ts';
import { parseAddress } from '../lib/address.ts';

export interface ServedPort {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

const anyAddress = parseAddress('::');
/** One process answers for all: what comes while it makes pods waits here. About 10,000 small datagrams. */
const receiveBuffer = 8 << 20;

export class EchoServers {
  readonly #netns: NetNs;
  readonly #servers = new Map<string, Server | UdpSocket>();

  constructor(netns: NetNs) {
    this.#netns = netns;
  }

  /** Exactly these from now on. @throws {KernelError} EADDRINUSE */
  serve(ports: readonly ServedPort[]): void {
    const wanted = new Map(ports.map((port) => [`${port.protocol}/${port.port}`, port]));
    for (const [key, server] of this.#servers) {
      if (wanted.has(key)) continue;
      server.close();
      this.#servers.delete(key);
    }
    for (const [key, { protocol, port }] of wanted) {
      if (!this.#servers.has(key))
        this.#servers.set(key, protocol === 'TCP' ? this.#tcp(port) : this.#udp(port));
    }
  }

  close(): void {
    this.serve([]);
  }

  #tcp(port: number): Server {
    const fd = this.#netns.run(() => listenTcp({ address: anyAddress, port }));
    const server = createServer((connection) => {
      connection.on('error', () => connection.destroy()); // the other end was reset: its own affair
      connection.pipe(connection);
    });
    return server.listen({ fd: fd.release() });
  }

  #udp(port: number): UdpSocket {
    const fd = this.#netns.run(() => bindUdp({ address: anyAddress, port }, { receiveBuffer }));
    const socket = createSocket('udp6');
    socket.on('message', (message, from) => socket.send(message, from.port, from.address, () => {}));
    socket.bind({ fd: fd.release() });
    return socket;
  }
}
