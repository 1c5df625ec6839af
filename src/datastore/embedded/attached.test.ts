// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HistoryReplacedError, UnavailableError } from '../../lib/errors.ts';
import { AttachedStore } from './attached.ts';
import { EmbeddedStore } from './store.ts';

const tier = (name: string) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Tier',
  metadata: { name },
  spec: {},
});

async function withFolder(body: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-attached-'));
  try {
    await body(join(folder, 'db'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function storeWith(file: string, name: string): Promise<void> {
  await using store = new EmbeddedStore(file);
  await store.create({ kind: 'Tier', name }, tier(name));
}

async function drained(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

test('a missing file is unavailable, and is not made', () =>
  withFolder(async (file) => {
    await using store = new AttachedStore(file);
    await assert.rejects(store.snapshot(), UnavailableError);
    assert.equal(existsSync(file), false);
    await storeWith(file, 'a');
    assert.deepEqual(
      (await store.snapshot()).items.map((item) => item.key.name),
      ['a'],
    );
  }));

test('a watch ends with an error when the file goes, and what took its place is read next', () =>
  withFolder(async (file) => {
    await storeWith(file, 'a');
    await using store = new AttachedStore(file);
    const { revision } = await store.snapshot();
    const watching = drained(store.watch(revision, new AbortController().signal));
    renameSync(file, `${file}.away`);
    await assert.rejects(watching, UnavailableError);
    await assert.rejects(store.snapshot(), UnavailableError);
    for (const part of ['-wal', '-shm']) rmSync(file + part, { force: true });
    await storeWith(file, 'b');
    assert.deepEqual(
      (await store.snapshot()).items.map((item) => item.key.name),
      ['b'],
    );
  }));

/** How often this process has it open. */
function descriptorsOf(file: string): number {
  const target = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the one that lists them
    }
  };
  return readdirSync('/proc/self/fd').filter((fd) => target(fd) === file).length;
}

function replace(file: string): void {
  renameSync(file, `${file}.away`);
  for (const part of ['-wal', '-shm']) rmSync(file + part, { force: true });
}

test('many who ask at once after the file was replaced open the new one once, and nothing stays open', () =>
  withFolder(async (file) => {
    await storeWith(file, 'a');
    const store = new AttachedStore(file);
    await store.index();
    replace(file);
    await storeWith(file, 'a');
    await Promise.all(Array.from({ length: 5 }, () => store.get({ kind: 'Tier', name: 'a' })));
    assert.equal(descriptorsOf(file), 1);
    await store[Symbol.asyncDispose]();
    assert.equal(descriptorsOf(file), 0);
  }));

test('a watch that is to go on in another file says that it is another history', () =>
  withFolder(async (file) => {
    await storeWith(file, 'a');
    await using store = new AttachedStore(file);
    const { revision } = await store.snapshot();
    const watching = drained(store.watch(revision, new AbortController().signal));
    replace(file);
    await storeWith(file, 'b');
    await assert.rejects(watching);
    await assert.rejects(drained(store.watch(revision, new AbortController().signal)), HistoryReplacedError);
    const stop = new AbortController();
    const again = drained(store.watch(revision, stop.signal));
    stop.abort();
    await again;
  }));
