// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const pod = (name: string, namespace: string, app: string) =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: ${namespace}, labels: {app: '${app}'}}, spec: {containers: [{name: m, image: i}]}}\n`;
const objects = [pod('a', 'default', 'x'), pod('b', 'default', 'y'), pod('c', 'web', 'x')].join('---\n');

async function filled(): Promise<CliSession> {
  const cli = new CliSession();
  assert.equal((await cli.run(['apply', '-f', '-'], objects)).code, 0);
  return cli;
}

async function labelsOf(cli: CliSession, name: string, namespace = 'default'): Promise<unknown> {
  const words = ['get', 'pod', name, '-n', namespace, '-o', 'jsonpath={.metadata.labels}'];
  return JSON.parse((await cli.run(words)).out || '{}');
}

test('labels are set and taken away, several at once', async () => {
  using cli = await filled();
  const set = await cli.run(['label', 'pod', 'a', 'b', 'tier=web', 'example.com/team=']);
  assert.deepEqual(set, { code: 0, out: 'pod/default/a labeled\npod/default/b labeled\n', notes: [] });
  assert.deepEqual(await labelsOf(cli, 'a'), { app: 'x', tier: 'web', 'example.com/team': '' });
  assert.equal(
    (await cli.run(['label', 'pod/default/a', 'tier-', 'example.com/team-'])).out,
    'pod/default/a unlabeled\n',
  );
  assert.deepEqual(await labelsOf(cli, 'a'), { app: 'x' });
  assert.equal((await cli.run(['label', 'pod', 'a', 'app=x'])).out, 'pod/default/a not labeled\n');
});

test("calicoctl's --remove takes bare keys", async () => {
  using cli = await filled();
  assert.equal((await cli.run(['label', 'pod', 'a', 'app', '--remove'])).code, 0);
  assert.deepEqual(await labelsOf(cli, 'a'), {});
});

test('a label that is there is changed with --overwrite alone', async () => {
  using cli = await filled();
  const refused = await cli.run(['label', 'pods', '--all', 'app=x']);
  assert.equal(refused.code, 4);
  assert.match(refused.notes.join(), /cannot label pod\/default\/b: it has app=y; want --overwrite/);
  assert.equal((await cli.run(['label', 'pods', '--all', 'app=x', '--overwrite'])).code, 0);
  assert.deepEqual(await labelsOf(cli, 'b'), { app: 'x' });
});

test('objects chosen by label, in one namespace or in all', async () => {
  using cli = await filled();
  const here = await cli.run(['label', 'pods', '-l', 'app=x', 'seen=yes']);
  assert.equal(here.out, 'pod/default/a labeled\n');
  const all = await cli.run(['label', 'pods', '-A', '-l', 'app == "x"', 'seen=yes', '--dry-run']);
  assert.equal(all.out, 'pod/default/a not labeled (dry run)\npod/web/c labeled (dry run)\n');
  assert.deepEqual(await labelsOf(cli, 'c', 'web'), { app: 'x' });
  assert.deepEqual(await cli.run(['label', 'pods', '-l', 'app=none', 'seen=yes']), {
    code: 0,
    out: '',
    notes: ['No resources found'],
  });
});

const refused: readonly [readonly string[], number, RegExp][] = [
  [['pod', 'a'], 2, /want KEY=VALUE or KEY-/],
  [['pod', 'a', '--remove'], 2, /want KEY\.\.\. to remove/],
  [['pod', 'a', 'x=1', 'x=2'], 2, /got label x twice/],
  [['pod', 'a', 'x=1', 'other'], 2, /got "other", want KEY=VALUE or KEY-/],
  [['pod', 'a', 'x=1', '--all'], 2, /take no names|want/],
  [['pod', 'x=1'], 2, /want the names of objects/],
  [['pods', '--all', '-l', 'a=b', 'x=1'], 2, /want -l or --all, not both/],
  [['all', '--all', 'x=1'], 2, /want the kinds/],
  [['pod', 'none', 'x=1'], 3, /pod\/default\/none not found/],
  [['pod', 'a', '_x=1'], 5, /_x/],
  [['pod', 'a', 'x=a b'], 5, /x: got "a b"/],
];

for (const [words, code, message] of refused) {
  test(`label ${words.join(' ')} ends with ${code} and says why`, async () => {
    using cli = await filled();
    const outcome = await cli.run(['label', ...words]);
    assert.match(outcome.notes.join('\n'), message);
    assert.equal(outcome.code, code);
  });
}
