// SPDX-License-Identifier: Apache-2.0
/** Pods that come and go faster than the lab looks. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { listNetns } from '../../src/kernel/netns.ts';
import { keyOf } from '../../src/model/kinds.ts';
import type { Resource } from '../../src/model/types.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { pod } from '../support/resources.ts';
import { Traffic } from '../support/traffic.ts';

labTest(
  'a Pod of the name of one that has just gone is a new one: other place, addresses and namespace',
  { nodes: 2 },
  async (lab) => {
    const again = (node: string) => pod('default/again', { node, ports: ['80'] });
    const key = keyOf(again('node1'));
    await lab.put(pod('default/other', { node: 'node1', ports: ['80'] }), again('node1'));
    await lab.settle();
    const seen = [lab.pod('default/again').inode]; // held by the test, so it outlives its name

    for (const [node, ...addresses] of [
      ['node2', '10.65.9.9', 'fd65::9:9'],
      ['node2', '10.65.9.10', 'fd65::9:a'],
    ] as const) {
      await lab.store.writeAll([
        { op: 'delete', key },
        { op: 'create', key, resource: withAddresses(again(node), addresses) },
      ]);
      await lab.settle();
      assert.equal(await lab.address('default/again', 4), addresses[0]);
      seen.push(lab.pod('default/again').inode);
      await allPairsAgree(lab);
    }
    assert.equal(new Set(seen).size, 3, 'a namespace of its own each time');
  },
);

labTest("names of namespaces whose making was cut short stand in no Pod's way", { nodes: 1 }, async (lab) => {
  const [wanted, unwanted] = ['wanted', 'unwanted'].map((name) => lab.layout.podNetns('default', name));
  for (const name of [wanted, unwanted]) writeFileSync(`/run/netns/${name}`, '');
  await lab.put(pod('default/other', { ports: ['80'] }), pod('default/wanted', { ports: ['80'] }));
  await lab.settle();
  assert.ok(!listNetns().includes(unwanted ?? ''), 'removed');
  await allPairsAgree(lab);
});

labTest(
  'what comes for Pods while the process that answers for them is busy is not lost',
  { nodes: 1 },
  async (lab) => {
    await lab.put(pod('default/server', { ports: ['81/udp'] }), pod('default/client', {}));
    await lab.settle();
    using traffic = new Traffic();
    const to = { address: await lab.address('default/server', 4), port: 81 };
    for (let i = 0; i < 20; i++)
      traffic.flow('UDP', { name: `flow ${i}`, from: lab.pod('default/client'), to });
    await traffic.start();
    process.kill(lab.daemonPid, 'SIGSTOP');
    await traffic.goOn(50); // on each flow: more than a socket holds by default
    process.kill(lab.daemonPid, 'SIGCONT');
    await traffic.stop();
    traffic.assertUnharmed();
  },
);

function withAddresses({ metadata, ...rest }: Resource, addresses: readonly string[]): Resource {
  const annotations = { 'cni.projectcalico.org/ipAddrs': JSON.stringify(addresses) };
  return { ...rest, metadata: { ...metadata, annotations } };
}

async function allPairsAgree(lab: LabRig): Promise<void> {
  for (const ipVersion of ['4', '6']) {
    const options = ['--against-policy', '--port', '80', '--ip-version', ipVersion];
    const { code, out } = await lab.cli('probe', ...options);
    assert.equal(code, 0, out);
  }
}
