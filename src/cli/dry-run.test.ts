// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession, type Outcome } from '../../test/support/cli-session.ts';

const tier = (name: string, order: number) =>
  `{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: ${name}, labels: {of: test}}, spec: {order: ${order}}}\n`;

async function filled(): Promise<CliSession> {
  const cli = new CliSession();
  assert.equal((await cli.run(['apply', '-f', '-'], tier('a', 5))).code, 0);
  return cli;
}

async function everything(cli: CliSession): Promise<string> {
  return (await cli.run(['get', 'all', '-A', '-o', 'yaml'])).out;
}

const name = 'tier.projectcalico.org';
const changes: readonly [readonly string[], string, string][] = [
  [['apply', '-f', '-'], `${tier('a', 6)}---\n${tier('b', 7)}`, `${name}/a configured`],
  [['create', '-f', '-'], tier('c', 7), `${name}/c created`],
  [['replace', '-f', '-'], tier('a', 8), `${name}/a replaced`],
  [['patch', 'tier', 'a', '-p', '{"spec":{"order":9}}'], '', `${name}/a patched`],
  [['label', 'tier', 'a', 'x=y'], '', `${name}/a labeled`],
  [['delete', 'tier', 'a'], '', `${name}/a deleted`],
];

for (const [words, stdin, line] of changes) {
  test(`${words[0]} --dry-run says what it would do and writes nothing`, async () => {
    using cli = await filled();
    const before = await everything(cli);
    const lines: readonly [string, string][] = [
      ['--dry-run', ' (dry run)'],
      ['--dry-run=client', ' (dry run)'],
      ['--dry-run=server', ' (server dry run)'],
    ];
    for (const [flag, mark] of lines) {
      const [verb = '', ...rest] = words; // a bare flag does not take the next word for its own
      const { code, out }: Outcome = await cli.run([verb, flag, ...rest], stdin);
      assert.equal(code, 0);
      assert.equal(out.split('\n')[0], line + mark);
    }
    assert.equal(await everything(cli), before);
    assert.equal((await cli.run([...words, '--dry-run=none'], stdin)).out.split('\n')[0], line);
    assert.notEqual(await everything(cli), before);
  });
}

test('what a write would refuse, a dry run refuses with the same code', async () => {
  using cli = await filled();
  const code = async (words: readonly string[], stdin = '') =>
    (await cli.run([...words, '--dry-run=server'], stdin)).code;
  assert.equal(await code(['create', '-f', '-'], tier('a', 5)), 4);
  assert.equal(await code(['replace', '-f', '-'], tier('b', 5)), 3);
  assert.equal(await code(['apply', '-f', '-'], tier('a', 5).replace('order', 'oder')), 5);
  assert.equal(await code(['delete', 'tier', 'b']), 3);
  assert.equal((await cli.run(['apply', '-f', '-', '--dry-run=maybe'], tier('a', 5))).code, 2);
});

test('a dry run makes no store where none was', async () => {
  using cli = new CliSession();
  const { code, out } = await cli.run(['apply', '-f', '-', '--dry-run'], tier('a', 5));
  assert.deepEqual([code, out], [0, `${name}/a created (dry run)\n`]);
  assert.equal((await cli.run(['get', 'tiers'])).code, 3, 'still none');
});

test('--diff prints which fields change, and with a dry run that is all', async () => {
  using cli = await filled();
  const asked = await cli.run(['apply', '-f', '-', '--diff', '--dry-run'], tier('a', 6));
  assert.equal(asked.out, `${name}/a configured (dry run)\n  spec.order: 5 -> 6\n`);
  const done = await cli.run(['apply', '-f', '-', '--diff'], tier('a', 6));
  assert.equal(done.out, `${name}/a configured\n  spec.order: 5 -> 6\n`);
});

test('--server-side is for a Kubernetes store', async () => {
  using cli = await filled();
  const { code, notes } = await cli.run(['apply', '-f', '-', '--server-side'], tier('a', 6));
  assert.equal(code, 1);
  assert.match(notes.join(), /got a datastore of type embedded, want kubernetes; leave --server-side out/);
});

test('--skip-exists, --skip-not-exists, --skip-empty leave what they name', async () => {
  using cli = await filled();
  const created = await cli.run(
    ['create', '-f', '-', '--skip-exists'],
    `${tier('a', 9)}---\n${tier('b', 9)}`,
  );
  assert.equal(created.out, `${name}/a unchanged (exists already)\n${name}/b created\n`);
  assert.match((await cli.run(['get', 'tier', 'a'])).out, /a +5/);
  const deleted = await cli.run(['delete', 'tier', 'b', 'none', '--skip-not-exists']);
  assert.equal(deleted.out, `${name}/b deleted\n`);
  const empty = cli.write('empty.yaml', '# nothing\n');
  assert.equal((await cli.run(['apply', '-f', empty])).code, 5);
  assert.equal((await cli.run(['apply', '-f', empty, '--skip-empty'])).code, 0);
  assert.equal((await cli.run(['delete', '-f', empty, '--skip-empty'])).code, 0);
});

test('delete by label, and all of a kind; what is built in stays', async () => {
  using cli = await filled();
  const other = tier('b', 7).replace('of: test', 'of: other');
  await cli.run(['apply', '-f', '-'], other);
  assert.equal((await cli.run(['delete', 'tiers', '-l', 'of=test', '-o', 'name'])).out, `${name}/a\n`);
  assert.equal((await cli.run(['delete', 'tiers', '--all'])).out, `${name}/b deleted\n`);
  assert.deepEqual(await cli.run(['delete', 'tiers', '--all']), {
    code: 0,
    out: '',
    notes: ['No resources found'],
  });
  assert.match((await cli.run(['get', 'tiers'])).out, /^default /m);
  const wrong = [
    ['tiers'],
    ['all', '--all'],
    ['tier', 'a', '--all'],
    ['tiers', '--all', '-l', 'a=b'],
    ['tiers', '-A'],
  ];
  for (const words of wrong) assert.equal((await cli.run(['delete', ...words])).code, 2, words.join(' '));
});

test("Go's way of writing flags: --wait=false, --all=true; others are left alone", async () => {
  using cli = await filled();
  for (const flags of [['--wait=false'], ['--no-wait'], ['--wait=true'], ['--wait']]) {
    const { code } = await cli.run(['apply', '-f', '-', ...flags], tier('a', 6));
    assert.equal(code, 0, flags.join());
  }
  assert.equal((await cli.run(['delete', 'tiers', '--all=false'])).code, 2);
  assert.equal((await cli.run(['delete', 'tiers', '--all=true'])).code, 0);
  assert.equal((await cli.run(['get', 'tiers', '--nosuch=true'])).code, 2);
});

test('what is taken for the sake of habits', async () => {
  using cli = await filled();
  for (const flags of [['--no-color'], ['--log-level', 'debug'], ['--allow-version-mismatch']])
    assert.equal((await cli.run(['get', 'tiers', ...flags])).code, 0, flags.join());
  assert.equal((await cli.run(['--no-color', '--log-level=info', 'get', 'tiers'])).code, 0);
  assert.equal((await cli.run(['apply', '-l', 'debug', '-f', '-'], tier('a', 5))).code, 0);
  assert.equal((await cli.run(['apply', '-l', 'loud', '-f', '-'], tier('a', 5))).code, 2);
});
