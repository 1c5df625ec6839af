// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { CliSession, type Outcome } from '../../test/support/cli-session.ts';

const policy = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: g}
spec: {order: 5, selector: all(), ingress: [{action: Deny}]}
`;

/** The editor is a script of sed; each of `edits` is one time that it is opened, and the last counts for all later ones. */
async function edit(
  session: CliSession,
  edits: readonly string[],
  words: readonly string[] = ['gnp', 'g'],
): Promise<Outcome & { readonly seen: readonly string[] }> {
  const seen = `${session.folder}/seen`;
  const cases = edits.map((each, i) => `${i === edits.length - 1 ? '*' : i}) ${each} ;;`).join('\n');
  const script = session.write(
    'editor',
    `#!/bin/sh\nn=$(ls ${seen}.* 2>/dev/null | wc -l)\ncp "$1" ${seen}.$n\ncase $n in\n${cases}\nesac\n`,
  );
  chmodSync(script, 0o755);
  const outcome = await session.run(['edit', ...words], '', { EDITOR: script, VISUAL: '' });
  const texts = readdirSync(session.folder)
    .filter((name) => name.startsWith('seen.'))
    .sort()
    .map((name) => readFileSync(`${session.folder}/${name}`, 'utf8'));
  return { ...outcome, seen: texts };
}

async function filled(): Promise<CliSession> {
  const session = new CliSession();
  assert.equal((await session.run(['apply', '-f', '-'], policy)).code, 0);
  return session;
}

async function orderOf(session: CliSession): Promise<string> {
  return (await session.run(['get', 'gnp', 'g', '-o', 'jsonpath={.spec.order}'])).out;
}

test('what the editor leaves is stored, and its file is gone', async () => {
  using session = await filled();
  const { code, out, seen } = await edit(session, [
    'sed -i "s/order: 5/order: 6/" "$1"; echo "$1" > $0.path',
  ]);
  assert.deepEqual([code, out], [0, 'globalnetworkpolicy.projectcalico.org/g edited\n']);
  assert.equal(await orderOf(session), '6');
  assert.match(seen[0] ?? '', /^#: .*g: lines here/);
  assert.doesNotMatch(seen[0] ?? '', /muslin\.dev\/origin/);
  assert.equal(existsSync(dirname(readFileSync(`${session.folder}/editor.path`, 'utf8'))), false);
});

test('left as it was, or empty: nothing is done', async () => {
  using session = await filled();
  for (const edits of ['true', ': > "$1"']) {
    const { code, out, notes } = await edit(session, [edits]);
    assert.deepEqual([code, out], [0, '']);
    assert.match(notes.join(), /nothing was changed/);
  }
});

test('faults stand on top when it is opened again, with the lines that the editor shows', async () => {
  using session = await filled();
  const { code, seen } = await edit(session, [
    'sed -i "s/order: 5/order: x\\n  oder: 1/" "$1"',
    'sed -i "s/order: x/order: 7/; /oder: 1/d" "$1"',
  ]);
  assert.equal(code, 0);
  assert.equal(await orderOf(session), '7');
  const again = (seen[1] ?? '').split('\n');
  const told = again
    .filter((line) => line.startsWith('#: line:'))
    .map((line) => /line:(\d+)/.exec(line)?.[1]);
  assert.equal(told.length, 2);
  const named = told.map((line) => again[Number(line) - 1]?.trim());
  assert.deepEqual(named.sort(), ['oder: 1', 'order: x']);
});

test('what is refused twice, as it was, ends; the text is where it is said to be', async () => {
  using session = await filled();
  const { code, notes, seen } = await edit(session, ['sed -i "s/order: 5/order: x/" "$1"', 'true']);
  assert.equal(code, 5);
  assert.equal(seen.length, 2);
  assert.match(notes.join(), /spec\.order: got "x"/);
  const [, path = ''] = /what was written is in (\S+)/.exec(notes.join('\n')) ?? [];
  assert.match(readFileSync(path, 'utf8'), /order: x/);
  const { rmSync } = await import('node:fs');
  rmSync(dirname(path), { recursive: true });
});

test('an editor that fails stores nothing and loses nothing', async () => {
  using session = await filled();
  const { code, notes } = await edit(session, ['sed -i "s/order: 5/order: 6/" "$1"; exit 3']);
  assert.equal(code, 5);
  const [, path = ''] = /what was written is in (\S+)/.exec(notes.join('\n')) ?? [];
  assert.match(readFileSync(path, 'utf8'), /order: 6/);
  assert.equal(await orderOf(session), '5');
  const { rmSync } = await import('node:fs');
  rmSync(dirname(path), { recursive: true });
});

test('someone else was faster: that is told on top, and the version can be taken', async () => {
  using session = await filled();
  const other = session.write('other.yaml', policy.replace('order: 5', 'order: 50'));
  const node = `${process.execPath} --disable-warning=ExperimentalWarning`;
  const main = new URL('main.ts', import.meta.url).pathname;
  const faster = `MUSLIN_DATASTORE=${session.datastore} ${node} ${main} apply -f ${other} >/dev/null`;
  const { code, seen } = await edit(session, [
    `sed -i "s/order: 5/order: 6/" "$1"; ${faster}`,
    'sed -i "/resourceVersion:/d" "$1"',
  ]);
  assert.match(seen[1] ?? '', /^#: error: .*it was changed since/m);
  assert.equal(code, 0);
  assert.equal(await orderOf(session), '6');
});

const refused: readonly [readonly string[], number, RegExp][] = [
  [['gnp'], 2, /want one object/],
  [['gnp', 'none'], 3, /none/],
  [['tier', 'default'], 5, /built in/],
];

for (const [words, code, message] of refused) {
  test(`edit ${words.join(' ')} ends with ${code} and says why`, async () => {
    using session = await filled();
    const outcome = await edit(session, ['true'], words);
    assert.equal(outcome.code, code);
    assert.match(outcome.notes.join(), message);
  });
}
