// SPDX-License-Identifier: Apache-2.0
/** What acts by itself: garbage goes, endpoint slices follow Pods, namespaces are furnished and emptied. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { controllerNames } from '../../src/apiserver/controllers/controllers.ts';
import { type ApiServer, startApiServer } from '../../src/apiserver/server.ts';
import type { Json, JsonObject } from '../../src/model/types.ts';
import { Client, configMap } from './client.ts';

let server: ApiServer;
let client: Client;

before(async () => {
  server = await startApiServer({ controllers: controllerNames });
  client = await Client.overTls(server);
});

after(async () => {
  client.close();
  await server.stop();
});

async function eventually<T>(
  what: string,
  read: () => Promise<T> | T,
  isMet: (found: T) => boolean,
): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await read();
    if (isMet(found)) return found;
    await pause(20);
  }
  throw new Error(`cannot wait any longer: ${what}`);
}

const core = (namespace: string, plural: string) => `/api/v1/namespaces/${namespace}/${plural}`;
const slices = (namespace: string) => `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;

async function make(path: string, body: JsonObject): Promise<JsonObject & { readonly metadata: JsonObject }> {
  const reply = await client.request('POST', path, body);
  assert.equal(reply.status, 201, JSON.stringify(reply.body));
  return reply.body as JsonObject & { readonly metadata: JsonObject };
}

async function statusOf(path: string): Promise<number> {
  return (await client.request('GET', path)).status;
}

function owned(name: string, owners: readonly { readonly name: Json; readonly uid: Json }[]): JsonObject {
  const ownerReferences = owners.map(({ name: owner, uid }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: owner ?? '',
    uid: uid ?? '',
  }));
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ownerReferences } };
}

function ownerOf({ metadata }: { readonly metadata: JsonObject }): {
  readonly name: Json;
  readonly uid: Json;
} {
  return { name: metadata.name ?? '', uid: metadata.uid ?? '' };
}

async function namespace(name: string): Promise<void> {
  await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

test('a namespace has its ServiceAccount and the authority, also again', async () => {
  await namespace('furnished');
  const accounts = core('furnished', 'serviceaccounts/default');
  await eventually(
    'an account',
    () => statusOf(accounts),
    (status) => status === 200,
  );
  await client.request('DELETE', accounts);
  await eventually(
    'an account again',
    () => statusOf(accounts),
    (status) => status === 200,
  );
  const { body } = await client.request('GET', core('furnished', 'configmaps/kube-root-ca.crt'));
  assert.deepEqual(body.data, { 'ca.crt': server.ca });
});

test('what has lost all its owners goes, what has one left stays', async () => {
  await namespace('garbage');
  const path = core('garbage', 'configmaps');
  const one = ownerOf(await make(path, configMap('one')));
  const two = ownerOf(await make(path, configMap('two')));
  await make(path, owned('of-one', [one]));
  await make(path, owned('of-both', [one, two]));
  await make(
    path,
    owned('of-of-one', [ownerOf((await client.request('GET', `${path}/of-one`)).body as never)]),
  );
  await client.request('DELETE', `${path}/one`);
  await eventually(
    'of-of-one to go',
    () => statusOf(`${path}/of-of-one`),
    (status) => status === 404,
  );
  assert.deepEqual([await statusOf(`${path}/of-one`), await statusOf(`${path}/of-both`)], [404, 200]);
});

test('deletion in the foreground takes dependents first; orphans lose their owner', async () => {
  await namespace('policies');
  const path = core('policies', 'configmaps');
  const one = ownerOf(await make(path, configMap('one')));
  await make(path, owned('of-one', [one]));
  await client.request('DELETE', `${path}/one?propagationPolicy=Foreground`);
  await eventually(
    'one to go',
    () => statusOf(`${path}/one`),
    (status) => status === 404,
  );
  assert.equal(await statusOf(`${path}/of-one`), 404);
  const two = ownerOf(await make(path, configMap('two')));
  await make(path, owned('of-two', [two]));
  await client.request('DELETE', `${path}/two?propagationPolicy=Orphan`);
  await eventually(
    'two to go',
    () => statusOf(`${path}/two`),
    (status) => status === 404,
  );
  const { body } = await client.request('GET', `${path}/of-two`);
  assert.equal((body.metadata as JsonObject).ownerReferences, undefined);
});

test('endpoint slices follow Services and Pods', async () => {
  await namespace('slices');
  await eventually(
    'an account',
    () => statusOf(core('slices', 'serviceaccounts/default')),
    (status) => status === 200,
  );
  await make(core('slices', 'services'), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'web' }] },
  });
  const containers = [{ name: 'c', image: 'i', ports: [{ name: 'web', containerPort: 8080 }] }];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', labels: { app: 'a' } },
    spec: { containers },
  };
  await make(core('slices', 'pods'), pod);
  const status = {
    phase: 'Running',
    podIP: '10.0.0.1',
    podIPs: [{ ip: '10.0.0.1' }],
    conditions: [{ type: 'Ready', status: 'True' }],
  };
  const patchType = 'application/strategic-merge-patch+json';
  await client.request('PATCH', core('slices', 'pods/p/status'), { status }, patchType);
  const withEndpoint = await eventually(
    'an endpoint',
    () => endpointsIn('slices'),
    (found) => found.length === 1,
  );
  assert.deepEqual(withEndpoint, [{ address: '10.0.0.1', ports: [8080], ready: true }]);
  await client.request('DELETE', `${core('slices', 'pods/p')}?gracePeriodSeconds=0`);
  await eventually(
    'no endpoint',
    () => endpointsIn('slices'),
    (found) => found.length === 0,
  );
  await client.request('DELETE', core('slices', 'services/s'));
  await eventually(
    'no slice',
    () => client.request('GET', slices('slices')),
    ({ body }) => (body.items as readonly Json[]).length === 0,
  );
});

async function endpointsIn(where: string): Promise<readonly JsonObject[]> {
  const { body } = await client.request('GET', slices(where));
  return (
    body.items as readonly { endpoints: readonly Endpoint[] | null; ports: readonly { port: number }[] }[]
  ).flatMap(({ endpoints, ports }) =>
    (endpoints ?? []).map(({ addresses, conditions }) => ({
      address: addresses[0] ?? '',
      ports: ports.map(({ port }) => port),
      ready: conditions.ready,
    })),
  );
}

interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions: { readonly ready: boolean };
}

test('a namespace with a foreign finalizer inside waits for it', async () => {
  await namespace('held');
  const path = core('held', 'configmaps');
  const held = configMap('a');
  await make(path, { ...held, metadata: { name: 'a', finalizers: ['test/hold'] } });
  await make(path, configMap('b'));
  await client.request('DELETE', '/api/v1/namespaces/held');
  await eventually(
    'b to go',
    () => statusOf(`${path}/b`),
    (status) => status === 404,
  );
  assert.equal(await statusOf('/api/v1/namespaces/held'), 200);
  await client.request(
    'PATCH',
    `${path}/a`,
    { metadata: { finalizers: null } },
    'application/merge-patch+json',
  );
  await eventually(
    'the namespace to go',
    () => statusOf('/api/v1/namespaces/held'),
    (status) => status === 404,
  );
});
