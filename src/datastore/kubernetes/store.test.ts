// SPDX-License-Identifier: Apache-2.0
/** The store against a server that serves little, answers nonsense, or is an old one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  type FakeAnswer,
  type FakeAnswers,
  FakeApi,
  type FakeRequest,
} from '../../../test/support/fake-api.ts';
import type { Listed, WatchEvent } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { AppError } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import type { Resource } from '../../model/types.ts';
import { clusterAccess } from './access.ts';
import { Connection } from './connection.ts';
import { KubernetesStore } from './store.ts';

const tiers = '/apis/projectcalico.org/v3/tiers';
const oldTiers = '/apis/crd.projectcalico.org/v1/tiers';

/** A server of Tiers alone, and a store before it that waits a quarter of a second. */
async function scene(
  answers: FakeAnswers,
  { version = 'projectcalico.org/v3', prefix = '', discoveryMs = 15_000 } = {},
): Promise<AsyncDisposable & { readonly api: FakeApi; readonly store: KubernetesStore }> {
  const api = await FakeApi.start((request) => discovered(request, version, prefix) ?? answers(request));
  const access = { type: 'kubernetes', kubeconfig: [], server: `${api.url}${prefix}` } as const;
  const store = new KubernetesStore(new Connection(() => clusterAccess(access, {}), 250), { discoveryMs });
  return {
    api,
    store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

function discovered({ path }: FakeRequest, version: string, prefix: string): FakeAnswer | null {
  if (path === `${prefix}/apis/${version}`)
    return { body: { resources: [{ name: 'tiers', namespaced: false }] } };
  const isGroup =
    path.startsWith(prefix) && /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)$/.test(path.slice(prefix.length));
  return isGroup ? { status: 404, body: {} } : null;
}

function tier(name: string, resourceVersion = '5'): Resource {
  return { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name, resourceVersion } };
}

function list(items: unknown, resourceVersion = '9', more: object = {}): FakeAnswer {
  return { body: { items, metadata: { resourceVersion, ...more } } };
}

const event = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`;
const endOfList = event('BOOKMARK', {
  metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } },
});
const names = ({ items }: Listed) => items.map(({ key }) => key.name);

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => assert.fail('it was done'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AppError, inspect(error));
  return error;
}

async function firstBatch(store: KubernetesStore, from: string): Promise<readonly WatchEvent[]> {
  const stop = new AbortController();
  for await (const events of store.watch(from as Revision, stop.signal)) {
    stop.abort();
    return events;
  }
  return [];
}

test('a server with none of our kinds holds nothing; reading finds nothing, writing says what to install', async () => {
  await using at = await scene(() => ({ status: 404, body: {} }), { version: 'none/v1' });
  assert.deepEqual((await at.store.snapshot()).items, []);
  assert.deepEqual((await at.store.list('Tier')).items, []);
  assert.equal((await failure(at.store.get({ kind: 'Tier', name: 'a' }))).code, 'NOT_FOUND');
  const refused = await failure(at.store.create({ kind: 'Tier', name: 'a' }, tier('a')));
  assert.match(refused.message, /does not serve it; manifests\/crds\.yaml/);
});

test("Calico's older form is read and not written", async () => {
  await using at = await scene(({ path }) => (path === oldTiers ? list([tier('a')]) : { status: 404 }), {
    version: 'crd.projectcalico.org/v1',
  });
  assert.deepEqual(names(await at.store.list('Tier')), ['a']);
  assert.equal((await at.store.get({ kind: 'Tier', name: 'a' })).resource.apiVersion, 'projectcalico.org/v3');
  const refused = await failure(at.store.create({ kind: 'Tier', name: 'a' }, tier('a')));
  assert.match(refused.message, /got crd\.projectcalico\.org\/v1, which is only read/);
});

test('a server behind a gateway to many: every path is below its own', async () => {
  const prefix = '/k8s/clusters/c-1';
  await using at = await scene(
    ({ path }) => (path === prefix + tiers ? list([tier('a')]) : { status: 404 }),
    { prefix },
  );
  assert.deepEqual(names(await at.store.list('Tier')), ['a']);
});

test('page by page; a list that expires meanwhile begins anew', async () => {
  let isExpired = false;
  await using at = await scene(({ query }) => {
    if (query.get('continue') === null) return list([tier('a')], '9', { continue: 'more' });
    if (isExpired) return list([tier('b')]);
    isExpired = true;
    return { status: 410, body: { reason: 'Expired' } };
  });
  assert.deepEqual(names(await at.store.list('Tier')), ['a', 'b']);
  assert.equal(at.api.requests.filter(({ path }) => path === tiers).length, 4);
});

test('a list that always expires is given up after three times', async () => {
  await using at = await scene(({ query }) =>
    query.get('continue') === null ? list([], '9', { continue: 'more' }) : { status: 410, body: {} },
  );
  assert.equal((await failure(at.store.list('Tier'))).code, 'REVISION_GONE');
});

test('a snapshot is streamed', async () => {
  await using at = await scene(({ query }) => {
    assert.equal(query.get('sendInitialEvents'), 'true');
    const text = event('ADDED', tier('a')) + event('ADDED', tier('żółw 🐢')) + endOfList;
    return { pieces: [text.slice(0, 7), text.slice(7, 90), text.slice(90)], isOpen: true };
  });
  const snapshot = await at.store.snapshot();
  assert.deepEqual(names(snapshot), ['a', 'żółw 🐢']);
  assert.equal(snapshot.revision, 'Tier=9');
});

for (const status of [400, 422])
  test(`a server without watch-list (${status}) is asked for pages, and not asked for a stream again`, async () => {
    await using at = await scene(({ query }) =>
      query.has('watch') ? { status, body: {} } : list([tier('a')]),
    );
    for (let i = 0; i < 2; i++) assert.deepEqual(names(await at.store.snapshot()), ['a']);
    assert.equal(at.api.requests.filter(({ query }) => query.has('watch')).length, 1);
  });

for (const [title, stream] of [
  ['ends early', { pieces: [event('ADDED', tier('b'))] }],
  ['stands still', { pieces: [event('ADDED', tier('b'))], isOpen: true }],
] as const)
  test(`a stream that ${title} is not believed: pages are, and the next snapshot is a stream again`, async () => {
    await using at = await scene(({ query }) => (query.has('watch') ? stream : list([tier('a')])));
    assert.deepEqual(names(await at.store.snapshot()), ['a']);
    await at.store.snapshot();
    assert.equal(at.api.requests.filter(({ query }) => query.has('watch')).length, 2);
  });

const nonsense: readonly (readonly [string, FakeAnswer])[] = [
  ['text', { body: '<html>sign in</html>' }],
  ['nothing', { body: '' }],
  ['an empty object', { body: {} }],
  ['null', { body: 'null' }],
  ['a list of lists', { body: [[]] }],
  ['no revision', { body: { items: [], metadata: {} } }],
  ['a revision that is no number', list([], 'abc')],
  ['items that are none', list('x')],
  ['an item without a name', list([tier('a'), { metadata: {} }])],
  ['an item without a revision', list([{ metadata: { name: 'a' } }])],
  ['half of it', { body: '{"items":[{"metadata":{"na' }],
];

for (const [title, answer] of nonsense)
  test(`an answer of ${title} is no list, not even an empty one`, async () => {
    await using at = await scene(() => answer);
    assert.equal((await failure(at.store.list('Tier'))).code, 'UNAVAILABLE');
    assert.equal((await failure(at.store.index())).code, 'UNAVAILABLE');
  });

test('Go writes an empty list as null', async () => {
  await using at = await scene(() => list(null));
  assert.deepEqual((await at.store.list('Tier')).items, []);
});

test('an index has no resources in it: a reader would take them for whole', async () => {
  await using at = await scene(() => list([tier('a')]));
  const { items } = await at.store.index();
  assert.deepEqual(items, [{ key: { kind: 'Tier', name: 'a' }, revision: '5' }]);
});

for (const body of ['<html>', '{}', 'null', '[]'])
  test(`nonsense where the kinds should be (${body}) does not mean that there are none`, async () => {
    await using api = await FakeApi.start(() => ({ body }));
    await using store = new KubernetesStore(
      new Connection(() => clusterAccess({ type: 'kubernetes', kubeconfig: [], server: api.url }, {})),
    );
    assert.equal((await failure(store.snapshot())).code, 'UNAVAILABLE');
  });

test('a watch tells what happened, and where it stands', async () => {
  await using at = await scene(({ query }) => {
    if (!query.has('watch')) return list([], '9');
    assert.equal(query.get('resourceVersion'), '9');
    return { pieces: [event('MODIFIED', tier('a', '10')) + event('DELETED', tier('b', '11'))], isOpen: true };
  });
  const [put, gone, mark] = await firstBatch(at.store, 'Tier=9');
  assert.equal(put?.type === 'put' && put.stored.key.name, 'a');
  assert.deepEqual(gone, { type: 'delete', key: { kind: 'Tier', name: 'b' }, revision: '11' });
  assert.deepEqual(mark, { type: 'bookmark', revision: 'Tier=11' });
});

for (const [title, pieces, code] of [
  ['no JSON', ['hunter2\n'], 'UNAVAILABLE'],
  ['an event without object', ['{"type":"ADDED"}\n'], 'UNAVAILABLE'],
  ['an object without revision', [event('ADDED', { metadata: { name: 'a' } })], 'UNAVAILABLE'],
  ['an expired revision', [event('ERROR', { code: 410, reason: 'Expired' })], 'REVISION_GONE'],
  ['an error without sense', [event('ERROR', 'x')], 'UNAVAILABLE'],
  ['a line without end', Array(20).fill('x'.repeat(1 << 20)), 'UNAVAILABLE'],
] as const)
  test(`a watch that tells ${title} ends with ${code}`, async () => {
    await using at = await scene(({ query }) => (query.has('watch') ? { pieces, isOpen: true } : list([])));
    const error = await failure(firstBatch(at.store, 'Tier=9'));
    assert.equal(error.code, code);
    assert.doesNotMatch(error.message, /hunter2/);
  });

test('a watch that ends in the middle of a line goes on before it', async () => {
  let isCut = false;
  await using at = await scene(({ query }) => {
    if (!query.has('watch')) return list([]);
    const line = event('ADDED', tier('a', '10'));
    if (isCut) return { pieces: [line], isOpen: true };
    isCut = true;
    return { pieces: [line.slice(0, 30)] };
  });
  const [put] = await firstBatch(at.store, 'Tier=9');
  assert.equal(put?.type === 'put' && put.stored.key.name, 'a');
});

test('a watch goes on only where the server has come to what was told', async () => {
  let revision = '9';
  await using at = await scene(({ query }) => {
    if (!query.has('watch')) return list([], revision);
    revision = '4';
    return { pieces: [] };
  });
  assert.equal((await failure(firstBatch(at.store, 'Tier=9'))).code, 'REVISION_GONE');
});

test('a watch from later than the server is a watch of another history', async () => {
  await using at = await scene(() => list([], '8'));
  assert.equal((await failure(firstBatch(at.store, 'Tier=9'))).code, 'REVISION_GONE');
});

test('what does not answer, neither a request nor a watch, is unavailable', async () => {
  await using silent = await scene(() => null);
  assert.match((await failure(silent.store.list('Tier'))).message, /no answer within 250 ms/);
  await using watch = await scene(({ query }) => (query.has('watch') ? null : list([])));
  assert.match((await failure(firstBatch(watch.store, 'Tier=9'))).message, /no answer within 250 ms/);
});

test('a server that is busy is asked again when it says, and told of when it asks for too much', async () => {
  let busy = 2;
  await using at = await scene(() =>
    busy-- > 0 ? { status: 429, headers: { 'retry-after': '0' } } : list([tier('a')]),
  );
  assert.deepEqual(names(await at.store.list('Tier')), ['a']);
  await using never = await scene(() => ({ status: 429, headers: { 'retry-after': '3600' } }));
  assert.match((await failure(never.store.list('Tier'))).message, /it asks for 3600 s of patience/);
});

test('an object above 1.5 MiB is refused before it is sent', async () => {
  await using at = await scene(() => ({ status: 201 }));
  const large = { ...tier('a'), spec: { text: 'x'.repeat(1_600_000) } };
  const error = await failure(at.store.create({ kind: 'Tier', name: 'a' }, large));
  assert.match(error.message, /cannot store Tier a: got 16\d{5} bytes, want at most 1572864/);
  assert.deepEqual(
    at.api.requests.filter(({ method }) => method === 'POST'),
    [],
  );
});

for (const body of ['', 'null', '{"metadata":{}}'])
  test(`a write that is answered with nonsense (${body}) may or may not be done: unavailable`, async () => {
    await using at = await scene(() => ({ status: 201, body }));
    const error = await failure(at.store.create({ kind: 'Tier', name: 'a' }, tier('a')));
    assert.equal(error.code, 'UNAVAILABLE');
  });

test('other kinds than were listed are noticed when the watch begins, and while it goes on', async () => {
  let isMore = false;
  const groups = (request: FakeRequest): FakeAnswer | null => {
    if (request.path !== '/api/v1' || !isMore) return null;
    return { body: { resources: [{ name: 'namespaces', namespaced: false }] } };
  };
  const answers = ({ path, query }: FakeRequest): FakeAnswer => {
    if (query.has('sendInitialEvents')) return { pieces: [endOfList], isOpen: true };
    if (query.has('watch')) return { isOpen: true };
    return path === tiers ? list([]) : list([]);
  };
  await using api = await FakeApi.start(
    (request) => groups(request) ?? discovered(request, 'projectcalico.org/v3', '') ?? answers(request),
  );
  const access = () => clusterAccess({ type: 'kubernetes', kubeconfig: [], server: api.url }, {});
  await using store = new KubernetesStore(new Connection(access), { discoveryMs: 30 });
  const { revision } = await store.snapshot();
  const watching = failure(firstBatch(store, revision));
  const isWatched = () => api.requests.some(({ query }) => query.has('timeoutSeconds'));
  while (!isWatched()) await new Promise((resolve) => setTimeout(resolve, 5));
  isMore = true;
  assert.match((await watching).message, /other kinds are served than before/);
  const { revision: whole } = await store.snapshot();
  isMore = false;
  assert.match((await failure(firstBatch(store, whole))).message, /other kinds are served than before/);
});

test('a token goes over no connection in the clear, and is shown by nothing', async () => {
  await using api = await FakeApi.start(() => ({ body: {} }));
  const token = new Secret('hunter2');
  const access = { type: 'kubernetes', kubeconfig: [], server: api.url, token } as const;
  await using store = new KubernetesStore(new Connection(() => clusterAccess(access, {})));
  const error = await failure(store.snapshot());
  assert.match(error.message, /cannot send a token to .* in the clear/);
  assert.doesNotMatch(inspect([error, store, access], { depth: 20, showHidden: true }), /hunter2/);
  assert.deepEqual(api.requests, []);
});

test('certificates that are none are an error of the configuration, not of the process', async () => {
  const tls = { cert: 'hunter2', key: new Secret('hunter2') };
  const access = { type: 'kubernetes', kubeconfig: [], server: 'https://127.0.0.1:1', tls } as const;
  await using store = new KubernetesStore(new Connection(() => clusterAccess(access, {})));
  const error = await failure(store.snapshot());
  assert.equal(error.code, 'INVALID');
  assert.doesNotMatch(inspect(error), /hunter2/);
});
