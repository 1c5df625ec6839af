// SPDX-License-Identifier: Apache-2.0
/** Stands between a client and a server's Unix socket, and lets through what, when and how fast a test wants. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Relay implements AsyncDisposable {
  readonly path: string;
  readonly #target: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Came while nothing passed: what they want to reach has not heard of them. */
  readonly #waiting: Socket[] = [];
  #delayMs = 0;
  #isHole = false;

  private constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
    this.#server = createServer((client) => {
      client.on('error', () => {}); // 'close' follows
      if (this.#isHole) this.#waiting.push(client);
      else this.#join(client);
    });
  }

  static async open(path: string, target: string): Promise<Relay> {
    const relay = new Relay(path, target);
    relay.#server.listen(path);
    await once(relay.#server, 'listening');
    return relay;
  }

  /** Each piece is that much later. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Nothing passes, nobody is told, as with a drop rule; what was under way arrives after `fill`. */
  hole(): void {
    this.#isHole = true;
    for (const socket of this.#sockets) socket.pause();
  }

  fill(): void {
    this.#isHole = false;
    for (const socket of this.#sockets) socket.resume();
    for (const client of this.#waiting.splice(0)) this.#join(client);
  }

  cut(): void {
    for (const socket of [...this.#sockets, ...this.#waiting.splice(0)]) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut();
  }

  #join(client: Socket): void {
    const server = connect(this.#target);
    server.on('error', () => {});
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes) => this.#pass(bytes, to));
      from.once('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  #pass(bytes: Buffer, to: Socket): void {
    if (this.#delayMs === 0) to.write(bytes);
    else setTimeout(() => to.destroyed || to.write(bytes), this.#delayMs);
  }
}
