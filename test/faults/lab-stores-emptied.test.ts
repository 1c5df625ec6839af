// SPDX-License-Identifier: Apache-2.0
/** Labs whose store comes back empty, and Pods that kubectl makes, changes and ends. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DatastoreName } from '../../src/lab/spec.ts';
import { startStoreServer } from '../../src/lab/store-server.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { pod } from '../support/resources.ts';
import { onNode1, ruleset, server, shop, storePid } from '../support/shop.ts';

const stores: readonly DatastoreName[] = ['etcd', 'kubernetes'];
const run = promisify(execFile);

for (const datastore of stores)
  labTest(
    `the store (${datastore}) comes back empty: nothing leaves the data plane until it is confirmed`,
    { nodes: 1, datastore, expectedErrors: [/E-MASSDELETE/] },
    async (lab) => {
      await lab.put(...shop().map(onNode1));
      for (let i = 0; i < 9; i++) await lab.put(pod(`default/other-${i}`, { labels: { role: 'other' } }));
      await lab.settle();
      const before = ruleset(lab, 'node1');
      const { openEndpoints } = await lab.status('node1');
      await emptied(lab);
      await lab.until(async () => (await lab.status('node1')).heldDeletions.length > 0, 'deletions are held');
      const { heldDeletions } = await lab.status('node1');
      assert.ok(heldDeletions.some(({ kind, missing }) => kind === 'Pod' && missing === 12));
      assert.ok(
        heldDeletions.some(({ kind }) => kind === 'GlobalNetworkPolicy'),
        'the few with the many',
      );
      assert.equal(ruleset(lab, 'node1'), before);
      assert.deepEqual((await lab.status('node1')).openEndpoints, openEndpoints);
      const { code, out, notes } = await lab.cli('datastore', 'confirm-deletions');
      assert.equal(code, 0, notes);
      assert.match(out, /12 of 12 Pod/);
      await lab.until(async () => (await lab.status('node1')).heldDeletions.length === 0, 'they are told');
      await lab.until(async () => (await lab.status('node1')).openEndpoints.length === 0, 'all is closed');
      process.kill(lab.daemonPid, 'SIGCONT');
    },
  );

/** The lab's process, which would end Pods that are not stored as a kubelet does, stands still. */
async function emptied(lab: LabRig): Promise<void> {
  await lab.closeStore();
  process.kill(lab.daemonPid, 'SIGSTOP');
  const pid = storePid(lab);
  process.kill(pid, 'SIGKILL');
  await lab.until(() => !readdirSync('/proc').includes(String(pid)) || isZombie(pid), 'the store is dead');
  const folder = lab.layout.storeFolder;
  for (const name of ['etcd', 'api']) rmSync(join(folder, name), { recursive: true, force: true });
  rmSync(lab.layout.storePid);
  await startStoreServer(lab.layout, lab.spec);
  await lab.openStore();
}

/** Its parent, which would take note of its end, stands still. */
function isZombie(pid: number): boolean {
  return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

labTest(
  'kubectl makes Pods that run, relabels them, and deletes them',
  { nodes: 1, datastore: 'kubernetes' },
  async (lab) => {
    await lab.put(...shop().map(onNode1));
    await lab.settle();
    const kubectl = (...words: readonly string[]) =>
      run('kubectl', ['--kubeconfig', lab.layout.kubeconfig, ...words], {
        encoding: 'utf8',
        timeout: 20_000,
      });
    const isReached = async () => {
      const probe = ['probe', '--from', 'default/made', '--to', server, '--port', '80', '-o', 'json'];
      return JSON.parse((await lab.cli(...probe)).out)[0]?.allowed as boolean;
    };
    await kubectl('run', 'made', '--image=any', '--labels=role=outsider', '--restart=Never');
    await kubectl('wait', 'pod/made', '--for=jsonpath={.status.phase}=Running', '--timeout=15s');
    await lab.settle();
    assert.equal(await isReached(), false);
    await kubectl('label', 'pod', 'made', 'role=client', '--overwrite');
    await lab.settle();
    assert.equal(await isReached(), true);
    await kubectl('delete', 'pod', 'made');
    const left = await kubectl('get', 'pods', '-o', 'name');
    assert.doesNotMatch(left.stdout, /made/);
  },
);
