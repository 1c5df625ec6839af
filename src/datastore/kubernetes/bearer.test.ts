// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { ForbiddenError } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import { Bearer } from './bearer.ts';
import type { ExecPlugin } from './exec-plugin.ts';

const folder = mkdtempSync(join(tmpdir(), 'muslin-bearer-'));
after(() => rmSync(folder, { recursive: true }));

const runs = join(folder, 'runs');

function plugin(name: string, script: string): ExecPlugin {
  const command = join(folder, name);
  writeFileSync(command, `#!/bin/sh\necho run >> ${runs}\n${script}\n`);
  chmodSync(command, 0o755);
  return { apiVersion: 'client.authentication.k8s.io/v1', command, args: [], env: { WHO: 'me' } };
}

function credential(status: object): string {
  return `cat <<'END'\n${JSON.stringify({ kind: 'ExecCredential', status })}\nEND`;
}

function runCount(): number {
  return existsSync(runs) ? readFileSync(runs, 'utf8').split('\n').length - 1 : 0;
}

test('nothing, and a token that is given', async () => {
  assert.equal(await new Bearer({ type: 'none' }).authorization(), null);
  const bearer = new Bearer({ type: 'token', token: new Secret('given') });
  assert.equal(await bearer.authorization(), 'Bearer given');
});

test('a token in a file is read again after a second', async () => {
  const path = join(folder, 'token');
  writeFileSync(path, 'first\n');
  const bearer = new Bearer({ type: 'token-file', path });
  assert.equal(await bearer.authorization(), 'Bearer first');
  writeFileSync(path, 'second\n');
  await delay(1050);
  assert.equal(await bearer.authorization(), 'Bearer second');
  assert.doesNotMatch(inspect(bearer, { depth: 9, showHidden: true }), /second/);
});

for (const [title, text] of [
  ['with a line break inside', 'hunter2\nhunter2'],
  ['with a space', 'hunter2 hunter2'],
  ['of nothing', ' \n'],
] as const)
  test(`a token file ${title} is refused without showing it`, async () => {
    const path = join(folder, 'broken');
    writeFileSync(path, text);
    await assert.rejects(new Bearer({ type: 'token-file', path }).authorization(), (error) => {
      assert.ok(error instanceof ForbiddenError);
      assert.match(error.message, /broken: got \d+ characters, want a token/);
      assert.doesNotMatch(inspect(error), /hunter2/);
      return true;
    });
  });

test('a token file that is not there', async () => {
  const bearer = new Bearer({ type: 'token-file', path: join(folder, 'none') });
  await assert.rejects(bearer.authorization(), /cannot read token file .*none: ENOENT/);
});

test('a program is run once for all who ask, with what it has to know, and again when its token is old', async () => {
  const soon = new Date(Date.now() + 60_000).toISOString();
  const script = `test "$WHO" = me && echo "$KUBERNETES_EXEC_INFO" > ${folder}/info`;
  const lasting = new Bearer({
    type: 'exec',
    plugin: plugin('login', `${script}\n${credential({ token: 'fresh', expirationTimestamp: soon })}`),
  });
  const before = runCount();
  const all = await Promise.all([1, 2, 3].map(() => lasting.authorization()));
  assert.deepEqual([...all, await lasting.authorization()], Array(4).fill('Bearer fresh'));
  assert.equal(runCount() - before, 1);
  const info = JSON.parse(readFileSync(join(folder, 'info'), 'utf8'));
  assert.deepEqual([info.kind, info.spec], ['ExecCredential', { interactive: false }]);

  const past = { token: 'old', expirationTimestamp: '2020-01-01T00:00:00Z' };
  const old = new Bearer({ type: 'exec', plugin: plugin('old', credential(past)) });
  await old.authorization();
  await old.authorization();
  assert.equal(runCount() - before, 3);
});

for (const [title, script, message] of [
  ['fails', 'echo hunter2; echo hunter2 >&2; exit 3', /failed: 3/],
  ['says no JSON', 'echo hunter2', /gave no token/],
  ['gives a certificate', credential({ clientCertificateData: 'hunter2' }), /gave no token/],
] as const)
  test(`a program that ${title} lets nobody in, and its output is not told`, async () => {
    const bearer = new Bearer({ type: 'exec', plugin: plugin('bad', script) });
    await assert.rejects(bearer.authorization(), (error) => {
      assert.match(String(error), message);
      assert.doesNotMatch(inspect(error, { depth: 9 }), /hunter2/);
      return true;
    });
  });

test('a program that is not there', async () => {
  const missing = { ...plugin('x', ''), command: join(folder, 'none') };
  await assert.rejects(new Bearer({ type: 'exec', plugin: missing }).authorization(), /none failed: ENOENT/);
});
