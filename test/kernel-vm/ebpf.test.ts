// SPDX-License-Identifier: Apache-2.0
/** What `make test-kernel-vm` runs on an old kernel: every object loads, a policy is compiled, attached and met by packets. */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { join } from 'node:path';
import { anyPeer } from '../../src/calc/resolve-rule.ts';
import type { DataplaneMessage, ResolvedRule } from '../../src/contract/dataplane.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { detachLink, openPin, supportsTcx } from '../../src/kernel/bpf/link.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import type { IpSetId, KeyPath } from '../../src/lib/brand.ts';
import { hostCidr, parseCidr } from '../../src/lib/cidr.ts';
import { rootTest } from '../kernel/root-test.ts';
import { NodeRig } from '../support/node-rig.ts';

const policyId = 'NetworkPolicy/default/to-b' as KeyPath;
const clients = 's:clients' as IpSetId;

function rule(change: Partial<ResolvedRule>): ResolvedRule {
  return { action: 'allow', src: anyPeer, dst: anyPeer, ...change };
}

/** b takes TCP to 80 from a, after a hundred rules that are about others. */
function messages(rig: NodeRig): readonly DataplaneMessage[] {
  const others = Array.from({ length: 100 }, (_, i) =>
    rule({
      action: 'deny',
      src: { ...anyPeer, nets: [parseCidr(`198.51.${i}.0/24`), parseCidr(`2001:db8:${i}::/48`)] },
    }),
  );
  const ports = [{ first: 80, last: 80 }];
  const fromClients = rule({ protocol: 6, src: { ...anyPeer, sets: [clients] }, dst: { ...anyPeer, ports } });
  const members = [...rig.workload('a').addresses.map(hostCidr), parseCidr('10.99.0.0/16')];
  return [
    { kind: 'ipset-update', id: clients, set: { type: 'net', members, description: 'clients' } },
    {
      kind: 'policy-update',
      id: policyId,
      policy: {
        kind: 'NetworkPolicy',
        namespace: 'default',
        name: 'to-b',
        tier: 'default',
        ingress: [...others, fromClients],
        egress: [],
      },
    },
    {
      kind: 'profile-update',
      name: 'open',
      profile: { missing: false, ingress: [rule({})], egress: [rule({})] },
    },
    ...['a', 'b', 'c'].map((name): DataplaneMessage => {
      const { ifName, addresses } = rig.workload(name);
      const tiers =
        name === 'b'
          ? [{ name: 'default', defaultAction: 'deny' as const, ingress: [policyId], egress: [] }]
          : [];
      const endpoint = {
        name: `default/${name}`,
        ifName,
        addresses,
        adminUp: true,
        tiers,
        profiles: ['open'],
      };
      return { kind: 'endpoint-update', id: `WorkloadEndpoint/default/${name}` as KeyPath, endpoint };
    }),
    { kind: 'in-sync' },
  ];
}

function drive(rig: NodeRig): EbpfDriver {
  const driver = rig.node.run(() => new EbpfDriver(rig.driverOptions));
  for (const message of messages(rig)) driver.onMessage(message);
  return driver;
}

async function verdicts(rig: NodeRig): Promise<string> {
  const results: string[] = [];
  for (const from of ['a', 'c'])
    for (const port of [80, 81])
      for (const family of [4, 6] as const)
        if (await rig.connects(from, 'b', port, family)) results.push(`${from}:${port}/${family}`);
  return results.join(' ');
}

rootTest(
  'every object loads; what a policy allows passes, and no more; programs outlive the agent and come back',
  async () => {
    process.stderr.write(`Linux ${release()}, programs by ${supportsTcx() ? 'tcx' : 'clsact'}\n`);
    await using rig = new NodeRig(['a', 'b', 'c']);
    assert.equal(await verdicts(rig), '', 'born closed');
    {
      await using first = drive(rig);
      assert.deepEqual(await first.probe(), []);
      const report = await rig.apply(first);
      assert.deepEqual([report.failed, report.openEndpoints.length], [[], 3]);
      assert.equal((await rig.apply(first)).changed, 0, 'a second apply is silent');
      first.sweep();
    }
    assert.equal(await verdicts(rig), 'a:80/4 a:80/6', 'they outlive the agent');
    await using second = drive(rig);
    assert.deepEqual((await rig.apply(second)).failed, []);
    takeOff(rig);
    assert.equal(await verdicts(rig), '', 'the gate holds');
    second.queueResync('test');
    assert.ok((await rig.apply(second)).changed > 0);
    assert.equal(await verdicts(rig), 'a:80/4 a:80/6');
  },
);

/** As `tc filter del` does, or `bpftool link detach`: at once, unlike the removal of pins. */
function takeOff(rig: NodeRig): void {
  rig.node.run(() => {
    using rt = Rtnetlink.open();
    for (const name of ['a', 'b', 'c']) {
      const { ifName } = rig.workload(name);
      const { index } = rt.links.get(ifName) ?? {};
      assert.ok(index);
      for (const side of ['ingress', 'egress'] as const) {
        for (const filter of rt.trafficControl.listBpf(index, side)) rt.trafficControl.deleteBpf(filter);
        using link = openPin(join(rig.driverOptions.bpf, `${ifName}-${side === 'ingress' ? 'in' : 'out'}`));
        if (link) detachLink(link);
      }
    }
  });
}
