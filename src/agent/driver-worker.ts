// SPDX-License-Identifier: Apache-2.0
/** The worker's side of remote-driver.ts: one driver, driven by messages. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Inspection, InspectionAnswer } from '../contract/inspect.ts';
import { AppError, assertNever, UnsupportedError } from '../lib/errors.ts';
import type { AgentConfig } from './config.ts';
import { newDriver } from './data-planes.ts';
import type { FromWorker, ToWorker } from './remote-driver.ts';

const port = parentPort;
if (!port) throw new TypeError('driver-worker.ts runs as a worker only');
const answer = (message: FromWorker) => port.postMessage(message);

const driver = newDriver(workerData as AgentConfig);
const closing = new AbortController();
driver.onStrangersChange((reason) => answer({ kind: 'strangers-change', reason }));
driver.onFlows?.((flows, lost) => answer({ kind: 'flows', flows, lost }));

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
    case 'inspect':
      return answerWith(message.call, inspect(message.question));
    case 'close':
      closing.abort();
      void driver[Symbol.asyncDispose]().then(() => port.close());
      return;
    default:
      return assertNever(message);
  }
});

async function inspect(question: Inspection): Promise<InspectionAnswer> {
  if (driver.inspect) return driver.inspect(question);
  throw new UnsupportedError(
    `cannot show ${question.kind}: this node's data plane is ${driver.name}, want ebpf (muslin status says which node runs which)`,
  );
}

function answerWith(call: number, result: Promise<Extract<FromWorker, { kind: 'answer' }>['value']>): void {
  result.then(
    (value) => answer({ kind: 'answer', call, value }),
    (error: unknown) =>
      answer({
        kind: 'failure',
        call,
        message: error instanceof Error ? error.message : String(error),
        code: error instanceof AppError ? error.code : null,
      }),
  );
}
