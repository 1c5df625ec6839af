// SPDX-License-Identifier: Apache-2.0
/** bash is run with it; zsh reads the same text, and of fish the text is looked at. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

describe('completion in bash', () => {
  const session = new CliSession();
  let script = '';
  before(async () => {
    script = session.write('completion', (await session.run(['completion', 'bash'])).out);
    // names of objects are asked of the command itself
    const program = session.write('muslin', '#!/bin/sh\necho "$@" >> "$0.asked"\necho web-1\necho web-2\n');
    chmodSync(program, 0o755);
  });
  after(() => session[Symbol.dispose]());

  /** The last word is the one that is completed. */
  function offered(...words: readonly string[]): readonly string[] {
    const list = ['muslin', ...words].map((word) => `'${word}'`).join(' ');
    const text = `source ${script}\nCOMP_WORDS=(${list})\nCOMP_CWORD=${words.length}\n_muslin\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
    const path = `${dirname(script)}:${process.env.PATH}`;
    const out = execFileSync('bash', ['--norc', '-uc', text], {
      encoding: 'utf8',
      env: { PATH: path },
      cwd: session.folder,
    });
    return out
      .trim()
      .split('\n')
      .filter((word) => word !== '');
  }

  test('commands, and those below them', () => {
    assert.deepEqual(offered('app'), ['apply']);
    assert.deepEqual([...offered('la')].sort(), ['lab', 'label']);
    assert.deepEqual(offered('datastore', 'migrate', 'l'), ['lock']);
    assert.equal(offered('').includes('get'), true);
    assert.equal(offered('lab', '').includes('daemon'), false, 'what is hidden');
  });

  test('flags of the command, not of another', () => {
    assert.deepEqual(offered('apply', '--server'), ['--server-side']);
    assert.deepEqual(offered('get', '--server'), []);
    assert.deepEqual(offered('get', '-n', 'x', '--all-n'), ['--all-namespaces']);
  });

  test('kinds, then names of that kind in the namespace that was said', () => {
    assert.deepEqual(offered('get', 'globalnetworkp'), ['globalnetworkpolicies']);
    assert.deepEqual(offered('delete', '-n', 'x', 'tie'), ['tiers']);
    assert.deepEqual(offered('get', 'pods', 'web'), ['web-1', 'web-2']);
    assert.deepEqual(offered('label', 'pods', '--namespace=shop', 'web-2'), ['web-2']);
  });

  test('values of a flag: its choices, files, forms of output', () => {
    assert.deepEqual(offered('patch', 'tier', 'a', '--type', 'm'), ['merge']);
    assert.deepEqual(offered('get', 'pods', '-o', 'js'), ['json', 'jsonpath=']);
    assert.deepEqual(offered('apply', '-f', 'compl'), ['completion']);
    assert.deepEqual(offered('apply', '--dry-run', '=', 's'), ['server'], 'words as bash parts them');
    assert.deepEqual(offered('apply', '--dry-run', '='), ['none', 'client', 'server']);
    assert.deepEqual(offered('delete', '--dry-run', 'tie'), ['tiers'], 'no value of the flag');
    assert.deepEqual(offered('get', '--namespace', '=', 'shop', 'tie'), ['tiers']);
    assert.deepEqual(offered('get', 'pods', '-l', 'w'), [], 'free words are free');
  });

  test('zsh reads the same, fish its own; no other shell', async () => {
    const zsh = (await session.run(['completion', 'zsh'])).out;
    assert.match(zsh, /^#compdef muslin\n.*bashcompinit/);
    const fish = (await session.run(['completion', 'fish'])).out;
    assert.match(
      fish,
      /^complete -c muslin -n '__fish_seen_subcommand_from patch' -s t -l type -x -a 'strategic merge json'/m,
    );
    assert.equal(fish.includes('globalnetworkpolicies'), true);
    assert.equal((await session.run(['completion', 'csh'])).code, 2);
  });
});
