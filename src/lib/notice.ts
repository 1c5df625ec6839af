// SPDX-License-Identifier: Apache-2.0
/** A bell: whoever waits is woken when it rings. It says that something may have changed, never what. */
export class Notice {
  readonly #waiting = new Set<() => void>();

  /** Resolves when it next rings, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  ring(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
