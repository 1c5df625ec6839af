// SPDX-License-Identifier: Apache-2.0
/** Labs whose store dies and freezes: a fault of the store is none of the network. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { DatastoreName } from '../../src/lab/spec.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { client, outsider, ruleset, server, shop, storePid } from '../support/shop.ts';
import { Traffic } from '../support/traffic.ts';

const stores: readonly DatastoreName[] = ['etcd', 'kubernetes'];

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
