// SPDX-License-Identifier: Apache-2.0
/** The worker's side of remote-driver.ts: one driver, driven by messages. */
import { parentPort, workerData } from 'node:worker_threads';
import { assertNever } from '../lib/errors.ts';
import type { AgentConfig } from './config.ts';
import { newDriver } from './data-planes.ts';
import type { FromWorker, ToWorker } from './remote-driver.ts';

const port = parentPort;
if (!port) throw new TypeError('driver-worker.ts runs as a worker only');
const answer = (message: FromWorker) => port.postMessage(message);

const driver = newDriver(workerData as AgentConfig);
const closing = new AbortController();
driver.onStrangersChange((reason) => answer({ kind: 'strangers-change', reason }));

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'messages':
      for (const each of message.translations) driver.onTranslation?.(each);
      for (const each of message.messages) driver.onMessage(each);
      return;
    case 'resync':
      return driver.queueResync(message.reason);
    case 'probe':
      return answerWith(message.call, driver.probe());
    case 'apply':
      return answerWith(message.call, driver.apply(closing.signal));
    case 'close':
      closing.abort();
      void driver[Symbol.asyncDispose]().then(() => port.close());
      return;
    default:
      return assertNever(message);
  }
});

function answerWith(call: number, result: Promise<Extract<FromWorker, { kind: 'answer' }>['value']>): void {
  result.then(
    (value) => answer({ kind: 'answer', call, value }),
    (error: unknown) =>
      answer({ kind: 'failure', call, message: error instanceof Error ? error.message : String(error) }),
  );
}
