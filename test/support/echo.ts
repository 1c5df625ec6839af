// SPDX-License-Identifier: Apache-2.0
/** Sends back all that comes by TCP, to whoever connects. */
import type { NetNs } from '../../src/kernel/netns.ts';
import { listenTcp, type SocketAddress } from '../../src/kernel/socket.ts';
import { MSG_DONTWAIT } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { KernelError } from '../../src/lib/errors.ts';

const tickMs = 2;

export class Echo implements Disposable {
  readonly #listener: Fd;
  readonly #buffer = new Uint8Array(65_536);
  readonly #timer: NodeJS.Timeout;
  #connections: Fd[] = [];

  constructor(netns: NetNs, at: SocketAddress) {
    this.#listener = netns.run(() => listenTcp(at));
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const fd of [this.#listener, ...this.#connections]) fd.close();
  }

  #tick(): void {
    for (let fd = sys.accept(this.#listener); fd; fd = sys.accept(this.#listener)) this.#connections.push(fd);
    this.#connections = this.#connections.filter((fd) => this.#answers(fd));
  }

  /** @returns false when it ended. */
  #answers(fd: Fd): boolean {
    try {
      for (
        let got = sys.recv(fd, this.#buffer, MSG_DONTWAIT);
        got !== null;
        got = sys.recv(fd, this.#buffer, MSG_DONTWAIT)
      ) {
        if (got === 0) throw new KernelError('receive', 0, 'the other end closed');
        sys.send(fd, this.#buffer.slice(0, got));
      }
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      fd.close();
      return false;
    }
  }
}
