// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { WatchEvent } from '../../src/contract/datastore.ts';
import { reached } from '../../src/contract/revision.ts';
import type { EtcdConfig, StrangeEntry } from '../../src/datastore/config.ts';
import { EtcdStore } from '../../src/datastore/etcd/store.ts';
import {
  ForbiddenError,
  InvalidError,
  NotFoundError,
  RevisionGoneError,
  UnavailableError,
  UnsupportedError,
} from '../../src/lib/errors.ts';
import { Secret } from '../../src/lib/secret.ts';
import { EtcdCluster } from '../support/etcd.ts';
import {
  type DatastoreRig,
  datastoreConformance,
  keepsUnknownFields,
  take,
  tier,
  tierKey,
} from './datastore.ts';

const password = 'hunter2-correct-horse';
let single: EtcdCluster;
let secured: EtcdCluster;
let three: EtcdCluster;
before(async () => {
  [single, secured, three] = await Promise.all([
    EtcdCluster.start(),
    EtcdCluster.start({ isTls: true }),
    EtcdCluster.start({ members: 3 }),
  ]);
  secured.enableUsers(password);
});
after(() => Promise.all([single, secured, three].map((cluster) => cluster[Symbol.asyncDispose]())));

/** Empty again, on the same server. */
async function rigOn(cluster: EtcdCluster): Promise<DatastoreRig> {
  cluster.etcdctl('del', '--prefix', '/calico/');
  const store = cluster.open();
  return {
    store,
    reopen: async () => cluster.open(),
    compact: () => cluster.compact(),
    restart: () => cluster.restart(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

const isLarge = (title: string) => /10,000|megabyte/.test(title);
datastoreConformance('etcd', () => rigOn(single));
datastoreConformance(
  'etcd with TLS and users',
  () => rigOn(secured),
  (title) => !isLarge(title),
);
datastoreConformance(
  'etcd of three members',
  () => rigOn(three),
  (title) => /watch|restart|concurrent|position|order/.test(title) && !isLarge(title),
);

test('etcd: unknown fields are kept', async () => {
  await using rig = await rigOn(single);
  await keepsUnknownFields(rig);
});

// ---- what others wrote ------------------------------------------------------------------------------------------------

test("etcd: what Calico's tools wrote is read as it is, and changed without loss", async () => {
  await using rig = await rigOn(single);
  const path = '/calico/resources/v3/projectcalico.org/networkpolicies/ns1/default.web';
  const value = {
    kind: 'NetworkPolicy',
    apiVersion: 'projectcalico.org/v3',
    metadata: {
      name: 'default.web',
      namespace: 'ns1',
      uid: 'ab',
      creationTimestamp: '2020-01-01T00:00:00Z',
    },
    spec: { tier: 'default', selector: 'all()', types: ['Ingress'], fromTheFuture: [1] },
  };
  single.etcdctl('put', path, JSON.stringify(value));
  const key = { kind: 'NetworkPolicy', namespace: 'ns1', name: 'default.web' } as const;
  const { resource, revision } = await rig.store.get(key);
  assert.deepEqual(resource, {
    ...value,
    metadata: { ...value.metadata, resourceVersion: revision },
  });
  const labelled = { ...resource, metadata: { ...resource.metadata, labels: { a: 'b' } } };
  await rig.store.update(key, labelled, revision);
  const [, text = ''] = single.etcdctl('get', path).split('\n');
  assert.deepEqual(JSON.parse(text), { ...value, metadata: { ...value.metadata, labels: { a: 'b' } } });
});

test('etcd: garbage and keys of others stop nobody, and are told once', async () => {
  await using _ = await rigOn(single);
  const told: StrangeEntry[] = [];
  await using store = new EtcdStore(single.config, { onStrange: (entry) => told.push(entry) });
  await store.create(tierKey('good'), tier('good', 1));
  const { revision } = await store.snapshot();
  const tiers = '/calico/resources/v3/projectcalico.org/tiers';
  for (const [key, value] of [
    [`${tiers}/bad`, '{"spec": '],
    [`${tiers}/a/b`, '{}'],
    ['/calico/v1/felix/node1', 'up'],
    ['/calico/v1/felix/node2', 'up'],
    ['/elsewhere', 'not watched'],
  ] as const)
    single.etcdctl('put', key, value);
  const events = await take(store, revision, 1);
  for (const { items } of [await store.snapshot(), await store.list('Tier')])
    assert.deepEqual(
      items.map(({ key, resource }) => `${key.name} ${resource.apiVersion}`),
      ['bad ', 'good projectcalico.org/v3'],
    );
  assert.equal(events[0]?.type, 'put');
  assert.deepEqual(
    told.map(({ where }) => where),
    [`${tiers}/a/b`, '/calico/v1/felix/node1'],
  );
});

test('etcd: a watcher reaches the position also while only others write', async () => {
  await using rig = await rigOn(single);
  const { revision } = await rig.store.snapshot();
  const stop = new AbortController();
  let position = revision;
  const watching = (async () => {
    for await (const batch of rig.store.watch(revision, stop.signal)) {
      const last = batch.at(-1);
      if (last?.type === 'bookmark') position = last.revision;
    }
  })();
  for (let i = 0; i < 3; i++) {
    single.etcdctl('put', '/elsewhere', String(i));
    const wanted = await rig.store.position([]);
    for (const end = performance.now() + 5000; !reached(position, wanted); await delay(20))
      assert.ok(performance.now() < end, `got ${position}, want ${wanted}`);
  }
  stop.abort();
  await watching;
});

test('etcd: changes larger than a message are told in parts, and handed on whole', async () => {
  await using rig = await rigOn(single);
  const { revision } = await rig.store.snapshot();
  const note = 'x'.repeat(900_000);
  for (let i = 0; i < 6; i++) {
    const resource = { ...tier(`x-${i}`, i), metadata: { name: `x-${i}`, annotations: { note } } };
    await rig.store.create(tierKey(`x-${i}`), resource);
  }
  const names = (await take(rig.store, revision, 6)).map(nameOf);
  assert.deepEqual(names, ['x-0', 'x-1', 'x-2', 'x-3', 'x-4', 'x-5']);
});

const nameOf = (event: WatchEvent) => (event.type === 'put' ? event.stored.key.name : event.type);

test('etcd: an affinity is found though its name does not say where its node ends', async () => {
  await using rig = await rigOn(single);
  const affinity = (node: string, cidr: string) => ({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BlockAffinity',
    metadata: { name: 'node-a-fd00---122' },
    spec: { state: 'confirmed', node, cidr, deleted: false },
  });
  const key = { kind: 'BlockAffinity', name: 'node-a-fd00---122' } as const;
  const created = await rig.store.create(key, affinity('node', 'a:fd00::/122'));
  assert.deepEqual(await rig.store.get(key), created);
  const { items } = await rig.store.list('BlockAffinity');
  assert.deepEqual(items, [created]);
  await rig.store.delete(key, created.revision);
  await assert.rejects(rig.store.get(key), NotFoundError);
  await assert.rejects(rig.store.delete(key), NotFoundError);
});

// ---- limits -------------------------------------------------------------------------------------------------------------

const creations = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    op: 'create' as const,
    key: tierKey(`x-${i}`),
    resource: tier(`x-${i}`, i),
  }));

test('etcd: a transaction of more objects than the server takes is refused, with its limit, and nothing written', async () => {
  await using rig = await rigOn(single);
  await assert.rejects(
    rig.store.writeAll(creations(129)),
    (error) => error instanceof UnsupportedError && /129 objects.*--max-txn-ops \(128/.test(error.message),
  );
  assert.equal((await rig.store.snapshot()).items.length, 0);
  assert.equal((await rig.store.writeAll(creations(128))).length, 128);
});

test('etcd: an object of more than 1.5 MB is refused, with its size', async () => {
  await using rig = await rigOn(single);
  const large = {
    ...tier('x-a', 1),
    metadata: { name: 'x-a', annotations: { note: 'x'.repeat(1_600_000) } },
  };
  await assert.rejects(
    rig.store.create(tierKey('x-a'), large),
    (error) => error instanceof InvalidError && /got 16\d+ bytes, want at most 1500000/.test(error.message),
  );
});

test('etcd: one object twice in a transaction is refused', async () => {
  await using rig = await rigOn(single);
  await assert.rejects(
    rig.store.writeAll([...creations(1), { op: 'delete', key: tierKey('x-0') }]),
    UnsupportedError,
  );
});

// ---- who we are, and whom we ask ------------------------------------------------------------------------------------------

for (const endpoints of [
  [],
  ['10.0.0.1:2379'],
  ['ftp://a:1'],
  ['http://me:secret@a:1'],
  ['http://a:1/path'],
]) {
  test(`etcd: endpoints ${JSON.stringify(endpoints)} are refused`, () => {
    assert.throws(
      () => new EtcdStore({ type: 'etcd', endpoints }),
      (error) => error instanceof InvalidError && !/secret/.test(error.message),
    );
  });
}

test('etcd: an unreachable server is unavailable at once, and the next one is asked', async () => {
  const nobody = ['http://127.0.0.1:1', 'unix:///nowhere/etcd.sock'];
  await using store = new EtcdStore({ type: 'etcd', endpoints: nobody });
  const start = performance.now();
  await assert.rejects(
    store.snapshot(),
    (error) => error instanceof UnavailableError && /ENOENT|ECONNREFUSED/.test(error.message),
  );
  assert.ok(performance.now() - start < 2000);
  await using other = new EtcdStore({ type: 'etcd', endpoints: [...nobody, ...single.config.endpoints] });
  await other.snapshot();
  await assert.rejects(other.create(tierKey('x/y'), tier('x/y', 1)), InvalidError);
});

test('etcd: who may not, and who is not known, is told so, and no secret', async () => {
  const { endpoints, tls } = secured.config;
  const strangers: EtcdConfig[] = [
    { ...secured.config, password: new Secret(`${password}-wrong`) },
    { type: 'etcd', endpoints, ...(tls ? { tls } : {}) },
    { ...secured.config, tls: { ...(tls?.ca ? { ca: tls.ca } : {}) } },
  ];
  for (const config of strangers) {
    await using store = new EtcdStore(config);
    for (const call of [() => store.snapshot(), () => store.create(tierKey('x-a'), tier('x-a', 1))])
      await assert.rejects(call, (error) => error instanceof ForbiddenError && showsNoSecret(error));
    await assert.rejects(take(store, '1' as never, 1), ForbiddenError);
  }
});

test('etcd: a server whose certificate we do not trust is not asked, and no secret is shown', async () => {
  const { tls: _, ...config } = secured.config;
  await using store = new EtcdStore(config);
  await assert.rejects(
    store.snapshot(),
    (error) => error instanceof UnavailableError && showsNoSecret(error),
  );
  assert.ok(showsNoSecret(store), 'nor by printing the store');
  assert.ok(showsNoSecret(secured.config));
});

function showsNoSecret(value: unknown): boolean {
  const shown = `${String(value)} ${inspect(value, { depth: 20, showHidden: true })} ${JSON.stringify(value, null, 1)}`;
  const key = secured.config.tls?.key?.reveal().split('\n')[1] ?? 'no key';
  return ![password, key].some((secret) => shown.includes(secret));
}

test('etcd: another cluster behind the same name is another history', async () => {
  await using _ = await rigOn(single);
  await using other = await EtcdCluster.start();
  const both = [...single.config.endpoints, ...other.config.endpoints];
  await using store = new EtcdStore({ type: 'etcd', endpoints: both });
  await store.create(tierKey('x-a'), tier('x-a', 1));
  const { revision } = await store.snapshot();
  const heard = take(store, revision, 1);
  await delay(200);
  await single.members[0]?.kill();
  try {
    await assert.rejects(heard, RevisionGoneError);
    assert.equal((await store.snapshot()).items.length, 0);
  } finally {
    await single.restart();
  }
});
