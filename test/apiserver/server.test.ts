// SPDX-License-Identifier: Apache-2.0
/** The server over its wires: many watches on one connection, both protocols, restarts, faults. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../src/apiserver/server.ts';
import { Client, configMap } from './client.ts';

const base = mkdtempSync(join(tmpdir(), 'muslin-server-'));
const certificates = join(base, 'certificates');
const path = '/api/v1/namespaces/default/configmaps';
const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

process.once('exit', () => rmSync(base, { recursive: true, force: true }));

async function started(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApiServer({ certificates, ...options });
  ends.push(() => server.stop());
  return server;
}

async function connected(server: ApiServer): Promise<Client> {
  const client = await Client.overTls(server);
  ends.push(() => client.close());
  return client;
}

test('a hundred watches over one connection hear every change in order', async () => {
  const server = await started();
  const client = await connected(server);
  const watches = Array.from({ length: 100 }, () => client.watch(`${path}?watch=1&resourceVersion=0`));
  for (let number = 0; number < 20; number++) await client.request('POST', path, configMap(`c${number}`));
  for (const watching of watches) {
    const names = (await watching.until(20)).map(({ object }) => object.metadata.name);
    assert.deepEqual(
      names,
      Array.from({ length: 20 }, (_, number) => `c${number}`),
    );
  }
});

test('the Unix socket serves HTTP/2 and HTTP/1.1, and its peer is administrator', async () => {
  const socketPath = join(base, 'api.sock');
  await started({ socketPath });
  const client = await Client.overSocket(socketPath);
  ends.push(() => client.close());
  assert.equal((await client.request('POST', path, configMap('a'))).status, 201);
  const watching = client.watch(`${path}?watch=1&resourceVersion=0`);
  assert.equal((await watching.until(1))[0]?.type, 'ADDED');
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asking = httpRequest({ socketPath, path }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    asking.on('error', reject).end();
  });
  assert.equal(status, 200);
});

test('stop says GOAWAY and ends watches', async () => {
  const server = await startApiServer({ certificates });
  const client = await Client.overTls(server);
  const watching = client.watch(`${path}?watch=1&resourceVersion=0&allowWatchBookmarks=true`);
  await client.request('GET', path);
  const goaway = new Promise((resolve) => client.session.once('goaway', resolve));
  await Promise.all([server.stop(), goaway, watching.ended]);
});

test('a watch whose reader has stopped reading is ended, and others go on', async () => {
  const server = await started();
  const slow = await connected(server);
  const quick = await connected(server);
  const stalled = slow.session.request({ ':path': `${path}?watch=1&resourceVersion=0` });
  stalled.on('error', () => {});
  await new Promise((resolve) => stalled.once('response', resolve));
  stalled.pause();
  const watching = quick.watch(`${path}?watch=1&resourceVersion=0`);
  const closed = new Promise((resolve) => stalled.once('close', resolve));
  const large = configMap('large', { text: 'x'.repeat(1_000_000) });
  await quick.request('POST', path, large);
  for (let number = 0; number < 30; number++) {
    const change = { data: { number: String(number) } };
    await quick.request('PATCH', `${path}/large`, change, 'application/merge-patch+json');
  }
  stalled.resume();
  await closed;
  assert.equal((await watching.until(31)).length, 31);
});

test('restarted on its folder the server goes on where it was, and watches go on too', async () => {
  const folder = join(base, 'kept');
  const first = await startApiServer({ certificates, folder });
  const client = await Client.overTls(first);
  const { body } = await client.request('POST', path, configMap('a'));
  await client.request('POST', path, configMap('b'));
  client.close();
  await first.stop();
  const second = await started({ folder });
  const again = await connected(second);
  const since = (body.metadata as { readonly resourceVersion: string }).resourceVersion;
  const watching = again.watch(`${path}?watch=1&resourceVersion=${since}`);
  assert.deepEqual(
    (await watching.until(1)).map(({ type, object }) => [type, object.metadata.name]),
    [['ADDED', 'b']],
  );
  assert.equal((await again.request('GET', `${path}/a`)).status, 200);
});

test('started from an older copy of its folder it knows less, and says so of newer revisions', async () => {
  const [folder, backup] = [join(base, 'live'), join(base, 'backup')];
  const first = await startApiServer({ certificates, folder });
  const client = await Client.overTls(first);
  await client.request('POST', path, configMap('a'));
  cpSync(folder, backup, { recursive: true });
  const { body } = await client.request('POST', path, configMap('b'));
  client.close();
  await first.stop();
  const restored = await started({ folder: backup });
  const again = await connected(restored);
  assert.equal((await again.request('GET', `${path}/b`)).status, 404);
  const { resourceVersion } = body.metadata as { readonly resourceVersion: string };
  const future = await again.request('GET', `${path}?resourceVersion=${resourceVersion}`);
  assert.deepEqual([future.status, future.body.reason], [504, 'Timeout']);
});

test('faults: refusals with Retry-After, delays, resets, answers that are lost after the write', async () => {
  const server = await started();
  const client = await connected(server);
  server.faults.next({ type: 'answer', status: 429, retryAfter: 7 });
  const refused = await client.request('GET', path);
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '7']);
  server.faults.next({ type: 'answer', status: 503 }, { methods: ['POST'] });
  assert.equal((await client.request('GET', path)).status, 200);
  assert.equal((await client.request('POST', path, configMap('a'))).status, 503);
  server.faults.next({ type: 'lost-answer' }, { methods: ['POST'] });
  await assert.rejects(client.request('POST', path, configMap('a')));
  const again = await connected(server);
  assert.equal((await again.request('POST', path, configMap('a'))).status, 409);
});

test('faults: streams that end early, that fall silent, that are late', async () => {
  const server = await started();
  const client = await connected(server);
  const early = client.watch(`${path}?watch=1&resourceVersion=0`);
  await client.request('GET', path);
  server.faults.endWatches();
  await early.ended;
  const silent = client.watch(`${path}?watch=1&resourceVersion=0`);
  await client.request('GET', path);
  server.faults.events = { type: 'silent' };
  await client.request('POST', path, configMap('unseen'));
  server.faults.events = { type: 'late', milliseconds: 20 };
  await client.request('POST', path, configMap('seen'));
  assert.deepEqual(
    (await silent.until(1)).map(({ object }) => object.metadata.name),
    ['seen'],
  );
});

test('faults: half-open connections answer nothing until they thaw', async () => {
  const server = await started();
  const client = await connected(server);
  await client.request('GET', path);
  server.faults.freeze();
  const asked = client.request('GET', path).then(() => 'answered');
  assert.equal(await Promise.race([asked, pause(150, 'silence')]), 'silence');
  server.faults.thaw();
  assert.equal(await asked, 'answered');
});

test('a body that is too large is refused', async () => {
  const server = await started();
  const client = await connected(server);
  const { status } = await client.request('POST', path, configMap('a', { text: 'x'.repeat(3_200_000) }));
  assert.equal(status, 413);
});

test('watches are compacted away when there are more changes than are remembered', async () => {
  const server = await started({ history: 50 });
  const client = await connected(server);
  const { body } = await client.request('POST', path, configMap('a'));
  for (let number = 0; number < 60; number++) {
    await client.request(
      'PATCH',
      `${path}/a`,
      { data: { n: String(number) } },
      'application/merge-patch+json',
    );
  }
  const { resourceVersion } = body.metadata as { readonly resourceVersion: string };
  const [event] = await client.watch(`${path}?watch=1&resourceVersion=${resourceVersion}`).until(1);
  assert.deepEqual([event?.type, event?.object.code], ['ERROR', 410]);
});

test('a watch from a revision that is not reached yet is silent until then', async () => {
  const server = await started();
  const client = await connected(server);
  const from = server.store.revision + 2;
  const watching = client.watch(`${path}?watch=1&resourceVersion=${from}`);
  for (const name of ['a', 'b', 'c']) await client.request('POST', path, configMap(name));
  assert.deepEqual(
    (await watching.until(1)).map(({ object }) => object.metadata.name),
    ['c'],
  );
});
