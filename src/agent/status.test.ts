// SPDX-License-Identifier: Apache-2.0
/** What "enforced" means: a revision counts once an apply that took up its messages succeeded, and not before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { buildGraph } from '../calc/graph.ts';
import type { ApplyReport } from '../contract/dataplane.ts';
import type { Datastore, WatchEvent } from '../contract/datastore.ts';
import { StoreSyncer } from '../datastore/syncer.ts';
import type { KeyPath, Revision } from '../lib/brand.ts';
import { Batcher } from './batcher.ts';
import { AgentStatus } from './status.ts';

const ok: ApplyReport = { changed: 1, failed: [], openEndpoints: [] };
const failed: ApplyReport = { ...ok, failed: [{ table: 't', key: 'k', message: 'no' }] };

function rig() {
  const status = new AgentStatus({ node: 'n', dataplane: 'nftables' }, pino({ enabled: false }));
  const told = (revision: string) => status.ofSyncer().onRevision?.(revision as Revision);
  const { onStart, onReport, onError } = status.ofApplies();
  return {
    status,
    told,
    start: () => onStart?.(),
    report: onReport,
    error: onError,
    revision: () => status.report().enforcedRevision,
  };
}

test('nothing is enforced before the first apply', () => {
  const { status, told, revision } = rig();
  told('5');
  status.onFlush(0);
  assert.equal(revision(), '0');
  assert.equal(status.report().ready, false);
});

test('what was told while an apply ran is not in it', () => {
  const { status, told, start, report, revision } = rig();
  told('5');
  status.onFlush(3);
  start();
  told('6');
  status.onFlush(1);
  report(ok);
  assert.equal(revision(), '5');
  start();
  report(ok);
  assert.equal(revision(), '6');
});

test('a change that concerns this node not at all is in force at once', () => {
  const { status, told, start, report, revision } = rig();
  told('5');
  status.onFlush(1);
  start();
  report(ok);
  told('9');
  status.onFlush(0);
  assert.equal(revision(), '9');
});

test('a failure holds the revision back and is a reason not to be ready', () => {
  const { status, told, start, report, error, revision } = rig();
  status.onStatus('in-sync');
  told('5');
  status.onFlush(1);
  start();
  report(failed);
  told('6');
  status.onFlush(0);
  assert.equal(revision(), '0');
  assert.deepEqual(status.report().reasons, ['t k: no']);
  start();
  error(new Error('lost'));
  assert.match(status.report().reasons.join(), /lost/);
  start();
  report(ok);
  assert.equal(revision(), '6');
  assert.equal(status.report().ready, true);
});

test('waiting ends when the revision is in force, or with the time', async () => {
  const { status, told, start, report } = rig();
  const waiting = status.untilEnforced('5' as Revision, new AbortController().signal);
  const cut = new AbortController();
  const tooFar = status.untilEnforced('7' as Revision, cut.signal);
  told('5');
  status.onFlush(1);
  start();
  report(ok);
  assert.equal(await waiting, true);
  cut.abort();
  assert.equal(await tooFar, false);
});

test('a position that comes with no change, by a bookmark or an audit, is in force too', async () => {
  const { status, start, report } = rig();
  const graph = buildGraph({ node: 'n' });
  const batches = new Batcher(graph, () => {}, status);
  const bookmark: WatchEvent = { type: 'bookmark', revision: 'Pod=5;Tier=9' as Revision };
  const store: Pick<Datastore, 'snapshot' | 'watch'> = {
    snapshot: async () => ({ items: [], revision: 'Pod=5;Tier=3' as Revision }),
    watch: async function* (_, signal) {
      await appliedOnce;
      yield [bookmark];
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
  const { promise: appliedOnce, resolve: applied } = Promise.withResolvers<void>();
  const syncer = new StoreSyncer(
    store as Datastore,
    status.ofSyncer(() => batches.onPosition()),
  );
  const stop = new AbortController();
  const running = syncer.run(batches, stop.signal);
  await delay(20);
  start();
  report(ok);
  applied();
  const isEnforced = await status.untilEnforced('Tier=9' as Revision, AbortSignal.timeout(5000));
  stop.abort();
  await running;
  assert.equal(isEnforced, true);
});

test('what services find wrong is told beside what the syncer finds, and what both find once', () => {
  const { status } = rig();
  const fault = (message: string) => ({ path: 'spec', message });
  const path = 'Service/a/web' as KeyPath;
  status.ofSyncer().onFaults?.({ kind: 'Service', namespace: 'a', name: 'web' }, [fault('unreadable')]);
  status.showServices(() => [
    { path, faults: [fault('unreadable'), fault("10.96.0.1 is another's")] },
    { path: 'Service/a/db' as KeyPath, faults: [fault('no')] },
  ]);
  assert.deepEqual(status.report().invalid, [
    { resource: path, faults: [fault('unreadable'), fault("10.96.0.1 is another's")] },
    { resource: 'Service/a/db', faults: [fault('no')] },
  ]);
});

test('a data plane serves once it applied, also when part of it failed, and not after an error', () => {
  const { status, start, report, error } = rig();
  assert.equal(status.isServing(), false);
  start();
  report(failed);
  assert.equal(status.isServing(), true);
  start();
  error(new Error('lost'));
  assert.equal(status.isServing(), false);
});
