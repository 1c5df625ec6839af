// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EmbeddedStore } from '../../src/datastore/embedded/store.ts';
import { UnavailableError } from '../../src/lib/errors.ts';
import { datastoreConformance, keepsUnknownFields, take, tier, tierKey } from './datastore.ts';

function temporaryFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'muslin-store-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** More than the suite writes in one case. */
const historyRevisions = 12_000;

/** Compaction comes by itself, a tenth later than it could. */
async function writePast(store: EmbeddedStore): Promise<void> {
  for (let i = 0; i < historyRevisions * 1.2; i += 200) {
    const names = Array.from({ length: 100 }, (_, j) => `past-${j}`);
    await Promise.all(names.map((name) => store.create(tierKey(name), tier(name, 1))));
    await Promise.all(names.map((name) => store.delete(tierKey(name))));
  }
}

datastoreConformance('embedded', async () => {
  const folder = temporaryFolder();
  const options = { historyRevisions };
  const store = new EmbeddedStore(join(folder.path, 'db'), options);
  return {
    store,
    reopen: async () => new EmbeddedStore(join(folder.path, 'db'), options),
    compact: () => writePast(store),
    restart: null,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
});

test('embedded: unknown fields are kept', async () => {
  using folder = temporaryFolder();
  await using store = new EmbeddedStore(join(folder.path, 'db'));
  await keepsUnknownFields({ store });
});

const writerProgram = new URL('../support/store-writer.ts', import.meta.url).pathname;

/** A process that creates tiers t0, t1, ... and prints each name once the store answered. */
async function killedWriter(file: string, afterLines: number): Promise<string[]> {
  const child = spawn(process.execPath, [writerProgram, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    if (text.split('\n').length > afterLines) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return text.split('\n').slice(0, -1);
}

test('embedded: every write that was answered survives kill -9, and the file opens again', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'db');
  const answered: string[] = [];
  for (const round of [1, 5, 23]) answered.push(...(await killedWriter(file, round)));
  await using store = new EmbeddedStore(file);
  const stored = new Set((await store.list('Tier')).items.map((item) => item.key.name));
  assert.ok(answered.length >= 29);
  assert.deepEqual(
    answered.filter((name) => !stored.has(name)),
    [],
  );
});

test('embedded: a watch hears another process', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'db');
  await using store = new EmbeddedStore(file);
  const { revision } = await store.snapshot();
  const heard = take(store, revision, 3);
  await killedWriter(file, 3);
  assert.equal((await heard)[0]?.type, 'put');
});

test('embedded: a file that is no database is refused with its name', async () => {
  using _folder = temporaryFolder();
  assert.throws(
    () => new EmbeddedStore(new URL(import.meta.url).pathname),
    (error) => error instanceof UnavailableError && /embedded\.test\.ts/.test(error.message),
  );
});

test('embedded: use after close says so', async () => {
  using folder = temporaryFolder();
  const store = new EmbeddedStore(join(folder.path, 'db'));
  await store[Symbol.asyncDispose]();
  await assert.rejects(store.get(tierKey('a')), UnavailableError);
  await assert.rejects(store.create(tierKey('a'), tier('a', 1)), UnavailableError);
});
