// SPDX-License-Identifier: Apache-2.0
/** Who we are to a Kubernetes API, and what it lets us do and see, changes while a syncer watches. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { User } from '../../src/apiserver/user.ts';
import { clusterAccess } from '../../src/datastore/kubernetes/access.ts';
import { Connection } from '../../src/datastore/kubernetes/connection.ts';
import type { JsonObject, Resource } from '../../src/model/types.ts';
import type { TestCluster } from '../support/kubernetes.ts';
import { KubernetesScene } from '../support/kubernetes-scene.ts';

const folder = mkdtempSync(join(tmpdir(), 'muslin-identity-'));
after(() => rmSync(folder, { recursive: true }));

const agent: User = { name: 'agent', groups: ['agents'] };
const administrator: User = { name: 'root', groups: ['system:masters'] };

/** The administrator's kubeconfig, as somebody else. */
function kubeconfigAs(cluster: TestCluster, user: string): string {
  return cluster.server
    .adminKubeconfig()
    .replace(/user:\n(\s+)client-certificate-data[\s\S]*/, `user:\n$1${user}\n`);
}

/** Of the administrator, to what the datastore does not speak of. */
async function ask(
  cluster: TestCluster,
  method: 'POST' | 'DELETE',
  path: string,
  body?: JsonObject,
): Promise<void> {
  await using connection = new Connection(() => clusterAccess(cluster.config, {}));
  const answer = await connection.send({ method, path, ...(body ? { body: JSON.stringify(body) } : {}) });
  assert.ok(answer.status < 300, answer.text);
}

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const binding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'agents' },
  subjects: [{ kind: 'Group', name: 'agents', apiGroup: 'rbac.authorization.k8s.io' }],
  roleRef: { kind: 'ClusterRole', name: 'reader', apiGroup: 'rbac.authorization.k8s.io' },
};

async function letAgentsRead(cluster: TestCluster): Promise<void> {
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'reader' },
    rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch'] }],
  };
  await ask(cluster, 'POST', `${rbac}/clusterroles`, role);
  await ask(cluster, 'POST', `${rbac}/clusterrolebindings`, binding);
}

suite('identity at a Kubernetes API', { concurrency: true, timeout: 120_000 }, () => {
  test('the token in a file is rotated, with and without a time in which both are good', async () => {
    const tokens = new Map([['first', administrator]]);
    const file = join(folder, 'token');
    writeFileSync(file, 'first\n');
    await using scene = await KubernetesScene.open({
      api: { tokens },
      kubeconfig: (cluster) => kubeconfigAs(cluster, `tokenFile: ${file}`),
    });
    tokens.set('second', administrator);
    writeFileSync(file, 'second\n');
    await delay(1100);
    tokens.delete('first');
    scene.cluster.server.faults.endWatches();
    await delay(500);
    tokens.set('third', administrator).delete('second');
    writeFileSync(file, 'third\n');
    scene.cluster.server.faults.endWatches();
    await delay(500);
    await scene.settled();
    assert.deepEqual(scene.cache.outages, []);
  });

  test('the token in a kubeconfig is another one: a refusal makes it read anew', async () => {
    const tokens = new Map([['first', administrator]]);
    await using scene = await KubernetesScene.open({
      api: { tokens },
      kubeconfig: (cluster) => kubeconfigAs(cluster, 'token: first'),
    });
    tokens.set('second', administrator).delete('first');
    scene.cluster.writeKubeconfig(kubeconfigAs(scene.cluster, 'token: second'));
    scene.cluster.server.faults.endWatches();
    await delay(500);
    await scene.settled();
    assert.deepEqual(scene.cache.outages, []);
  });

  test('another authority, another certificate of the server: the kubeconfig is read anew', async () => {
    const messages: string[] = [];
    await using scene = await KubernetesScene.open({
      syncer: { onUnavailable: (error) => messages.push(error.message) },
    });
    const key = /client-key-data: (\S{40})/.exec(scene.cluster.server.adminKubeconfig())?.[1] ?? '';
    await scene.churn[Symbol.asyncDispose]();
    await scene.cluster.down();
    scene.cluster.forgetCertificates();
    await scene.cluster.up();
    while (!messages.some((message) => /certificate/.test(message))) await delay(20);
    scene.cluster.writeKubeconfig();
    await using truth = scene.cluster.open();
    await scene.cache.settled(truth, scene.churn.lasting);
    assert.ok(!messages.join().includes(key));
  });

  test('rights taken away and given back', async () => {
    await using scene = await KubernetesScene.open({
      kubeconfig: async (cluster) => {
        await letAgentsRead(cluster);
        return cluster.server.kubeconfigOf(agent);
      },
    });
    const { cluster, cache } = scene;
    await ask(cluster, 'DELETE', `${rbac}/clusterrolebindings/agents`);
    cluster.server.faults.endWatches();
    await delay(1000);
    assert.ok(cache.outages.length > 0, 'noticed');
    await ask(cluster, 'POST', `${rbac}/clusterrolebindings`, binding);
    await scene.settled();
  });

  test('definitions removed, and installed again: their objects go and come', async () => {
    await using scene = await KubernetesScene.open({ store: { discoveryMs: 200 } });
    const { cluster, cache, writer } = scene;
    const key = { kind: 'NetworkSet', namespace: 'default', name: 'some' } as const;
    const set: Resource = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'NetworkSet',
      metadata: { namespace: 'default', name: 'some' },
      spec: { nets: ['10.0.0.0/8'] },
    };
    await writer.create(key, set);
    const definition =
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/networksets.projectcalico.org';
    await ask(cluster, 'DELETE', definition);
    while (!cache.removed.has('NetworkSet/default/some')) await delay(20);
    await delay(500);
    await cluster.installDefinitions();
    await delay(500);
    await using anew = cluster.open();
    await anew.create(key, set);
    await scene.settled();
  });
});
