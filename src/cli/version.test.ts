// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const information =
  '{apiVersion: projectcalico.org/v3, kind: ClusterInformation, metadata: {name: default}, spec: {calicoVersion: v3.30.1, clusterType: "k8s,bgp"}}';

test("ours alone, with git's own word for the commit", async () => {
  using session = new CliSession();
  const { code, out } = await session.run(['version', '--client']);
  assert.equal(code, 0);
  assert.match(out, /^Client Version: +v\d+\.\d+\.\d+\n/);
  const root = new URL('../..', import.meta.url).pathname;
  const commit = execFileSync('git', ['-c', 'safe.directory=*', 'rev-parse', 'HEAD'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.match(out, new RegExp(`^Git commit: +${commit.trim()}$`, 'm'));
});

test("the cluster's, as ClusterInformation says it, for people and for programs", async () => {
  using session = new CliSession();
  await session.run(['apply', '-f', '-'], information);
  const { out } = await session.run(['version']);
  assert.match(
    out,
    /^Cluster Version: +v3\.30\.1\nCluster Calico Version: v3\.30\.1\nCluster Type: +k8s,bgp\n$/m,
  );
  const { cluster } = JSON.parse((await session.run(['version', '-o', 'json'])).out);
  assert.deepEqual(cluster, { version: 'v3.30.1', calicoVersion: 'v3.30.1', type: 'k8s,bgp' });
  assert.match((await session.run(['version', '--client', '-o', 'yaml'])).out, /^clientVersion: v/);
});

test('a cluster that says nothing is unknown; no store is an error after our own version', async () => {
  using session = new CliSession();
  const none = await session.run(['version']);
  assert.equal(none.code, 3);
  assert.match(none.out, /^Client Version/);
  await session.run(['apply', '-f', '-'], '{apiVersion: v1, kind: Namespace, metadata: {name: a}}');
  assert.match((await session.run(['version'])).out, /Cluster Version: +unknown\nCluster Type: +unknown\n$/);
  assert.equal((await session.run(['version', '--poll', 'often'])).code, 2);
});
