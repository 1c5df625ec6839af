// SPDX-License-Identifier: Apache-2.0
/** The commands of the README's part on policies in CI and those of docs/host-endpoints.md, pasted, print what is shown. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const root = new URL('../../', import.meta.url).pathname;
const [commands = '', shown = ''] = blocksOf(
  readFileSync(join(root, 'README.md'), 'utf8').split('### Policies in CI')[1] ?? '',
);

function blocksOf(text: string): string[] {
  return [...text.matchAll(/```(?:sh)?\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
}

async function pasted(command: string): Promise<{ code: number; out: string }> {
  const line = commands.split('\n').find((each) => each.startsWith(`./muslin ${command} `)) ?? '';
  using session = new CliSession();
  const words = line
    .replace(/ {2,}#.*/, '')
    .split(' ')
    .slice(1);
  const args = words.map((word) =>
    word.startsWith('examples/') ? join(root, word) : word.replace('report.xml', join(session.folder, word)),
  );
  const { code, out } = await session.run(args);
  return { code, out: out.replaceAll(root, '') };
}

test('muslin test: every case of the example holds', async () => {
  assert.deepEqual(await pasted('test'), { code: 0, out: '5 cases: 5 passed, 0 failed\n' });
});

test('muslin diff: what the README shows is its end', async () => {
  const { code, out } = await pasted('diff');
  assert.equal(code, 0);
  assert.ok(shown.startsWith('would become allowed: 4 cases\n'));
  assert.ok(out.endsWith(shown), out);
});

test('docs/host-endpoints.md: its cases hold, and what it shows of explain is what explain says', async () => {
  using session = new CliSession();
  const examples = join(root, 'examples/host-endpoints');
  const { code, out } = await session.run(['test', '-f', join(examples, 'cases.yaml')]);
  assert.deepEqual([code, out], [0, '4 cases: 4 passed, 0 failed\n']);
  const page = readFileSync(join(root, 'docs/host-endpoints.md'), 'utf8');
  const told = blocksOf(page).find((block) => block.startsWith('shop/web-1 ')) ?? '';
  const rule = /no-telnet: rule 0 denies {2}\(examples\/host-endpoints\/firewall\.yaml:(\d+)\)/.exec(told);
  const lines = readFileSync(join(examples, 'firewall.yaml'), 'utf8').split('\n');
  assert.equal(lines[Number(rule?.[1]) - 1]?.trim(), '- action: Deny');
});
