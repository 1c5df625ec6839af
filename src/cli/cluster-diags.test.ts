// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { LabLayout } from '../lab/layout.ts';
import { labSpec, numberedNodes } from '../lab/spec.ts';

const seeds = [
  'env-seed-4711',
  'etcd-seed-4712',
  'token-seed-4713-abcdefgh',
  'pod-seed-4714',
  'url-seed-4715',
];
const [ofVariable = '', ofEtcd = '', ofToken = '', ofPod = '', ofUrl = ''] = seeds;

const pod = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web',
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"password":"${ofPod}"}` },
  },
  spec: {
    containers: [
      { name: 'm', image: 'i', env: [{ name: 'PASSWORD', value: ofPod }], args: [`--password=${ofPod}`] },
    ],
  },
});

/** A lab that does not run: its folder alone, with what its processes wrote. */
function labOf(session: CliSession, nodes: number): LabLayout {
  const layout = new LabLayout(join(session.folder, 'lab'));
  mkdirSync(dirname(layout.datastore), { recursive: true });
  writeFileSync(layout.specFile, JSON.stringify(labSpec(numberedNodes(nodes), [])));
  writeFileSync(layout.daemonLog, `started\n`);
  const line = (time: string, text: string) => `${JSON.stringify({ level: 'info', time, msg: text })}\n`;
  for (const name of numberedNodes(nodes)) {
    mkdirSync(layout.nodeFolder(name), { recursive: true });
    const secret = `https://root:${ofUrl}@10.0.0.1 ${ofVariable} ${ofEtcd} Bearer ${ofToken}`;
    writeFileSync(
      layout.agentLog(name),
      line('2020-01-01T00:00:00.000Z', 'old') + line(new Date().toISOString(), `young ${secret}`),
    );
  }
  return layout;
}

function unpacked(session: CliSession, archive: string): ReadonlyMap<string, string> {
  const folder = join(session.folder, 'unpacked');
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', archive, '-C', folder]);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1).replace(/^[^/]*\//, ''), readFileSync(path, 'utf8')];
    }),
  );
}

test('the archive has what is there, says what is not, and no secret', async () => {
  using session = new CliSession();
  const layout = labOf(session, 2);
  const kubeconfig = session.write('kubeconfig', `users: [{name: a, user: {token: ${ofToken}}}]\n`);
  await session.run(['apply', '-f', '-', '--lab', layout.folder, '--no-wait'], pod);
  const output = join(session.folder, 'diags.tar.gz');
  const env = { MY_SECRET: ofVariable, ETCD_PASSWORD: ofEtcd, KUBECONFIG: kubeconfig, HOME: session.folder };
  const words = [
    'cluster',
    'diags',
    '--output',
    output,
    '--since',
    '1h',
    '--max-logs',
    '1',
    '--lab',
    layout.folder,
  ];
  const { code, out, notes } = await session.run(words, '', env);
  assert.deepEqual([code, out], [0, `${output}\n`], notes.join());
  assert.equal(statSync(output).mode & 0o777, 0o600);
  const files = unpacked(session, output);
  assert.match(files.get('version.json') ?? '', /"clientVersion"/);
  assert.match(files.get('resources/pods.yaml') ?? '', /name: PASSWORD\n +value: "\[left out\]"/);
  assert.match(files.get('host/environment.txt') ?? '', /^ETCD_PASSWORD$/m);
  assert.match(files.get('host/tools.txt') ?? '', /^tar: /m);
  const log = files.get('nodes/node1/agent.log') ?? '';
  assert.match(log, /young/);
  assert.doesNotMatch(log, /old/);
  const missing = files.get('missing.txt') ?? '';
  assert.match(missing, /nodes\/node1\/status\.json: cannot reach/);
  assert.match(missing, /logs of 1 node: --max-logs is 1/);
  for (const [name, text] of files)
    for (const seed of seeds) assert.equal(text.includes(seed), false, `${seed} in ${name}`);
  assert.equal((await session.run(words, '', env)).code, 4, 'nothing is overwritten');
});

test('a store that is away is told in the archive; wrong words are told before it is made', async () => {
  using session = new CliSession();
  const output = join(session.folder, 'diags.tar.gz');
  const { code, notes } = await session.run(['cluster', 'diags', '--output', output]);
  assert.equal(code, 0);
  assert.match(notes.join(), /left out: resources: .*does not exist/);
  assert.equal((await session.run(['cluster', 'diags', '--since', 'long'])).code, 2);
  assert.equal((await session.run(['cluster', 'diags', '--max-logs', 'x'])).code, 2);
  assert.equal((await session.run(['cluster', 'diags', '--output', '/nonexistent/x'])).code, 6);
});
