// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApplyReport, DataplaneDriver, DataplaneMessage } from '../contract/dataplane.ts';
import { ApplyLoop } from './apply-loop.ts';

/** A driver that answers from a list, and a clock that the test moves. */
class Rig {
  readonly heard: string[] = [];
  readonly reports: ApplyReport[] = [];
  readonly errors: unknown[] = [];
  readonly sleeps: number[] = [];
  readonly stop = new AbortController();
  answers: (ApplyReport | Error)[] = [];
  strangersChange: (reason: string) => void = () => {};
  #wakeSleeper: () => void = () => {};
  readonly loop: ApplyLoop;
  readonly done: Promise<void>;

  constructor() {
    const driver: DataplaneDriver = {
      name: 'fake',
      probe: async () => [],
      onMessage: (message) => void this.heard.push(message.kind),
      apply: async () => {
        this.heard.push('apply');
        const answer = this.answers.shift() ?? ok;
        if (answer instanceof Error) throw answer;
        return answer;
      },
      queueResync: (reason) => void this.heard.push(`resync: ${reason}`),
      onStrangersChange: (listener) => {
        this.strangersChange = listener;
      },
      [Symbol.asyncDispose]: async () => {},
    };
    this.loop = new ApplyLoop(driver, {
      sleep: (ms, signal) => this.#sleep(ms, signal),
      onReport: (report) => void this.reports.push(report),
      onError: (error) => void this.errors.push(error),
    });
    this.done = this.loop.run(this.stop.signal);
  }

  timePasses(): Promise<void> {
    this.#wakeSleeper();
    return settled();
  }

  async end(): Promise<void> {
    this.stop.abort();
    await this.done;
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.sleeps.push(ms);
    return new Promise((resolve) => {
      this.#wakeSleeper = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
  }
}

const ok: ApplyReport = { changed: 1, failed: [], openEndpoints: [] };
const failed: ApplyReport = { ...ok, failed: [{ table: 't', key: 'k', message: 'no' }] };
const inSync: DataplaneMessage = { kind: 'in-sync' };
const other: DataplaneMessage = { kind: 'profile-remove', name: 'p' };
const settled = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

test('nothing is applied before in-sync; messages heard together are applied together', async () => {
  const rig = new Rig();
  rig.loop.onMessage(other);
  await settled();
  assert.deepEqual(rig.heard, ['profile-remove']);
  rig.loop.onMessage(other);
  rig.loop.onMessage(inSync);
  await settled();
  assert.deepEqual(rig.heard, ['profile-remove', 'profile-remove', 'in-sync', 'apply']);
  await rig.end();
});

test('a failure is tried again with growing patience, and patience is back after success', async () => {
  const rig = new Rig();
  rig.answers = [failed, failed, ok, failed];
  rig.loop.onMessage(inSync);
  await settled();
  await rig.timePasses();
  await rig.timePasses();
  const retries = rig.sleeps.filter((ms) => ms < 90_000); // the others are the wait for the periodic read-back
  assert.ok((retries[1] ?? 0) > (retries[0] ?? 0));
  assert.equal(rig.reports.length, 3);
  rig.loop.onMessage(other);
  await settled();
  assert.equal(rig.sleeps.at(-1), retries[0]);
  await rig.end();
});

test('a driver that throws is not trusted: the next apply reads back first', async () => {
  const rig = new Rig();
  rig.answers = [new Error('lost')];
  rig.loop.onMessage(inSync);
  await settled();
  assert.equal(rig.errors.length, 1);
  await rig.timePasses();
  assert.deepEqual(rig.heard.slice(1), ['apply', 'resync: the apply before ended in an error', 'apply']);
  await rig.end();
});

test('a message does not wait for the retry: it may be the cure', async () => {
  const rig = new Rig();
  rig.answers = [failed];
  rig.loop.onMessage(inSync);
  await settled();
  rig.loop.onMessage(other);
  await settled();
  assert.deepEqual(rig.heard, ['in-sync', 'apply', 'profile-remove', 'apply']);
  await rig.end();
});

test('a stranger’s change and the passing of time lead to a read-back', async () => {
  const rig = new Rig();
  rig.loop.onMessage(inSync);
  await settled();
  rig.strangersChange('flush');
  await settled();
  await rig.timePasses();
  assert.deepEqual(rig.heard, ['in-sync', 'apply', 'apply', 'resync: periodic', 'apply']);
  await rig.end();
});
