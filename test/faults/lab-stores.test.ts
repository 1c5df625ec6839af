// SPDX-License-Identifier: Apache-2.0
/** Labs whose store dies, freezes and is emptied: a fault of the store is none of the network. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { DatastoreName } from '../../src/lab/spec.ts';
import { startStoreServer } from '../../src/lab/store-server.ts';
import type { Resource } from '../../src/model/types.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { globalPolicy, pod } from '../support/resources.ts';
import { Traffic } from '../support/traffic.ts';

const stores: readonly DatastoreName[] = ['etcd', 'kubernetes'];
const server = 'default/server';
const client = 'default/client';
const outsider = 'default/outsider';
const run = promisify(execFile);

/** Server and clients on different nodes; who is no client may not. */
function shop(): readonly Resource[] {
  const fromClients = ['TCP', 'UDP'].map((protocol) => ({
    action: 'Allow',
    protocol,
    source: { selector: "role == 'client'" },
    destination: { ports: [80, 81] },
  }));
  return [
    pod(server, { labels: { role: 'server' }, ports: ['80', '81/udp'], node: 'node1' }),
    pod(client, { labels: { role: 'client' }, node: 'node2' }),
    pod(outsider, { labels: { role: 'outsider' }, node: 'node2' }),
    globalPolicy('server', {
      selector: "role == 'server'",
      order: 1,
      types: ['Ingress'],
      ingress: fromClients,
    }),
  ];
}

async function shopTraffic(lab: LabRig): Promise<Traffic> {
  const traffic = new Traffic();
  traffic.victim(server, lab.pod(server), 9999);
  for (const family of [4, 6] as const) {
    const address = await lab.address(server, family);
    const way = (from: string, port: number) => ({
      name: `${from} to ${port}, IPv${family}`,
      from: lab.pod(from),
      to: { address, port },
    });
    traffic.flow('TCP', way(client, 80));
    traffic.flow('UDP', way(client, 81));
    traffic.fresh(way(client, 80));
    traffic.forbid(way(client, 9999));
    for (const port of [80, 9999]) traffic.forbid(way(outsider, port));
  }
  await traffic.start();
  return traffic;
}

function storePid(lab: LabRig): number {
  return Number(readFileSync(lab.layout.storePid, 'utf8'));
}

/** Without whose it is: an agent that was killed owns nothing. */
function ruleset(lab: LabRig, node: string): string {
  const nft = ['netns', 'exec', lab.layout.nodeNetns(node), 'nft', 'list', 'ruleset'];
  return execFileSync('ip', nft, { encoding: 'utf8' }).replaceAll(/ # progname.*|^\tflags.*\n/gm, '');
}

async function isAnswering(lab: LabRig): Promise<boolean> {
  return lab.store.position(['Namespace']).then(
    () => true,
    () => false,
  );
}

async function allAre(lab: LabRig, datastore: string): Promise<boolean> {
  const reports = await Promise.all(lab.spec.nodes.map(({ name }) => lab.status(name).catch(() => null)));
  return reports.every((report) => report?.datastore === datastore);
}

async function inSyncWithin(lab: LabRig, ms: number): Promise<void> {
  const start = performance.now();
  await lab.until(() => allAre(lab, 'in-sync'), 'all agents are in sync');
  assert.ok(performance.now() - start < ms, `in sync after ${performance.now() - start} ms`);
}

for (const datastore of stores)
  labTest(
    `the store (${datastore}) is killed, then frozen for 12 s, and an agent killed meanwhile: traffic goes on`,
    { nodes: 2, datastore, expectedErrors: [/pods do not converge; trying again/] },
    async (lab) => {
      await lab.put(...shop());
      await lab.settle();
      using traffic = await shopTraffic(lab);
      const first = storePid(lab);
      process.kill(first, 'SIGKILL');
      await lab.until(() => storePid(lab) !== first, 'the lab starts another');
      await lab.until(() => isAnswering(lab), 'it answers');
      await lab.until(() => allAre(lab, 'in-sync'), 'all agents are in sync');

      process.kill(storePid(lab), 'SIGSTOP');
      const frozen = performance.now();
      await lab.until(() => allAre(lab, 'unreachable'), 'all agents say that the store is unreachable');
      assert.ok(performance.now() - frozen < 10_000, `noticed after ${performance.now() - frozen} ms`);
      const before = ruleset(lab, 'node1');
      const killed = lab.agentPid('node1');
      process.kill(killed, 'SIGKILL');
      await lab.until(() => lab.agentPid('node1') !== killed, 'another agent is started');
      await lab.until(async () => (await lab.health('node1', 'liveness')) === 204, 'it answers');
      await delay(Math.max(1000, 12_000 - (performance.now() - frozen)));
      assert.equal((await lab.status('node1')).applies, 0);
      assert.equal(ruleset(lab, 'node1'), before, 'what is in force stays');
      process.kill(storePid(lab), 'SIGCONT');
      await inSyncWithin(lab, 3000);
      await lab.settle();
      await traffic.stop();
      traffic.assertUnharmed();
    },
  );

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

function onNode1(resource: Resource): Resource {
  if (resource.kind !== 'Pod') return resource;
  return { ...resource, spec: { ...(resource.spec as object), nodeName: 'node1' } };
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
