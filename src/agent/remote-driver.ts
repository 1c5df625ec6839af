// SPDX-License-Identifier: Apache-2.0
/**
 * The driver in a worker of its own: a long kernel commit then delays neither health nor the graph. The seam's messages
 * are plain data, so all that is here is their passage; driver-worker.ts stands at the other end.
 */
import { Worker } from 'node:worker_threads';
import type { DataplaneName } from '../contract/config.ts';
import type { ApplyReport, DataplaneDriver, DataplaneMessage } from '../contract/dataplane.ts';
import type { TranslatingDataplane, TranslationMessage } from '../contract/services.ts';
import { UnavailableError } from '../lib/errors.ts';
import type { AgentConfig } from './config.ts';
import type { Log } from './log.ts';

export type ToWorker =
  | {
      readonly kind: 'messages';
      readonly messages: readonly DataplaneMessage[];
      readonly translations: readonly TranslationMessage[];
    }
  | { readonly kind: 'resync'; readonly reason: string }
  | { readonly kind: 'probe'; readonly call: number }
  | { readonly kind: 'apply'; readonly call: number }
  | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'answer'; readonly call: number; readonly value: ApplyReport | readonly string[] }
  | { readonly kind: 'failure'; readonly call: number; readonly message: string }
  | { readonly kind: 'strangers-change'; readonly reason: string };

interface Call {
  resolve(value: ApplyReport | readonly string[]): void;
  reject(error: Error): void;
}

export class RemoteDriver implements DataplaneDriver, TranslatingDataplane {
  readonly name: DataplaneName;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  #outbox: DataplaneMessage[] = [];
  #translations: TranslationMessage[] = [];
  #lastCall = 0;
  #listener: (reason: string) => void = () => {};
  #failed: Error | null = null;

  constructor(config: AgentConfig, log: Log) {
    this.name = config.dataplane;
    this.#worker = new Worker(new URL('./driver-worker.ts', import.meta.url), { workerData: config });
    this.#worker.on('message', (message: FromWorker) => this.#hear(message));
    // a worker that died cannot be trusted with the kernel: end, be started anew, adopt what stands there
    this.#worker.on('error', (error) => {
      log.fatal({ err: error }, 'the driver died');
      this.#fail(error);
      process.exitCode = 1;
      process.kill(process.pid, 'SIGTERM');
    });
  }

  probe(): Promise<readonly string[]> {
    return this.#call('probe') as Promise<readonly string[]>;
  }

  onMessage(message: DataplaneMessage): void {
    this.#outbox.push(message);
  }

  onTranslation(message: TranslationMessage): void {
    this.#translations.push(message);
  }

  apply(): Promise<ApplyReport> {
    return this.#call('apply') as Promise<ApplyReport>;
  }

  queueResync(reason: string): void {
    this.#post({ kind: 'resync', reason });
  }

  onStrangersChange(listener: (reason: string) => void): void {
    this.#listener = listener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#failed) return;
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    this.#post({ kind: 'close' });
    await ended;
  }

  /** Everything heard so far goes before the call, in one piece. */
  #call(kind: 'probe' | 'apply'): Promise<ApplyReport | readonly string[]> {
    if (this.#failed) return Promise.reject(this.#failed);
    this.#postMessages();
    const call = ++this.#lastCall;
    this.#post({ kind, call });
    return new Promise((resolve, reject) => this.#calls.set(call, { resolve, reject }));
  }

  #postMessages(): void {
    if (this.#outbox.length === 0 && this.#translations.length === 0) return;
    this.#post({ kind: 'messages', messages: this.#outbox, translations: this.#translations });
    this.#outbox = [];
    this.#translations = [];
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromWorker): void {
    if (message.kind === 'strangers-change') return this.#listener(message.reason);
    const call = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if (message.kind === 'answer') call?.resolve(message.value);
    else call?.reject(new UnavailableError(message.message));
  }

  #fail(error: unknown): void {
    this.#failed = new UnavailableError(`the driver died: ${String(error)}`, { cause: error });
    for (const call of this.#calls.values()) call.reject(this.#failed);
    this.#calls.clear();
  }
}
