// SPDX-License-Identifier: Apache-2.0
/**
 * What every datastore must do, whichever back end keeps the data. Each back end's test calls `datastoreConformance`
 * with a way to open it; `reopen` gives a second, independent client of the same data.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Datastore, WatchEvent } from '../../src/contract/datastore.ts';
import type { Revision } from '../../src/lib/brand.ts';
import { AlreadyExistsError, ConflictError, NotFoundError, RevisionGoneError } from '../../src/lib/errors.ts';
import type { Resource, ResourceKey } from '../../src/model/types.ts';

export interface DatastoreRig extends AsyncDisposable {
  readonly store: Datastore;
  /** A second client, as another process would have it. */
  reopen(): Promise<Datastore>;
  /** How many changes the store keeps for watchers; the suite writes more to see compaction. */
  readonly historyRevisions: number;
}

export function datastoreConformance(name: string, makeRig: () => Promise<DatastoreRig>): void {
  const cases: [string, (rig: DatastoreRig) => Promise<void>][] = [
    ['create stores, and answers uid, creation time and revision', createStores],
    ['create refuses a taken key and changes nothing', createRefuses],
    ['update is compare-and-swap', updateIsCompareAndSwap],
    ['update keeps uid and creation time', updateKeepsIdentity],
    ['delete removes, with and without a wanted revision', deleteRemoves],
    ['writeAll is all or nothing', writeAllIsAtomic],
    ['list and snapshot are ordered and consistent', listsAreOrdered],
    ['a watch gives every change after its revision, in order', watchGivesAll],
    ['a watch hears another client', watchHearsOthers],
    ['a compacted or unknown revision asks for a new list', compactionAsksForList],
    ['concurrent writers lose no update', concurrentWriters],
  ];
  for (const [title, run] of cases) {
    test(`${name}: ${title}`, async () => {
      await using rig = await makeRig();
      await run(rig);
    });
  }
}

export function tierKey(name: string): ResourceKey {
  return { kind: 'Tier', name };
}

export function tier(name: string, order: number): Resource {
  return { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name }, spec: { order } };
}

const orderOf = (resource: Resource) => (resource.spec as { order: number }).order;

async function createStores({ store }: DatastoreRig): Promise<void> {
  const created = await store.create(tierKey('a'), tier('a', 1));
  const read = await store.get(tierKey('a'));
  assert.deepEqual(read, created);
  assert.equal(read.resource.metadata.resourceVersion, read.revision);
  assert.match(read.resource.metadata.uid ?? '', /^[0-9a-f-]{36}$/);
  assert.match(read.resource.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT[\d:]{8}Z$/);
}

async function createRefuses({ store }: DatastoreRig): Promise<void> {
  await store.create(tierKey('a'), tier('a', 1));
  await assert.rejects(store.create(tierKey('a'), tier('a', 2)), AlreadyExistsError);
  assert.equal(orderOf((await store.get(tierKey('a'))).resource), 1);
}

async function updateIsCompareAndSwap({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('a'), tier('a', 1));
  const second = await store.update(tierKey('a'), tier('a', 2), first.revision);
  assert.notEqual(second.revision, first.revision);
  await assert.rejects(store.update(tierKey('a'), tier('a', 3), first.revision), ConflictError);
  assert.equal(orderOf((await store.get(tierKey('a'))).resource), 2);
  await assert.rejects(store.update(tierKey('b'), tier('b', 3), first.revision), NotFoundError);
}

async function updateKeepsIdentity({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('a'), tier('a', 1));
  const forged = { ...tier('a', 2), metadata: { name: 'a', uid: 'forged', creationTimestamp: 'never' } };
  const second = await store.update(tierKey('a'), forged, first.revision);
  assert.equal(second.resource.metadata.uid, first.resource.metadata.uid);
  assert.equal(second.resource.metadata.creationTimestamp, first.resource.metadata.creationTimestamp);
}

async function deleteRemoves({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('a'), tier('a', 1));
  const second = await store.update(tierKey('a'), tier('a', 2), first.revision);
  await assert.rejects(store.delete(tierKey('a'), first.revision), ConflictError);
  await store.delete(tierKey('a'), second.revision);
  await assert.rejects(store.get(tierKey('a')), NotFoundError);
  await assert.rejects(store.delete(tierKey('a')), NotFoundError);
}

async function writeAllIsAtomic({ store }: DatastoreRig): Promise<void> {
  await store.create(tierKey('taken'), tier('taken', 1));
  const before = (await store.snapshot()).revision;
  const writes = ['x', 'taken', 'y'].map((name) => ({
    op: 'create' as const,
    key: tierKey(name),
    resource: tier(name, 9),
  }));
  await assert.rejects(store.writeAll(writes), AlreadyExistsError);
  const after = await store.snapshot();
  assert.deepEqual(
    after.items.map((item) => item.key.name),
    ['taken'],
  );
  assert.equal(after.revision, before);
  const stored = await store.writeAll(writes.filter((write) => write.key.name !== 'taken'));
  assert.deepEqual(
    stored.map((item) => item.key.name),
    ['x', 'y'],
  );
}

async function listsAreOrdered({ store }: DatastoreRig): Promise<void> {
  const set = (namespace: string, name: string) =>
    store.create(
      { kind: 'NetworkSet', namespace, name },
      { apiVersion: 'projectcalico.org/v3', kind: 'NetworkSet', metadata: { name, namespace } },
    );
  await Promise.all([set('b', 'z'), set('a', 'y'), set('b', 'a'), store.create(tierKey('t'), tier('t', 1))]);
  const names = (items: readonly { key: ResourceKey }[]) =>
    items.map(({ key }) => `${key.namespace}/${key.name}`);
  assert.deepEqual(names((await store.list('NetworkSet')).items), ['a/y', 'b/a', 'b/z']);
  assert.deepEqual(names((await store.list('NetworkSet', 'b')).items), ['b/a', 'b/z']);
  const { items, revision } = await store.snapshot();
  assert.equal(items.length, 4);
  assert.ok(items.some((item) => item.revision === revision));
}

/** Reads until `count` events other than bookmarks came. */
export async function take(store: Datastore, from: Revision, count: number): Promise<WatchEvent[]> {
  const stop = new AbortController();
  const taken: WatchEvent[] = [];
  for await (const events of store.watch(from, stop.signal)) {
    taken.push(...events.filter((event) => event.type !== 'bookmark'));
    if (taken.length >= count) break;
  }
  stop.abort();
  return taken;
}

const eventText = (event: WatchEvent) =>
  event.type === 'put' ? `put ${event.stored.key.name} ${orderOf(event.stored.resource)}` : event.type;

async function watchGivesAll({ store }: DatastoreRig): Promise<void> {
  const a = await store.create(tierKey('a'), tier('a', 1));
  await store.create(tierKey('b'), tier('b', 1));
  await store.update(tierKey('a'), tier('a', 2), a.revision);
  await store.delete(tierKey('b'));
  assert.deepEqual((await take(store, a.revision, 3)).map(eventText), ['put b 1', 'put a 2', 'delete']);
}

async function watchHearsOthers({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const { revision } = await store.snapshot();
  const heard = take(store, revision, 2);
  await other.create(tierKey('a'), tier('a', 1));
  await other.create(tierKey('b'), tier('b', 7));
  assert.deepEqual((await heard).map(eventText), ['put a 1', 'put b 7']);
}

async function compactionAsksForList({ store, historyRevisions }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('a'), tier('a', 0));
  let { revision } = first;
  for (let i = 1; i <= 2 * historyRevisions; i++) {
    revision = (await store.update(tierKey('a'), tier('a', i), revision)).revision;
  }
  await assert.rejects(take(store, first.revision, 1), RevisionGoneError);
  await assert.rejects(take(store, `${revision}999` as Revision, 1), RevisionGoneError);
  await store.delete(tierKey('a'));
  assert.equal((await take(store, revision, 1)).length, 1);
}

async function concurrentWriters({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  await store.create(tierKey('a'), tier('a', 0));
  const increment = async (through: Datastore): Promise<void> => {
    const { resource, revision } = await through.get(tierKey('a'));
    try {
      await through.update(tierKey('a'), tier('a', orderOf(resource) + 1), revision);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      await increment(through);
    }
  };
  await Promise.all(Array.from({ length: 40 }, (_, i) => increment(i % 2 ? store : other)));
  assert.equal(orderOf((await store.get(tierKey('a'))).resource), 40);
}
