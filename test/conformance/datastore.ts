// SPDX-License-Identifier: Apache-2.0
/**
 * What every datastore must do, whichever back end keeps the data. Each back end's test calls `datastoreConformance`
 * with a way to open it. A server that validates what it is given (Kubernetes) passes too: objects are valid, namespaces
 * are there before they are used, and each case looks at its own objects alone, whose names begin with `x-`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Datastore, Stored, WatchEvent, Write } from '../../src/contract/datastore.ts';
import { parsePosition, reached } from '../../src/contract/revision.ts';
import type { Revision } from '../../src/lib/brand.ts';
import {
  AlreadyExistsError,
  type AppError,
  ConflictError,
  NotFoundError,
  RevisionGoneError,
  UnavailableError,
} from '../../src/lib/errors.ts';
import { calicoVersion, keyPath } from '../../src/model/kinds.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../src/model/types.ts';

export interface DatastoreRig extends AsyncDisposable {
  readonly store: Datastore;
  /** A second client, as another process would have it. */
  reopen(): Promise<Datastore>;
  /** Takes the history before now away. */
  compact(): Promise<void>;
  /** Ends the server and starts it again with what it had stored; null: there is no server. */
  readonly restart: (() => Promise<void>) | null;
}

type Case = (rig: DatastoreRig) => Promise<void>;

const cases: readonly (readonly [string, Case])[] = [
  ['create stores, and answers uid, creation time and revision', createStores],
  ['create refuses a taken key and changes nothing', createRefuses],
  ['update is compare-and-swap', updateIsCompareAndSwap],
  ['update keeps uid and creation time', updateKeepsIdentity],
  ['delete removes, with and without a wanted revision', deleteRemoves],
  ['what is created again is another object', createdAgainIsAnother],
  ['writeAll is all or nothing', writeAllIsAllOrNothing],
  ['writeAll creates, updates and deletes at once', writeAllMixes],
  ['lists are by namespace, then name; snapshot and index hold the same', listsAreOrdered],
  ['a watch gives every change after its revision, in order', watchGivesAll],
  ['a watch hears another client', watchHearsOthers],
  ['every batch of a watch ends with a bookmark that has reached its events', batchesEndWithBookmarks],
  ['a watch may begin at the bookmark of another', bookmarksCarryOn],
  ['a watcher soon reaches the position, also when it was quiet', positionIsReached],
  ['a watch ends when its reader does not want it any more', watchEnds],
  ['a compacted or unknown revision asks for a new list', compactionAsksForList],
  ['a restart loses nothing, and clients go on', restartLosesNothing],
  ['concurrent writers lose no update', concurrentWriters],
  ['changes of one key are told in order, whoever makes them', keysAreOrdered],
  ['10,000 objects: lists and watch agree', tenThousandObjects],
  ['objects of up to a megabyte come back as they were', largeObjects],
  ['texts of any language come back as they were', unicodeTexts],
  ['absent and empty lists stay different', absentIsNotEmpty],
  ['use after close says so', useAfterClose],
];

export function datastoreConformance(
  name: string,
  makeRig: () => Promise<DatastoreRig>,
  wanted: (title: string) => boolean = () => true,
): void {
  for (const [title, run] of cases.filter(([title]) => wanted(title))) {
    test(`${name}: ${title}`, { timeout: 120_000 }, async (t) => {
      await using rig = await makeRig();
      if (run === restartLosesNothing && !rig.restart) t.skip('there is no server to restart');
      else await run(rig);
    });
  }
}

/** Not on Kubernetes, which prunes what its schemas do not name. */
export async function keepsUnknownFields({ store }: Pick<DatastoreRig, 'store'>): Promise<void> {
  const from = tier('x-a', 1);
  const strange = {
    ...from,
    spec: { order: 1, fromTheFuture: { deep: [null, 1, 'x'] } },
    status: { ok: true },
  };
  const { resource } = await store.create(tierKey('x-a'), strange);
  assert.deepEqual(resource.spec, strange.spec);
  assert.deepEqual((await store.get(tierKey('x-a'))).resource.status, strange.status);
}

export function tierKey(name: string): ResourceKey {
  return { kind: 'Tier', name };
}

export function tier(name: string, order: number): Resource {
  return { apiVersion: calicoVersion, kind: 'Tier', metadata: { name }, spec: { order } };
}

function networkSet(namespace: string, name: string): Resource {
  return { apiVersion: calicoVersion, kind: 'NetworkSet', metadata: { name, namespace }, spec: { nets: [] } };
}

function globalNetworkSet(name: string, nets: readonly string[]): Resource {
  return { apiVersion: calicoVersion, kind: 'GlobalNetworkSet', metadata: { name }, spec: { nets } };
}

function globalPolicy(name: string, ingress: readonly object[]): Resource {
  const spec = { tier: 'default', types: ['Ingress'], ingress };
  return { apiVersion: calicoVersion, kind: 'GlobalNetworkPolicy', metadata: { name }, spec };
}

async function makeNamespace(store: Datastore, name: string): Promise<void> {
  const resource = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await store.create({ kind: 'Namespace', name }, resource);
}

const orderOf = (resource: Resource) => (resource.spec as { order: number }).order;
const isOwn = ({ kind, name }: ResourceKey) => kind !== 'Namespace' && name.startsWith('x-');
const keyOfEvent = (event: WatchEvent) =>
  event.type === 'bookmark' ? null : event.type === 'put' ? event.stored.key : event.key;
const isOwnEvent = (event: WatchEvent) => {
  const key = keyOfEvent(event);
  return key !== null && isOwn(key);
};
const eventText = (event: WatchEvent) =>
  event.type === 'put'
    ? `put ${event.stored.key.name} ${orderOf(event.stored.resource)}`
    : event.type === 'delete'
      ? `delete ${event.key.name}`
      : 'bookmark';

function ownNames(items: readonly { readonly key: ResourceKey }[]): string[] {
  return items
    .map(({ key }) => key)
    .filter(isOwn)
    .map(({ name }) => name);
}

function withoutVersion({ resource }: Stored): Resource {
  const { resourceVersion: _, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

/** Reads until `count` of our own changes came. */
export async function take(store: Datastore, from: Revision, count: number): Promise<WatchEvent[]> {
  const taken: WatchEvent[] = [];
  for await (const batch of batches(store, from)) {
    taken.push(...batch.filter(isOwnOrTier));
    if (taken.length >= count) break;
  }
  return taken;
}

const isOwnOrTier = (event: WatchEvent) => isOwnEvent(event) || keyOfEvent(event)?.kind === 'Tier';

async function* batches(store: Datastore, from: Revision): AsyncGenerator<readonly WatchEvent[]> {
  const stop = new AbortController();
  try {
    yield* store.watch(from, stop.signal);
  } finally {
    stop.abort();
  }
}

// ---- one object ------------------------------------------------------------------------------------------------------

async function createStores({ store }: DatastoreRig): Promise<void> {
  const created = await store.create(tierKey('x-a'), tier('x-a', 1));
  const read = await store.get(tierKey('x-a'));
  assert.deepEqual(read, created);
  assert.equal(read.resource.metadata.resourceVersion, read.revision);
  assert.equal(orderOf(read.resource), 1);
  assert.match(read.resource.metadata.uid ?? '', /^[0-9a-f-]{36}$/);
  assert.match(read.resource.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT[\d:]{8}Z$/);
}

async function createRefuses({ store }: DatastoreRig): Promise<void> {
  await store.create(tierKey('x-a'), tier('x-a', 1));
  await assert.rejects(store.create(tierKey('x-a'), tier('x-a', 2)), AlreadyExistsError);
  assert.equal(orderOf((await store.get(tierKey('x-a'))).resource), 1);
}

async function updateIsCompareAndSwap({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('x-a'), tier('x-a', 1));
  const second = await store.update(tierKey('x-a'), tier('x-a', 2), first.revision);
  assert.notEqual(second.revision, first.revision);
  assert.deepEqual(await store.get(tierKey('x-a')), second);
  await assert.rejects(store.update(tierKey('x-a'), tier('x-a', 3), first.revision), ConflictError);
  assert.equal(orderOf((await store.get(tierKey('x-a'))).resource), 2);
  await assert.rejects(store.update(tierKey('x-b'), tier('x-b', 3), first.revision), NotFoundError);
  await assert.rejects(store.get(tierKey('x-b')), NotFoundError);
}

async function updateKeepsIdentity({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('x-a'), tier('x-a', 1));
  const forged = {
    ...tier('x-a', 2),
    metadata: {
      name: 'x-a',
      uid: '00000000-0000-4000-8000-000000000000',
      creationTimestamp: '2001-01-01T00:00:00Z',
    },
  };
  const second = await store.update(tierKey('x-a'), forged, first.revision);
  assert.equal(second.resource.metadata.uid, first.resource.metadata.uid);
  assert.equal(second.resource.metadata.creationTimestamp, first.resource.metadata.creationTimestamp);
}

async function deleteRemoves({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('x-a'), tier('x-a', 1));
  const second = await store.update(tierKey('x-a'), tier('x-a', 2), first.revision);
  await assert.rejects(store.delete(tierKey('x-a'), first.revision), ConflictError);
  await store.delete(tierKey('x-a'), second.revision);
  await assert.rejects(store.get(tierKey('x-a')), NotFoundError);
  await assert.rejects(store.delete(tierKey('x-a')), NotFoundError);
  await assert.rejects(store.delete(tierKey('x-a'), second.revision), NotFoundError);
  await store.create(tierKey('x-a'), tier('x-a', 3));
  await store.delete(tierKey('x-a'));
  assert.deepEqual(ownNames((await store.list('Tier')).items), []);
}

async function createdAgainIsAnother({ store }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('x-a'), tier('x-a', 1));
  await store.delete(tierKey('x-a'));
  const second = await store.create(tierKey('x-a'), tier('x-a', 1));
  assert.notEqual(second.resource.metadata.uid, first.resource.metadata.uid);
  await assert.rejects(store.update(tierKey('x-a'), tier('x-a', 2), first.revision), ConflictError);
  assert.deepEqual((await take(store, first.revision, 2)).map(eventText), ['delete x-a', 'put x-a 1']);
}

/** Of rules: of a set, which nets are, a Kubernetes API keeps every item once more, under its manager. */
async function largeObjects({ store }: DatastoreRig): Promise<void> {
  const { revision } = await store.snapshot();
  for (const [name, count] of [
    ['x-some', 100],
    ['x-many', 1_020],
  ] as const) {
    const ingress = Array.from({ length: count }, (_, i) => ({
      action: 'Allow',
      source: { selector: `has(x${i}) || role == '${'y'.repeat(930)}'` },
    }));
    await store.create({ kind: 'GlobalNetworkPolicy', name }, globalPolicy(name, ingress));
    const read = await store.get({ kind: 'GlobalNetworkPolicy', name });
    assert.deepEqual((read.resource.spec as { ingress: object[] }).ingress, ingress);
  }
  const many = await store.get({ kind: 'GlobalNetworkPolicy', name: 'x-many' });
  assert.ok(JSON.stringify(many).length > 950_000);
  assert.equal((await take(store, revision, 2)).length, 2);
}

async function unicodeTexts({ store }: DatastoreRig): Promise<void> {
  const annotations = {
    'muslin.dev/a': 'żółw 🐢 漢字 עברית \u2028 "quoted" \\ / \t\n',
    'muslin.dev/b': '',
    'muslin.dev/c': '\u{10FFFF}\uFFFD é e\u0301',
  };
  const resource = { ...tier('x-a', 1), metadata: { name: 'x-a', annotations } };
  const created = await store.create(tierKey('x-a'), resource);
  assert.deepEqual(created.resource.metadata.annotations, annotations);
  assert.deepEqual((await store.get(tierKey('x-a'))).resource.metadata.annotations, annotations);
}

async function absentIsNotEmpty({ store }: DatastoreRig): Promise<void> {
  const policy = (name: string, rules: object): Resource => ({
    apiVersion: calicoVersion,
    kind: 'GlobalNetworkPolicy',
    metadata: { name },
    spec: { tier: 'default', selector: 'all()', types: ['Ingress', 'Egress'], ...rules },
  });
  for (const [name, rules] of [
    ['x-absent', {}],
    ['x-empty', { ingress: [], egress: [] }],
  ] as const) {
    const key = { kind: 'GlobalNetworkPolicy', name } as const;
    await store.create(key, policy(name, rules));
    const { ingress, egress } = (await store.get(key)).resource.spec as { [field: string]: unknown };
    assert.deepEqual(JSON.parse(JSON.stringify({ ingress, egress })), rules);
  }
}

// ---- several at once -------------------------------------------------------------------------------------------------

function createTier(name: string, order = 9): Write {
  return { op: 'create', key: tierKey(name), resource: tier(name, order) };
}

async function writeAllIsAllOrNothing({ store }: DatastoreRig): Promise<void> {
  const taken = await store.create(tierKey('x-taken'), tier('x-taken', 1));
  const before = await store.snapshot();
  const refusals: [Write, new (message: string) => AppError][] = [
    [createTier('x-taken'), AlreadyExistsError],
    [{ op: 'delete', key: tierKey('x-none') }, NotFoundError],
    [
      { op: 'update', key: tierKey('x-none'), resource: tier('x-none', 1), ifRevision: taken.revision },
      NotFoundError,
    ],
  ];
  for (const [refused, error] of refusals)
    await assert.rejects(store.writeAll([createTier('x-1'), refused, createTier('x-2')]), error);
  const after = await store.snapshot();
  assert.deepEqual(ownNames(after.items), ['x-taken']);
  if (store.writesAtomically) assert.equal(after.revision, before.revision);
  const stored = await store.writeAll([createTier('x-1'), createTier('x-2')]);
  assert.deepEqual(ownNames(stored), ['x-1', 'x-2']);
}

async function writeAllMixes({ store }: DatastoreRig): Promise<void> {
  const old = await store.create(tierKey('x-old'), tier('x-old', 1));
  const changed = await store.create(tierKey('x-changed'), tier('x-changed', 1));
  const stored = await store.writeAll([
    createTier('x-new', 3),
    { op: 'update', key: changed.key, resource: tier('x-changed', 2), ifRevision: changed.revision },
    { op: 'delete', key: old.key, ifRevision: old.revision },
  ]);
  assert.deepEqual(
    stored.map(({ key, resource }) => `${key.name} ${orderOf(resource)}`),
    ['x-new 3', 'x-changed 2'],
  );
  assert.deepEqual(ownNames((await store.list('Tier')).items), ['x-changed', 'x-new']);
  const stale = { op: 'delete', key: changed.key, ifRevision: changed.revision } as const;
  await assert.rejects(store.writeAll([createTier('x-later'), stale]), ConflictError);
  assert.deepEqual(ownNames((await store.list('Tier')).items), ['x-changed', 'x-new']);
}

async function listsAreOrdered({ store }: DatastoreRig): Promise<void> {
  await Promise.all(['x-b', 'x-a', 'x-a-b'].map((name) => makeNamespace(store, name)));
  const set = (namespace: string, name: string) =>
    store.create({ kind: 'NetworkSet', namespace, name }, networkSet(namespace, name));
  await Promise.all([set('x-b', 'x-z'), set('x-a-b', 'x-y'), set('x-a', 'x-y'), set('x-b', 'x-a')]);
  await store.create(tierKey('x-t'), tier('x-t', 1));
  const names = (items: readonly Stored[]) => items.map(({ key }) => `${key.namespace}/${key.name}`);
  assert.deepEqual(names((await store.list('NetworkSet')).items), [
    'x-a/x-y',
    'x-a-b/x-y',
    'x-b/x-a',
    'x-b/x-z',
  ]);
  assert.deepEqual(names((await store.list('NetworkSet', 'x-b')).items), ['x-b/x-a', 'x-b/x-z']);
  assert.deepEqual(names((await store.list('NetworkSet', 'x-none')).items), []);
  const { items } = await store.snapshot();
  assert.deepEqual(new Set(ownNames(items)), new Set(['x-y', 'x-z', 'x-a', 'x-t']));
  const index = await store.index?.();
  if (!index) return;
  const text = (each: { key: ResourceKey; revision: Revision }) => `${keyPath(each.key)} ${each.revision}`;
  assert.deepEqual(new Set(index.items.map(text)), new Set(items.map(text)));
}

// ---- watches ---------------------------------------------------------------------------------------------------------

async function watchGivesAll({ store }: DatastoreRig): Promise<void> {
  const a = await store.create(tierKey('x-a'), tier('x-a', 1));
  const { revision } = await store.list('Tier');
  await store.create(tierKey('x-b'), tier('x-b', 1));
  await store.update(tierKey('x-a'), tier('x-a', 2), a.revision);
  await store.delete(tierKey('x-b'));
  const texts = (await take(store, revision, 3)).map(eventText);
  assert.deepEqual(texts, ['put x-b 1', 'put x-a 2', 'delete x-b']);
}

async function watchHearsOthers({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const { revision } = await store.snapshot();
  const heard = take(store, revision, 2);
  await other.create(tierKey('x-a'), tier('x-a', 1));
  await other.create(tierKey('x-b'), tier('x-b', 7));
  assert.deepEqual((await heard).map(eventText), ['put x-a 1', 'put x-b 7']);
}

async function batchesEndWithBookmarks({ store }: DatastoreRig): Promise<void> {
  const { revision } = await store.snapshot();
  const writing = (async () => {
    for (let i = 0; i < 20; i++) await store.create(tierKey(`x-${i}`), tier(`x-${i}`, i));
  })();
  let position = revision;
  let count = 0;
  for await (const batch of batches(store, revision)) {
    const last = batch.at(-1);
    assert.equal(last?.type, 'bookmark');
    if (last?.type !== 'bookmark') return;
    assert.ok(reached(last.revision, position), `${last.revision} after ${position}`);
    position = last.revision;
    const own = batch.filter((event) => event.type === 'put').filter(isOwnEvent);
    for (const { stored } of own) assert.ok(hasPassed(position, stored), `${position} ${stored.revision}`);
    count += own.length;
    if (count === 20) break;
  }
  await writing;
}

/** An object's revision is a number of its kind's order. */
function hasPassed(position: Revision, { key, revision }: Stored): boolean {
  const kindRevision = typeof parsePosition(position) === 'bigint' ? revision : `${key.kind}=${revision}`;
  return reached(position, kindRevision as Revision);
}

async function bookmarksCarryOn({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const { revision } = await store.snapshot();
  for (const name of ['x-a', 'x-b', 'x-c']) await store.create(tierKey(name), tier(name, 1));
  let position = revision;
  const heard: string[] = [];
  for (const reader of [store, other, store]) {
    for await (const batch of batches(reader, position)) {
      heard.push(...batch.filter(isOwnEvent).map(eventText));
      const last = batch.at(-1);
      if (last?.type === 'bookmark') position = last.revision;
      if (heard.length > 0) break;
    }
    await store.create(tierKey(`x-${heard.length}`), tier(`x-${heard.length}`, 2));
  }
  assert.deepEqual(new Set(heard).size, heard.length, 'nothing is told twice');
  for (const name of ['x-a', 'x-b', 'x-c']) assert.ok(heard.includes(`put ${name} 1`), heard.join());
}

async function positionIsReached({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const { revision } = await store.snapshot();
  let position = revision;
  const stop = new AbortController();
  const watching = (async () => {
    for await (const batch of store.watch(revision, stop.signal)) {
      const last = batch.at(-1);
      if (last?.type === 'bookmark') position = last.revision;
    }
  })();
  const wait = async (wanted: Revision) => {
    for (const end = performance.now() + 20_000; !reached(position, wanted); await delay(20))
      assert.ok(performance.now() < end, `got ${position}, want ${wanted}`);
  };
  // where each kind has an order of its own, one that is quiet tells nothing: the syncer asks a list (syncer.ts, audit)
  const kinds: ResourceKind[] = store.writesAtomically ? ['Tier', 'NetworkSet'] : ['Tier'];
  await wait(await store.position(kinds));
  await other.create(tierKey('x-a'), tier('x-a', 1));
  await wait(await store.position(kinds));
  await other.delete(tierKey('x-a'));
  await wait(await other.position(['Tier']));
  await delay(300);
  await wait(await store.position(['Tier']));
  stop.abort();
  await watching;
}

async function watchEnds({ store }: DatastoreRig): Promise<void> {
  const { revision } = await store.snapshot();
  const stop = new AbortController();
  const ended = (async () => {
    for await (const _ of store.watch(revision, stop.signal));
  })();
  await delay(50);
  stop.abort();
  await ended;
  for await (const _ of store.watch(revision, stop.signal)) assert.fail('an aborted signal watches nothing');
}

// ---- history ---------------------------------------------------------------------------------------------------------

async function compactionAsksForList({ store, compact }: DatastoreRig): Promise<void> {
  const first = await store.create(tierKey('x-a'), tier('x-a', 0));
  const { revision: old } = await store.list('Tier');
  let { revision } = first;
  for (let i = 1; i <= 5; i++)
    revision = (await store.update(tierKey('x-a'), tier('x-a', i), revision)).revision;
  await compact();
  await assert.rejects(take(store, old, 1), RevisionGoneError);
  const listed = await store.list('Tier');
  await assert.rejects(take(store, `${listed.revision}999` as Revision, 1), RevisionGoneError);
  const heard = take(store, (await store.snapshot()).revision, 1);
  await store.delete(tierKey('x-a'));
  assert.deepEqual((await heard).map(eventText), ['delete x-a']);
}

async function restartLosesNothing({ store, reopen, restart }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const before = await store.create(tierKey('x-a'), tier('x-a', 1));
  let position = (await store.snapshot()).revision;
  const heard: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      try {
        for await (const batch of store.watch(position, stop.signal)) {
          heard.push(...batch.filter(isOwnEvent).map(eventText));
          const last = batch.at(-1);
          if (last?.type === 'bookmark') position = last.revision;
        }
      } catch (error) {
        assert.ok(error instanceof UnavailableError, String(error));
        await delay(100);
      }
    }
  })();
  await other.create(tierKey('x-b'), tier('x-b', 2));
  await restart?.();
  assert.deepEqual(withoutVersion(await again(() => store.get(tierKey('x-a')))), withoutVersion(before));
  await again(() => other.create(tierKey('x-c'), tier('x-c', 3)));
  for (const end = performance.now() + 30_000; heard.length < 2; await delay(20))
    assert.ok(performance.now() < end, `heard ${heard.join()}`);
  stop.abort();
  await watching;
  assert.deepEqual(heard, ['put x-b 2', 'put x-c 3']);
}

/** Until the server is back. */
async function again<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof UnavailableError) || tries === 100) throw error;
      await delay(100);
    }
  }
}

// ---- many ------------------------------------------------------------------------------------------------------------

async function increment(store: Datastore, key: ResourceKey): Promise<void> {
  for (;;) {
    const { resource, revision } = await store.get(key);
    try {
      await store.update(key, tier(key.name, orderOf(resource) + 1), revision);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

async function concurrentWriters({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  await store.create(tierKey('x-a'), tier('x-a', 0));
  const writers = [store, other, store, other, store, other, store, other];
  await Promise.all(
    writers.map(async (through) => {
      for (let i = 0; i < 5; i++) await increment(through, tierKey('x-a'));
    }),
  );
  assert.equal(orderOf((await store.get(tierKey('x-a'))).resource), 40);
}

async function keysAreOrdered({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const names = ['x-a', 'x-b', 'x-c'];
  const { revision } = await store.snapshot();
  const heard = take(store, revision, 3 * 31);
  await Promise.all(names.map((name) => store.create(tierKey(name), tier(name, 0))));
  const writers = names.flatMap((name) => [store, other].map((through) => ({ name, through })));
  await Promise.all(
    writers.map(async ({ name, through }) => {
      for (let i = 0; i < 15; i++) await increment(through, tierKey(name));
    }),
  );
  const texts = (await heard).map(eventText);
  for (const name of names) {
    const wanted = Array.from({ length: 31 }, (_, i) => `put ${name} ${i}`);
    assert.deepEqual(
      texts.filter((text) => text.startsWith(`put ${name} `)),
      wanted,
    );
  }
}

const manyObjects = 10_000;

async function tenThousandObjects({ store, reopen }: DatastoreRig): Promise<void> {
  await using other = await reopen();
  const { revision } = await store.snapshot();
  const names = Array.from({ length: manyObjects }, (_, i) => `x-${String(i).padStart(5, '0')}`);
  const heard = take(other, revision, manyObjects);
  for (let at = 0; at < names.length; at += 100) await createSets(store, names.slice(at, at + 100));
  const { items } = await store.list('GlobalNetworkSet');
  assert.deepEqual(ownNames(items), names);
  const everything = new Map((await other.snapshot()).items.map((item) => [keyPath(item.key), item]));
  const differing = items.filter(
    (item) => JSON.stringify(everything.get(keyPath(item.key))) !== JSON.stringify(item),
  );
  assert.deepEqual(differing, []);
  const told = new Set((await heard).map((event) => keyOfEvent(event)?.name));
  assert.equal(told.size, manyObjects);
}

/** In one transaction, where there are transactions. */
async function createSets(store: Datastore, names: readonly string[]): Promise<void> {
  const writes = names.map((name) => ({
    op: 'create' as const,
    key: { kind: 'GlobalNetworkSet', name } as const,
    resource: globalNetworkSet(name, ['10.0.0.0/8']),
  }));
  if (store.writesAtomically) await store.writeAll(writes);
  else await Promise.all(writes.map(({ key, resource }) => store.create(key, resource)));
}

async function useAfterClose({ reopen }: DatastoreRig): Promise<void> {
  const store = await reopen();
  await store.create(tierKey('x-a'), tier('x-a', 1));
  await store[Symbol.asyncDispose]();
  await assert.rejects(store.get(tierKey('x-a')), UnavailableError);
  await assert.rejects(store.create(tierKey('x-b'), tier('x-b', 1)), UnavailableError);
  await assert.rejects(take(store, '1' as Revision, 1), UnavailableError);
}
