// SPDX-License-Identifier: Apache-2.0
/**
 * Who answers in a namespace: over TCP a line that says who it is and whom it sees, then everything back that it is sent; over UDP
 * that line, as long as what was asked.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { NetNs } from '../../src/kernel/netns.ts';
import { bindUdp, listenTcp } from '../../src/kernel/socket.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { parseAddress } from '../../src/lib/address.ts';

export class Echo implements AsyncDisposable {
  readonly name: string;
  readonly #tcp: Server;
  readonly #udp: UdpSocket;
  readonly #connections = new Set<Socket>();

  private constructor(name: string, udp: UdpSocket) {
    this.name = name;
    this.#tcp = createServer((connection) => this.#greet(connection));
    this.#udp = udp;
    udp.on('message', (asked, { address, port }) => {
      const line = lineOf(this.name, address, port);
      udp.send(Buffer.concat([Buffer.from(line), asked.subarray(line.length)]), port, address);
    });
  }

  /** On one port of every address there, both families, both protocols. */
  static async open(name: string, netns: NetNs, port: number): Promise<Echo> {
    const at = { address: parseAddress('::'), port };
    const [tcp, udp] = netns.run((): readonly [Fd, Fd] => [listenTcp(at), bindUdp(at)]);
    const echo = new Echo(name, createSocket('udp6'));
    const ready = [once(echo.#tcp, 'listening'), once(echo.#udp, 'listening')];
    echo.#tcp.listen({ fd: tcp.release() });
    echo.#udp.bind({ fd: udp.release() });
    await Promise.all(ready);
    return echo;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#udp.close();
    this.#tcp.close();
    await once(this.#tcp, 'close');
  }

  #greet(connection: Socket): void {
    const { remoteAddress = '', remotePort = 0 } = connection;
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy()); // clients end with a reset
    connection.write(lineOf(this.name, remoteAddress, remotePort));
    connection.pipe(connection);
  }
}

/** What a client reads; `null` where it is no line of ours. */
export function readLine(bytes: Uint8Array): { by: string; sees: string; port: number } | null {
  const [line = ''] = Buffer.from(bytes).toString('latin1').split('\n', 1);
  const [by, sees, port] = line.split(' ');
  return by === undefined || sees === undefined ? null : { by, sees, port: Number(port) };
}

/** An IPv4 client of a socket for both families: RFC 4291 section 2.5.5.2. */
function lineOf(name: string, address: string, port: number): string {
  return `${name} ${address.replace(/^::ffff:/, '')} ${port}\n`;
}
