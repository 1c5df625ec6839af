// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UnavailableError } from '../../lib/errors.ts';
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
