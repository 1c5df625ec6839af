// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datastore, Stored } from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import { RevisionGoneError, UnavailableError } from '../lib/errors.ts';
import { StoreSyncer } from './syncer.ts';

const revision = '7' as Revision;

function namespaces(count: number): Stored[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `ns-${i}`;
    const resource = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    return { key: { kind: 'Namespace', name }, resource, revision } as const;
  });
}

/** Holds these and then nothing happens; everything but reading is unavailable. */
function storeOf(items: readonly Stored[]): Datastore {
  const refuse = async (): Promise<never> => {
    throw new UnavailableError('this store is only read');
  };
  return {
    writesAtomically: true,
    history: null,
    position: async () => revision,
    get: refuse,
    list: refuse,
    create: refuse,
    update: refuse,
    delete: refuse,
    writeAll: refuse,
    snapshot: async () => ({ items, revision }),
    watch: async function* (_from, signal) {
      yield [{ type: 'bookmark', revision }];
      if (signal.aborted) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

test('a large snapshot leaves others their turns, and is whole before in-sync', async () => {
  const stop = new AbortController();
  const told: number[] = [];
  let turns = 0;
  const count = () => {
    turns++;
    if (!stop.signal.aborted) setImmediate(count);
  };
  setImmediate(count);
  const turnsAt: number[] = [];
  await new StoreSyncer(storeOf(namespaces(1000))).run(
    {
      onUpdates: (updates) => {
        told.push(updates.length);
        turnsAt.push(turns);
      },
      onStatus: (status) => {
        if (status === 'in-sync') stop.abort();
      },
    },
    stop.signal,
  );
  assert.equal(
    told.slice(1).reduce((sum, length) => sum + length, 0),
    1000,
  );
  assert.ok(new Set(turnsAt).size >= 8, `told in turns ${turnsAt}`);
});

test('resources are told as they are stored, before what becomes of them, also those of which nothing does', async () => {
  const stop = new AbortController();
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'a', name: 'web' },
    spec: 'broken',
  };
  const key = { kind: 'Service', namespace: 'a', name: 'web' } as const;
  const lists: Stored[][] = [[{ key, resource: service, revision }, ...namespaces(1)], []];
  const told: string[] = [];
  const store = {
    ...storeOf([]),
    snapshot: async () => ({ items: lists.shift() ?? [], revision }),
    watch: async function* () {
      if (lists.length > 0) throw new RevisionGoneError('compacted');
      yield [{ type: 'delete', key: { kind: 'Pod', namespace: 'a', name: 'p' }, revision }] as const;
      stop.abort();
    },
  };
  await new StoreSyncer(store).run(
    {
      onResources: (changes) =>
        told.push(
          ...changes.map((change) => `${change.key.name} ${change.resource === null ? 'gone' : 'there'}`),
        ),
      onUpdates: (updates) =>
        told.push(...updates.map(({ kind, value }) => `${kind} ${value ? 'there' : 'gone'}`)),
      onStatus: (status) => {
        if (status === 'resync') told.length = told.length === 4 ? 0 : told.length; // the built-in ones
      },
    },
    stop.signal,
  );
  assert.deepEqual(told, [
    'web there',
    'ns-0 there',
    'Profile there',
    'web gone',
    'ns-0 gone',
    'Profile gone', // and nothing of p, which was never told
  ]);
});

test('the store is compared with what is known of it also where nobody wants to hear the result', async () => {
  const stop = new AbortController();
  const told: string[] = [];
  const lists = [namespaces(2), namespaces(1)];
  const store = {
    ...storeOf([]),
    snapshot: async () => ({ items: (lists.length > 1 ? lists.shift() : lists[0]) ?? [], revision }),
  };
  const late = setTimeout(() => stop.abort(), 5000);
  await new StoreSyncer(store, { auditMs: 5 }).run(
    {
      onResources: (changes) => {
        told.push(...changes.map(({ key, resource }) => `${key.name} ${resource ? 'there' : 'gone'}`));
        if (told.length === 3) stop.abort();
      },
      onUpdates: () => {},
      onStatus: () => {},
    },
    stop.signal,
  );
  clearTimeout(late);
  assert.deepEqual(told, ['ns-0 there', 'ns-1 there', 'ns-1 gone']);
});
