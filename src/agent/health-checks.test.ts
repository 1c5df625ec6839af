// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { pino } from 'pino';
import { HealthChecks } from './health-checks.ts';

const log = pino({ enabled: false });
const check = (port: number, localEndpoints: number) => ({
  namespace: 'shop',
  name: 'web',
  port,
  localEndpoints,
});

/** One that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ask(port: number): Promise<{ code: number; weight: string | null; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
  const weight = response.headers.get('x-load-balancing-endpoint-weight');
  return { code: response.status, weight, body: await response.json() };
}

test('a node with endpoints answers 200 with their number, one without 503, and so does one out of order', async () => {
  let isServing = true;
  using checks = new HealthChecks(() => isServing, log);
  const port = await freePort();
  checks.serve([check(port, 2)]);
  const body = { service: { namespace: 'shop', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true };
  assert.deepEqual(await ask(port), { code: 200, weight: '2', body });
  checks.serve([check(port, 0)]);
  assert.deepEqual(await ask(port), { code: 503, weight: '0', body: { ...body, localEndpoints: 0 } });
  checks.serve([check(port, 1)]);
  isServing = false;
  assert.equal((await ask(port)).code, 503);
});

test('a port that nobody asks for any more is given back', async () => {
  using checks = new HealthChecks(() => true, log);
  const port = await freePort();
  checks.serve([check(port, 1)]);
  assert.equal((await ask(port)).code, 200);
  checks.serve([]);
  await assert.rejects(ask(port));
});

test('a port that is taken is reported, and tried again', async () => {
  const port = await freePort();
  const stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(port, resolve));
  using checks = new HealthChecks(() => true, log);
  checks.serve([check(port, 1)]);
  while (checks.faults().length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [fault] = checks.faults();
  assert.equal(fault?.path, 'Service/shop/web');
  assert.match(fault?.faults[0]?.message ?? '', /EADDRINUSE/);
  await new Promise((resolve) => stranger.close(resolve));
  checks.serve([check(port, 1)]);
  assert.equal((await ask(port)).code, 200);
  assert.deepEqual(checks.faults(), []);
});
