// SPDX-License-Identifier: Apache-2.0
/**
 * When a driver applies: after messages, after a stranger's change, again after a failure, and now and then in any case.
 *
 * Owns:       the pace; nothing of the kernel. Takes in: messages for one driver. Gives out: a report per apply.
 * Invariants: never before in-sync; one apply at a time; messages that come during one lead to another;
 *             a failure is retried with growing patience and never ends the loop.
 */
import type { ApplyReport, DataplaneDriver, DataplaneMessage } from '../contract/dataplane.ts';

export interface ApplyLoopOptions {
  /** Resolves after `ms` or when `signal` aborts; the clock is the caller's. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A read-back that nothing asked for: a back-stop behind events. @defaultValue 90,000 (Calico: 90 s) */
  readonly resyncMs?: number;
  /** All messages heard so far are in the apply that starts. */
  readonly onStart?: () => void;
  readonly onReport: (report: ApplyReport) => void;
  /** The driver threw: nothing is known of what was applied. */
  readonly onError: (error: unknown) => void;
}

const firstRetryMs = 50;
const lastRetryMs = 5000;

export class ApplyLoop {
  readonly #driver: DataplaneDriver;
  readonly #options: ApplyLoopOptions;
  #inSync = false;
  #wanted = false;
  #retryMs = firstRetryMs;
  #wake: () => void = () => {};

  constructor(driver: DataplaneDriver, options: ApplyLoopOptions) {
    this.#driver = driver;
    this.#options = options;
    driver.onStrangersChange(() => this.applySoon());
  }

  onMessage(message: DataplaneMessage): void {
    this.#driver.onMessage(message);
    if (message.kind === 'in-sync') this.#inSync = true;
    this.applySoon();
  }

  applySoon(): void {
    this.#wanted = true;
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#wanted && this.#inSync) await this.#applyOnce(signal);
      else await this.#wait(this.#options.resyncMs ?? 90_000, signal);
    }
  }

  async #applyOnce(signal: AbortSignal): Promise<void> {
    this.#wanted = false;
    this.#options.onStart?.();
    try {
      const report = await this.#driver.apply(signal);
      this.#options.onReport(report);
      if (report.failed.length > 0) await this.#retryLater(signal);
      else this.#retryMs = firstRetryMs;
    } catch (error) {
      this.#options.onError(error);
      this.#driver.queueResync('the apply before ended in an error');
      await this.#retryLater(signal);
    }
  }

  /** New messages need not wait for the retry: they may be the cure. */
  async #retryLater(signal: AbortSignal): Promise<void> {
    const waitMs = this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
    if (!this.#wanted) await this.#until(waitMs, signal);
    this.#wanted = true;
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (await this.#until(ms, signal)) return;
    this.#driver.queueResync('periodic');
    this.#wanted = true;
  }

  /** @returns true when woken, false when the time ran out. */
  async #until(ms: number, signal: AbortSignal): Promise<boolean> {
    let woken = false;
    const cut = new AbortController();
    this.#wake = () => {
      woken = true;
      cut.abort();
    };
    if (this.#wanted && this.#inSync) return true;
    await this.#options.sleep(ms, AbortSignal.any([signal, cut.signal]));
    return woken || signal.aborted;
  }
}
