// SPDX-License-Identifier: Apache-2.0
/** Work that follows writes: runs once after all that one turn of the event loop wrote, never inside a write. */

export class Pass {
  readonly #run: () => void;
  #planned: NodeJS.Immediate | null = null;

  constructor(run: () => void) {
    this.#run = run;
  }

  plan(): void {
    this.#planned ??= setImmediate(() => {
      this.#planned = null;
      this.#run();
    });
  }

  stop(): void {
    if (this.#planned) clearImmediate(this.#planned);
    this.#planned = null;
  }
}
