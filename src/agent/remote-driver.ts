// SPDX-License-Identifier: Apache-2.0
/**
 * The driver in a worker of its own: a long kernel commit then delays neither health nor the graph. The seam's messages
 * are plain data, so all that is here is their passage; driver-worker.ts stands at the other end.
 */
import { Worker } from 'node:worker_threads';
import type { DataplaneName } from '../contract/config.ts';
import type { ApplyReport, DataplaneDriver, DataplaneMessage } from '../contract/dataplane.ts';
import type { FlowRecord, ObservedDataplane } from '../contract/flow.ts';
import type { InspectableDataplane, Inspection, InspectionAnswer } from '../contract/inspect.ts';
import type { TranslatingDataplane, TranslationMessage } from '../contract/services.ts';
import {
  type AppError,
  type ErrorCode,
  InvalidError,
  NotFoundError,
  UnavailableError,
  UnsupportedError,
} from '../lib/errors.ts';
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
  | { readonly kind: 'inspect'; readonly call: number; readonly question: Inspection }
  | { readonly kind: 'close' };

type Answer = ApplyReport | readonly string[] | InspectionAnswer;

export type FromWorker =
  | { readonly kind: 'answer'; readonly call: number; readonly value: Answer }
  | {
      readonly kind: 'failure';
      readonly call: number;
      readonly message: string;
      /** Null: of no error that callers tell apart. */
      readonly code: ErrorCode | null;
    }
  | { readonly kind: 'strangers-change'; readonly reason: string }
  | { readonly kind: 'flows'; readonly flows: readonly FlowRecord[]; readonly lost: number };

type FlowListener = Parameters<ObservedDataplane['onFlows']>[0];

interface Call {
  resolve(value: Answer): void;
  reject(error: Error): void;
}

export class RemoteDriver
  implements DataplaneDriver, TranslatingDataplane, InspectableDataplane, ObservedDataplane
{
  readonly name: DataplaneName;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  #outbox: DataplaneMessage[] = [];
  #translations: TranslationMessage[] = [];
  #lastCall = 0;
  #listener: (reason: string) => void = () => {};
  #flowListener: FlowListener = () => {};
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
    return this.#call((call) => ({ kind: 'probe', call })) as Promise<readonly string[]>;
  }

  onMessage(message: DataplaneMessage): void {
    this.#outbox.push(message);
  }

  onTranslation(message: TranslationMessage): void {
    this.#translations.push(message);
  }

  apply(): Promise<ApplyReport> {
    return this.#call((call) => ({ kind: 'apply', call })) as Promise<ApplyReport>;
  }

  /** @throws {UnsupportedError} when the data plane has nothing to look into. {NotFoundError} {InvalidError} */
  inspect(question: Inspection): Promise<InspectionAnswer> {
    return this.#call((call) => ({ kind: 'inspect', call, question })) as Promise<InspectionAnswer>;
  }

  /** A data plane that tells of no flows never calls. */
  onFlows(listener: FlowListener): void {
    this.#flowListener = listener;
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
  #call(message: (call: number) => ToWorker): Promise<Answer> {
    if (this.#failed) return Promise.reject(this.#failed);
    this.#postMessages();
    const call = ++this.#lastCall;
    this.#post(message(call));
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
    if (message.kind === 'flows') return this.#flowListener(message.flows, message.lost);
    const call = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if (message.kind === 'answer') call?.resolve(message.value);
    else call?.reject(errorOf(message.code, message.message));
  }

  #fail(error: unknown): void {
    this.#failed = new UnavailableError(`the driver died: ${String(error)}`, { cause: error });
    for (const call of this.#calls.values()) call.reject(this.#failed);
    this.#calls.clear();
  }
}

/** Errors lose their class on the way between threads. */
function errorOf(code: ErrorCode | null, message: string): AppError {
  if (code === 'NOT_FOUND') return new NotFoundError(message);
  if (code === 'INVALID') return new InvalidError(message);
  if (code === 'UNSUPPORTED') return new UnsupportedError(message);
  return new UnavailableError(message);
}
