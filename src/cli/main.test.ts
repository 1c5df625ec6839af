// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

test('version and help end with 0 on standard output', async () => {
  using cli = new CliSession();
  assert.match((await cli.run(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
  const help = await cli.run(['apply', '--help']);
  assert.equal(help.code, 0);
  assert.match(help.out, /^Usage: muslin apply/);
});

test('wrong usage ends with 2 and says what is right', async () => {
  using cli = new CliSession();
  const wrong = [
    ['nosuch'],
    ['apply', '--nosuch'],
    ['apply'],
    [],
    ['policy'],
    ['get'],
    ['get', 'nokind'],
    ['get', 'pods', 'a', '-A'],
  ];
  for (const args of wrong) {
    const { code, notes } = await cli.run(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(notes.join('\n'), /usage:/i, args.join(' '));
  }
});

test('a command that is no filter refuses --ndjson', async () => {
  using cli = new CliSession();
  const { code, notes } = await cli.run(['--ndjson', 'get', 'pods']);
  assert.equal(code, 2);
  assert.match(notes[0] ?? '', /muslin get is not a filter/);
});

test('filters to come answer unsupported, each request', async () => {
  using cli = new CliSession();
  for (const words of ['policy match-http', 'bgp render', 'ipam select']) {
    const answers = await cli.run(['--ndjson', ...words.split(' ')], '{}\nnot json\n{"a": 1}\n');
    assert.equal(answers.code, 0);
    const lines = answers.out.trim().split('\n');
    assert.deepEqual([lines[0], lines[2]], ['{"unsupported":true}', '{"unsupported":true}']);
    assert.match(lines[1] ?? '', /"error"/);
    const forPeople = await cli.run([...words.split(' '), '--anything', 'x']);
    assert.equal(forPeople.code, 1);
    assert.match(forPeople.notes[0] ?? '', /not supported yet/);
  }
});

test('a missing lab and datastore are told apart from a missing object', async () => {
  using cli = new CliSession();
  const { code, notes } = await cli.run(['get', 'pods', '--datastore', `${cli.folder}/none.db`]);
  assert.equal(code, 3);
  assert.match(notes[0] ?? '', /none\.db does not exist/);
});
