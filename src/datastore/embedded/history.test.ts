// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { Listed } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import type { Resource, ResourceKey } from '../../model/types.ts';
import { type EmbeddedOptions, EmbeddedStore } from './store.ts';

async function withStore(
  options: EmbeddedOptions,
  run: (store: EmbeddedStore, file: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-history-'));
  try {
    const file = join(folder, 'store.db');
    await using store = new EmbeddedStore(file, options);
    await run(store, file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const key = (name: string): ResourceKey => ({ kind: 'Tier', name });
const tier = (name: string, order: number): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Tier',
  metadata: { name },
  spec: { order },
});
const textOf = ({ items }: Listed) =>
  items.map(({ key: { name }, resource }) => `${name}=${(resource.spec as { order: number }).order}`).join();
const at = (revision: Revision) => ({ revision });

/** A clock that is set by hand. */
function clock() {
  let ms = Date.UTC(2026, 0, 1);
  return { now: () => new Date(ms), set: (seconds: number) => (ms = Date.UTC(2026, 0, 1, 0, 0, seconds)) };
}

test('each change tells when it was made, by whom, and what it made', async () => {
  const time = clock();
  await withStore({ now: time.now, writer: 'ann: muslin apply' }, async (store, file) => {
    const first = await store.create(key('a'), tier('a', 1));
    time.set(5);
    await using other = new EmbeddedStore(file, { now: time.now, writer: 'ben' });
    await other.update(key('a'), tier('a', 2), first.revision);
    await other.delete(key('a'));
    const changes = await store.history.changes(key('a'));
    assert.deepEqual(
      changes.map(({ time: when, writer, resource }) => [
        when.toISOString().slice(17, 19),
        writer,
        (resource?.spec as { order: number } | undefined)?.order ?? null,
      ]),
      [
        ['00', 'ann: muslin apply', 1],
        ['05', 'ben', 2],
        ['05', 'ben', null],
      ],
    );
  });
});

test('the store is told as it was at a revision and at a time', async () => {
  const time = clock();
  await withStore({ now: time.now }, async (store) => {
    const a = await store.create(key('a'), tier('a', 1));
    time.set(10);
    const b = await store.create(key('b'), tier('b', 1));
    time.set(20);
    await store.update(key('a'), tier('a', 2), a.revision);
    await store.delete(key('b'));
    assert.equal(textOf(await store.history.at(at(a.revision))), 'a=1');
    assert.equal(textOf(await store.history.at(at(b.revision))), 'a=1,b=1');
    assert.equal(textOf(await store.history.at({ time: new Date(time.now().getTime() - 5000) })), 'a=1,b=1');
    assert.equal(textOf(await store.history.at({ time: time.now() })), 'a=2');
    assert.equal(textOf(await store.history.at({ time: new Date(0) })), '');
    await assert.rejects(store.history.at(at('99' as Revision)), { code: 'REVISION_GONE' });
  });
});

test('what was compacted is refused, and what was not is still whole', async () => {
  await withStore({ historyRevisions: 50 }, async (store) => {
    await store.create(key('old'), tier('old', 7));
    await store.create(key('gone'), tier('gone', 7));
    await store.delete(key('gone'));
    let { revision } = await store.create(key('a'), tier('a', 0));
    const revisions: Revision[] = [];
    for (let i = 1; i <= 200; i++) {
      revision = (await store.update(key('a'), tier('a', i), revision)).revision;
      revisions.push(revision);
    }
    await assert.rejects(store.history.at(at(revisions[99] as Revision)), { code: 'REVISION_GONE' });
    for (const i of [155, 170, 199])
      assert.equal(textOf(await store.history.at(at(revisions[i] as Revision))), `a=${i + 1},old=7`);
  });
});

test('changes are kept for a set time, and the last thousand however old they are', async () => {
  const time = clock();
  await withStore({ now: time.now, historyMs: 60_000 }, async (store) => {
    const writes = (count: number, from: number) =>
      Array.from({ length: count }, (_, i) => ({
        op: 'create' as const,
        key: key(`t${from + i}`),
        resource: tier(`t${from + i}`, 1),
      }));
    await store.writeAll(writes(1500, 0));
    time.set(3600);
    await store.writeAll(writes(100, 1500));
    await assert.rejects(store.history.at(at('400' as Revision)), { code: 'REVISION_GONE' });
    assert.equal((await store.history.at(at('700' as Revision))).items.length, 700);
  });
});

test('a store of before, without times and writers, is taken over', async () => {
  await withStore({}, async (store, file) => {
    await store.create(key('a'), tier('a', 1));
    const db = new DatabaseSync(file);
    db.exec(
      'DROP INDEX log_of_key; ALTER TABLE log DROP COLUMN time; ALTER TABLE log DROP COLUMN writer; DELETE FROM log; PRAGMA user_version = 1',
    );
    db.close();
    await using reopened = new EmbeddedStore(file, { writer: 'new' });
    await reopened.create(key('b'), tier('b', 2));
    assert.equal(textOf(await reopened.snapshot()), 'a=1,b=2');
    const [change] = await reopened.history.changes(key('a'));
    assert.deepEqual([change?.time.getTime(), change?.writer], [0, '']);
  });
});
