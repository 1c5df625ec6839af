// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const reader = `
  import { readToEnd } from ${JSON.stringify(new URL('io.ts', import.meta.url).href)};
  process.stderr.write('reading');
  process.stdout.write(readToEnd(0));
`;

test('a pipe that does not block is read to its end, however long its writer takes', async () => {
  // a socket pair, as 'pipe' of spawn is one: without data yet a read of it gives EAGAIN once it does not block
  const child = spawn(
    process.execPath,
    ['--input-type=module-typescript', '-e', `process.stdin.pause(); process.stdin.fd; ${reader}`],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  await once(child.stderr, 'data');
  child.stdin.write('first ');
  child.stdin.end('x'.repeat(200_000));
  await once(child, 'close');
  assert.equal(out, `first ${'x'.repeat(200_000)}`);
});

test('a file that cannot be read is an error with its reason, not a stack', async () => {
  using cli = new CliSession();
  const loop = `${cli.folder}/loop.yaml`;
  symlinkSync('/proc/self/mem', loop);
  const { code, notes } = await cli.run(['validate', '-f', loop]);
  assert.equal(code, 5);
  assert.match(notes.join(), /cannot read .*loop\.yaml: E[A-Z]+$/);
});
