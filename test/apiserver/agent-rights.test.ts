// SPDX-License-Identifier: Apache-2.0
/** manifests/agent-rbac.yaml is enough for what an agent does with the store, and for nothing else. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openKubernetes } from '../../src/datastore/kubernetes/store.ts';
import { ForbiddenError } from '../../src/lib/errors.ts';
import { Secret } from '../../src/lib/secret.ts';
import { TestCluster } from '../support/kubernetes.ts';

const manifest = new URL('../../manifests/agent-rbac.yaml', import.meta.url).pathname;
const account = { name: 'system:serviceaccount:kube-system:muslin-agent', groups: ['system:authenticated'] };

test("an agent reads everything that it enforces under the agent's role, and writes nothing", async () => {
  await using cluster = await TestCluster.start();
  const folder = mkdtempSync(join(tmpdir(), 'muslin-rights-'));
  try {
    const admin = join(folder, 'admin');
    writeFileSync(admin, cluster.server.adminKubeconfig(), { mode: 0o600 });
    const inline = new Secret(cluster.server.kubeconfigOf(account));
    await using agent = openKubernetes({ type: 'kubernetes', kubeconfig: [], inline });
    await assert.rejects(agent.snapshot(), ForbiddenError, 'before it has the role');
    await promisify(execFile)('kubectl', ['--kubeconfig', admin, 'apply', '-f', manifest]);
    const { revision, items } = await agent.snapshot();
    assert.ok(items.some(({ key }) => key.kind === 'Namespace'));
    await agent.index();
    const changes = agent.watch(revision, new AbortController().signal);
    const heard = changes.next();
    await using writer = cluster.open();
    const tier = { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name: 'a' }, spec: {} };
    await writer.create({ kind: 'Tier', name: 'a' }, tier);
    assert.ok(!(await heard).done);
    await changes.return(undefined);
    await assert.rejects(agent.create({ kind: 'Tier', name: 'b' }, tier), ForbiddenError);
    await assert.rejects(agent.delete({ kind: 'Tier', name: 'a' }), ForbiddenError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
