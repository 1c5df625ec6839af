// SPDX-License-Identifier: Apache-2.0
/** A file descriptor with an owner, so that every one is closed once and can be counted. */

/** Every open `Fd` of this thread. */
let open = 0;

/** Descriptors that this thread holds through `Fd` and has not closed: a metric, and what leak tests compare. */
export function openFds(): number {
  return open;
}

export class Fd implements Disposable {
  readonly #close: (number: number) => void;
  #number: number;

  /** @param number - a descriptor that nobody else will close. */
  constructor(number: number, close: (number: number) => void) {
    this.#number = number;
    this.#close = close;
    open++;
  }

  /** @throws {TypeError} when it was closed or released: a closed number may belong to someone else by now. */
  get number(): number {
    if (this.#number < 0) throw new TypeError('use of a closed file descriptor');
    return this.#number;
  }

  get isOpen(): boolean {
    return this.#number >= 0;
  }

  /** Hands the number to another owner, for instance `net.Server.listen({ fd })`, who then closes it. */
  release(): number {
    const number = this.number;
    this.#number = -1;
    open--;
    return number;
  }

  /** Does nothing the second time. */
  close(): void {
    if (this.isOpen) this.#close(this.release());
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
