// SPDX-License-Identifier: Apache-2.0
/** Connections that another data plane let pass live on when eBPF is switched on under them; new ones meet policy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { answeredConnections } from '../../src/kernel/conntrack.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { EbpfScene } from '../support/ebpf-scene.ts';
import { Traffic } from '../support/traffic.ts';
import { rootTest } from './root-test.ts';

const virtual = parseAddress('10.97.0.1');

/** As another tool publishes a port: a rule of the host leads a virtual address to pod b. */
const dnat = `
  add table ip published
  add chain ip published pre { type nat hook prerouting priority -100; }
  add rule ip published pre ip daddr 10.97.0.1 tcp dport 8080 dnat to 10.65.0.2:80
`;

rootTest(
  'eBPF take-over: connections of Linux live on when nftables goes and eBPF comes; new ones meet policy',
  async () => {
    await using scene = new EbpfScene();
    const nft = (text: string) => scene.rig.node.run(() => execFileSync('nft', ['-f', '-'], { input: text }));
    await scene.start('nftables');
    nft(dnat);
    using traffic = new Traffic();
    const { netns } = scene.rig.workload('a');
    for (const family of [4, 6] as const) {
      const to = { address: scene.rig.address('b', family), port: 80 };
      traffic.flow('TCP', { name: `a to b IPv${family}`, from: netns, to });
    }
    traffic.flow('TCP', { name: 'a to a published port', from: netns, to: { address: virtual, port: 8080 } });
    await traffic.start();
    await traffic.goOn(10);
    const tracked = scene.rig.node.run(() => answeredConnections());
    assert.equal(tracked.length, 3);
    assert.equal(
      tracked.filter(({ original, reply }) => original.dst !== reply.src).length,
      1,
      'one is translated',
    );

    await scene.stop();
    scene.members(); // nobody may, from now on
    nft('flush ruleset');
    const report = await scene.start();
    assert.deepEqual(report.failed, []);
    await scene.quiet();
    await traffic.goOn(20);
    assert.equal(await scene.verdicts(), '', 'new ones are refused');
    await scene.stop();
    await scene.start(); // an agent that finds us in force takes nothing over a second time
    await traffic.goOn(20);
    await traffic.stop();
    traffic.assertUnharmed();
  },
);

rootTest('eBPF take-over: back to nftables', async () => {
  await using scene = new EbpfScene();
  await scene.start();
  const traffic = await scene.traffic();
  await scene.stop();
  await scene.start('nftables');
  await scene.quiet();
  await traffic.goOn(20);
  await traffic.stop();
  traffic.assertUnharmed();
  assert.equal(await scene.verdicts(), 'a:80/4 a:80/6');
});
