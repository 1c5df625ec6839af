// SPDX-License-Identifier: Apache-2.0
/** `muslin apiserver` killed at any moment loads what it answered. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { JsonObject } from '../../src/model/types.ts';
import { Client, configMap } from './client.ts';

const base = mkdtempSync(join(tmpdir(), 'muslin-killed-'));
const folder = join(base, 'state');
const socket = join(base, 'api.sock');
const kubeconfig = join(base, 'kubeconfig');
const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const path = '/api/v1/namespaces/default/configmaps';
const running = new Set<ChildProcess>();

after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(base, { recursive: true, force: true });
});

async function start(): Promise<ChildProcess> {
  rmSync(kubeconfig, { force: true });
  const words = ['apiserver', '--folder', folder, '--socket', socket, '--kubeconfig', kubeconfig];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...words], {
    stdio: 'ignore',
  });
  running.add(child);
  for (let tries = 0; tries < 500 && !existsSync(kubeconfig); tries++) await pause(20);
  return child;
}

function ended(child: ChildProcess): Promise<number | null> {
  running.delete(child);
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

/** Names that were answered before the connection broke. */
async function writeUntilBroken(client: Client, prefix: string): Promise<readonly string[]> {
  const answered: string[] = [];
  for (let number = 0; ; number++) {
    const name = `${prefix}-${number}`;
    const status = await client.request('POST', path, configMap(name, { x: 'y'.repeat(1000) })).then(
      (reply) => reply.status,
      () => null,
    );
    if (status === null) return answered;
    if (status === 201) answered.push(name);
  }
}

test('what was answered before SIGKILL is there after the next start', async () => {
  const answered: string[] = [];
  for (let round = 0; round < 3; round++) {
    const child = await start();
    const client = await Client.overSocket(socket);
    const writing = writeUntilBroken(client, `r${round}`);
    await pause(100 + 50 * round);
    const end = ended(child);
    child.kill('SIGKILL');
    answered.push(...(await writing));
    await end;
    client.close();
  }
  const child = await start();
  const client = await Client.overSocket(socket);
  const { body } = await client.request('GET', path);
  const found = new Set(
    (body.items as readonly { metadata: JsonObject }[]).map(({ metadata }) => metadata.name),
  );
  assert.ok(answered.length > 0);
  assert.deepEqual(
    answered.filter((name) => !found.has(name)),
    [],
  );
  client.close();
  const end = ended(child);
  child.kill('SIGTERM');
  assert.equal(await end, 0);
});
