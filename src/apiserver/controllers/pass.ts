// SPDX-License-Identifier: Apache-2.0
/** Work that follows writes: runs once after all that a while wrote, never inside a write. */

export class Pass {
  readonly #run: () => void;
  readonly #pause: number;
  #planned: NodeJS.Timeout | null = null;

  /** @param pause - milliseconds for which writes are gathered, the longer the more a run looks at */
  constructor(run: () => void, pause = 0) {
    this.#run = run;
    this.#pause = pause;
  }

  plan(): void {
    this.#planned ??= setTimeout(() => {
      this.#planned = null;
      this.#run();
    }, this.#pause);
  }

  stop(): void {
    if (this.#planned) clearTimeout(this.#planned);
    this.#planned = null;
  }
}
