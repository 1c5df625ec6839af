// SPDX-License-Identifier: Apache-2.0
/** The syncer against a store that lies, forgets and goes back: what must never reach the data plane. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datastore, Listed, Stored, WatchEvent } from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import { HistoryReplacedError, RevisionGoneError, UnavailableError } from '../lib/errors.ts';
import { keyPath } from '../model/kinds.ts';
import type { HeldDeletion } from './mass-deletion.ts';
import { StoreSyncer, type SyncerOptions } from './syncer.ts';

const revisionOf = (revision: number) => String(revision) as Revision;

function tier(name: string, revision: number): Stored {
  const metadata = { name, resourceVersion: String(revision) };
  const resource = { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata, spec: { order: revision } };
  return { key: { kind: 'Tier', name }, resource, revision: revisionOf(revision) };
}

function tiers(count: number, revision: number): Stored[] {
  return Array.from({ length: count }, (_, i) => tier(`t${i}`, revision));
}

const put = (stored: Stored): WatchEvent => ({ type: 'put', stored });
const gone = (name: string, revision: number): WatchEvent => ({
  type: 'delete',
  key: { kind: 'Tier', name },
  revision: revisionOf(revision),
});

/** What the store says, in order: lists (the last one for ever), and one script for each watch. */
interface Script {
  readonly lists: (Listed | Promise<Listed>)[];
  readonly watches: (readonly WatchEvent[] | Error)[];
}

/** The state of a sink, its history, and the store behind it. */
class Rig {
  readonly present = new Map<string, string>();
  readonly history: string[] = [];
  held: readonly HeldDeletion[] = [];
  audits = 0;
  repaired = 0;
  lists = 0;
  readonly #stop = new AbortController();
  readonly #script: Script;
  readonly syncer: StoreSyncer;

  constructor(script: Script, options: SyncerOptions = {}) {
    this.#script = script;
    this.syncer = new StoreSyncer(this.#store(), {
      random: () => 0,
      onHeld: (held) => {
        this.held = held;
      },
      onAudit: (repaired) => {
        this.audits++;
        this.repaired += repaired;
      },
      ...options,
    });
  }

  /** Runs until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    const running = this.syncer.run(
      {
        onResources: (changes) => {
          for (const { key, resource } of changes) {
            if (resource) this.present.set(keyPath(key), resource.metadata.resourceVersion ?? '');
            else this.present.delete(keyPath(key));
            this.history.push(`${key.name} ${resource?.metadata.resourceVersion ?? 'gone'}`);
          }
        },
        onUpdates: () => {},
        onStatus: () => {},
      },
      this.#stop.signal,
    );
    const deadline = AbortSignal.timeout(20_000);
    while (!condition() && !deadline.aborted) await new Promise((resolve) => setTimeout(resolve, 2));
    this.#stop.abort();
    await running;
    assert.ok(condition(), `not reached; told: ${this.history.join(', ')}`);
  }

  #store(): Datastore {
    const refuse = async (): Promise<never> => {
      throw new UnavailableError('this store is only read');
    };
    const snapshot = async (): Promise<Listed> => {
      this.lists++;
      const [list] = this.#script.lists.length > 1 ? this.#script.lists.splice(0, 1) : this.#script.lists;
      return list ?? refuse();
    };
    return {
      writesAtomically: true,
      history: null,
      get: refuse,
      list: refuse,
      create: refuse,
      update: refuse,
      delete: refuse,
      writeAll: refuse,
      position: async () => revisionOf(0),
      snapshot,
      watch: (_, signal) => this.#watch(signal),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  /** The first event waits until an audit reads, where one is to be met. */
  async *#watch(signal: AbortSignal): AsyncGenerator<readonly WatchEvent[]> {
    const script = this.#script.watches.shift() ?? [];
    if (script instanceof Error) throw script;
    if (this.#script.lists.some((list) => list instanceof Promise)) {
      while (this.lists < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const event of script) yield [event];
    if (signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
}

const listed = (items: readonly Stored[], revision: number): Listed => ({
  items,
  revision: revisionOf(revision),
});

test('an event older than what was told changes nothing', async () => {
  const rig = new Rig({
    lists: [listed([tier('a', 5)], 9)],
    watches: [[put(tier('a', 4)), gone('a', 3), put(tier('b', 10)), put(tier('b', 9)), put(tier('c', 11))]],
  });
  await rig.until(() => rig.present.has('Tier/c'));
  assert.deepEqual(rig.history, ['a 5', 'b 10', 'c 11']);
});

test('a lost event is found by the audit, a lost deletion too', async () => {
  const rig = new Rig(
    { lists: [listed([tier('a', 5), tier('b', 6)], 6), listed([tier('a', 8)], 9)], watches: [] },
    { auditMs: 10 },
  );
  await rig.until(() => rig.repaired >= 2);
  assert.deepEqual([...rig.present], [['Tier/a', '8']]);
});

test('what the watch told while the audit read its list is newer than the list', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const events = [put(tier('c', 7)), gone('a', 8), put(tier('b', 9))];
  const rig = new Rig(
    {
      lists: [
        listed([tier('a', 5), tier('b', 5)], 5),
        promise.then(() => listed([tier('a', 5), tier('b', 5)], 6)),
      ],
      watches: [events],
    },
    { auditMs: 5 },
  );
  const audited = rig.until(() => rig.audits > 0);
  while (rig.lists < 2 || !rig.history.includes('b 9')) await new Promise((wake) => setTimeout(wake, 2));
  resolve();
  await audited;
  assert.deepEqual(rig.history, ['a 5', 'b 5', 'c 7', 'a gone', 'b 9']);
});

test('a compacted watch lists again, and tells only the difference', async () => {
  const rig = new Rig({
    lists: [listed([tier('a', 5), tier('b', 6)], 6), listed([tier('a', 5), tier('c', 8)], 9)],
    watches: [new RevisionGoneError('compacted')],
  });
  await rig.until(() => rig.present.has('Tier/c'));
  assert.deepEqual(rig.history, ['a 5', 'b 6', 'b gone', 'c 8']);
});

test('a replica that lags is not believed', async () => {
  const rig = new Rig({
    lists: [listed([tier('a', 5)], 9), listed([tier('a', 2), tier('z', 1)], 4), listed([tier('a', 12)], 12)],
    watches: [new RevisionGoneError('compacted')],
  });
  await rig.until(() => rig.present.get('Tier/a') === '12');
  assert.deepEqual(rig.history, ['a 5', 'a 12']);
});

test('a store restored from a backup is believed after a while', async () => {
  const rig = new Rig({
    lists: [listed([tier('a', 5)], 9), listed([tier('a', 2), tier('b', 1)], 4)],
    watches: [new RevisionGoneError('compacted')],
  });
  await rig.until(() => rig.present.get('Tier/a') === '2' && rig.present.has('Tier/b'));
  assert.ok(rig.lists > 3, `after ${rig.lists} lists`);
});

test('a store that knows that it was replaced is believed at once, also what is older in it', async () => {
  const rig = new Rig({
    lists: [listed([tier('a', 5)], 9), listed([tier('a', 2), tier('b', 11)], 12)],
    watches: [new HistoryReplacedError('restored')],
  });
  await rig.until(() => rig.present.get('Tier/a') === '2' && rig.present.has('Tier/b'));
  assert.equal(rig.lists, 2);
});

test('a wiped store takes nothing away until somebody confirms', async () => {
  const rig = new Rig(
    { lists: [listed(tiers(20, 5), 9), listed([], 10)], watches: [new RevisionGoneError('compacted')] },
    { auditMs: 5 },
  );
  const wiped = rig.until(() => rig.history.includes('t19 gone'));
  while (rig.held.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual(rig.held, [{ kind: 'Tier', missing: 20, of: 20 }]);
  const before = rig.lists;
  while (rig.lists < before + 2) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(rig.present.size, 20, 'held over several audits');
  rig.syncer.confirmDeletions();
  await wiped;
  assert.deepEqual(rig.held, []);
});

test('deletions told one by one are obeyed, however many', async () => {
  const all = tiers(20, 5);
  const rig = new Rig({
    lists: [listed(all, 9), listed([], 40)],
    watches: [all.map(({ key }, i) => gone(key.name, 10 + i))],
  });
  await rig.until(() => rig.present.size === 0 && rig.history.length === 40);
});

test('an audit that is asked for moves a quiet position on', async () => {
  let position = '';
  const rig = new Rig(
    { lists: [listed([tier('a', 5)], 9), listed([tier('a', 5)], 30)], watches: [] },
    {
      onRevision: (revision) => {
        position = revision;
      },
    },
  );
  const moved = rig.until(() => position === '30');
  while (position !== '9') await new Promise((resolve) => setTimeout(resolve, 2));
  rig.syncer.audit();
  await moved;
  assert.deepEqual(rig.history, ['a 5']);
});

test('a store that lists and refuses each watch is not listed without a pause', async () => {
  const waits: number[] = [];
  const rig = new Rig(
    {
      lists: [listed([tier('a', 5)], 9)],
      watches: Array.from({ length: 9 }, () => new UnavailableError('no watch for you')),
    },
    { onUnavailable: (_, retryMs) => waits.push(retryMs) },
  );
  await rig.until(() => waits.length >= 4);
  assert.deepEqual(waits.slice(0, 4), [50, 100, 200, 400]);
});

test('nor is one whose positions are gone each time', async () => {
  const waits: number[] = [];
  const rig = new Rig(
    {
      lists: [listed([tier('a', 5)], 9)],
      watches: Array.from({ length: 9 }, () => new RevisionGoneError('compacted')),
    },
    { onUnavailable: (_, retryMs) => waits.push(retryMs) },
  );
  await rig.until(() => waits.length >= 3);
  assert.deepEqual(waits.slice(0, 3), [50, 100, 200]);
  assert.equal(rig.lists, 4, 'the first time at once');
});

for (const [title, lists] of [
  ['first', [new Promise<Listed>(() => {})]],
  ['audit', [listed([tier('a', 5)], 9), new Promise<Listed>(() => {})]],
] as const) {
  test(`a ${title} list that never ends keeps nobody from stopping`, { timeout: 10_000 }, async () => {
    const rig = new Rig({ lists: [...lists], watches: [] }, { auditMs: 5 });
    await rig.until(() => rig.lists === lists.length);
  });
}
