// SPDX-License-Identifier: Apache-2.0
/** The real kubectl with bin/ in its path. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { TestCluster } from '../../test/support/kubernetes.ts';

const bin = new URL('../../bin', import.meta.url).pathname;

function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('kubectl muslin', { skip: !hasKubectl() && 'want kubectl' }, () => {
  const files = new CliSession();
  const kubeconfig = join(files.folder, '.kube', 'config');
  let cluster: TestCluster;

  function kubectl(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const { KUBECONFIG: _, ...environment } = process.env;
    const path = `${bin}:${process.env.PATH}`;
    const options = { env: { ...environment, HOME: files.folder, PATH: path, ...env }, timeout: 30_000 };
    return new Promise((resolve) => {
      execFile('kubectl', words, options, (error, out, err) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
      });
    });
  }

  before(async () => {
    cluster = await TestCluster.start();
    mkdirSync(join(files.folder, '.kube'));
    writeFileSync(kubeconfig, cluster.server.adminKubeconfig());
    const context = [
      'config',
      'set-context',
      'web',
      '--cluster',
      'muslin',
      '--user',
      'muslin-admin',
      '--namespace',
      'web',
    ];
    assert.equal((await kubectl(context)).code, 0);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    files[Symbol.dispose]();
  });

  test('calls itself by the name that it was called by', async () => {
    assert.match((await kubectl(['muslin', 'get', '--help'])).out, /^Usage: kubectl muslin get /);
    assert.match((await kubectl(['calico', '--help'])).out, /^Usage: kubectl calico /);
    const wrong = await kubectl(['muslin', 'get']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /usage: kubectl muslin get/);
  });

  test("works on kubectl's cluster, in the namespace of its context, also beside a lab", async () => {
    const policy = files.write(
      'p.yaml',
      'apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {selector: all()}\n',
    );
    const applied = await kubectl(['muslin', 'apply', '-f', policy]);
    assert.match(applied.out, /networkpolicy\.projectcalico\.org\/default\/p created/, applied.err);
    const inWeb = await kubectl(['muslin', 'apply', '-f', policy, '--context', 'web']);
    assert.match(inWeb.out, /networkpolicy\.projectcalico\.org\/web\/p created/, inWeb.err);
    const get = ['calico', 'get', 'networkpolicies', '-o', 'name'];
    assert.equal((await kubectl([...get, '--context=web'])).out, 'networkpolicy.projectcalico.org/web/p\n');
    assert.equal(
      (await kubectl([...get, '--context=web', '-n', 'default'])).out.match(/\/default\/p/g)?.length,
      1,
    );
    assert.equal((await kubectl([...get, '-A'])).out.split('\n').length, 3);
    const lab = files.write('lab.json', '{"broken": true}');
    const beside = await kubectl(get, { MUSLIN_LAB: join(lab, '..') });
    assert.equal(beside.code, 0, beside.err);
    const seen = await kubectl(['get', 'networkpolicies.projectcalico.org', '-n', 'web', '-o', 'name']);
    assert.equal(seen.out, 'networkpolicy.projectcalico.org/p\n');
  });

  test('--kubeconfig and KUBECONFIG name another; a context that is not there is said', async () => {
    const copy = files.write('copy', cluster.server.adminKubeconfig());
    for (const [words, env] of [
      [['--kubeconfig', copy], { HOME: '/nonexistent' }],
      [[], { HOME: '/nonexistent', KUBECONFIG: `/nonexistent/config:${copy}` }],
    ] as const)
      assert.equal((await kubectl(['muslin', 'get', 'tiers', ...words], env)).code, 0);
    const lost = await kubectl(['muslin', 'get', 'tiers', '--context', 'lost']);
    assert.equal(lost.code, 5);
    assert.match(lost.err, /got no context "lost"/);
    const nothing = await kubectl(['muslin', 'get', 'tiers'], { HOME: '/nonexistent' });
    assert.equal(nothing.code, 3);
    assert.match(nothing.err, /no cluster is named/);
  });
});
