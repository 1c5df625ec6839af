// SPDX-License-Identifier: Apache-2.0
/** The nftables driver on the real kernel: converge, adopt, repair, stay silent when nothing changed. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { anyPeer } from '../../src/calc/resolve-rule.ts';
import type { DataplaneMessage, ResolvedEndpoint, ResolvedRule } from '../../src/contract/dataplane.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { NftablesDriver } from '../../src/drivers/nftables/driver.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import type { Address, Cidr, IpSetId, KeyPath } from '../../src/lib/brand.ts';
import { NodeRig } from '../support/node-rig.ts';

const policyId = 'NetworkPolicy/default/allow-a' as KeyPath;
const setId = 's:a' as IpSetId;

function rule(change: Partial<ResolvedRule>): ResolvedRule {
  return { action: 'allow', src: anyPeer, dst: anyPeer, ...change };
}

function endpointOf(rig: NodeRig, name: string, policed: boolean): DataplaneMessage {
  const workload = rig.workload(name);
  const endpoint: ResolvedEndpoint = {
    name: `default/${name}`,
    ifName: workload.ifName,
    addresses: workload.addresses,
    adminUp: true,
    tiers: policed ? [{ name: 'default', defaultAction: 'deny', ingress: [policyId], egress: [] }] : [],
    profiles: ['open'],
  };
  return { kind: 'endpoint-update', id: `WorkloadEndpoint/default/${name}` as KeyPath, endpoint };
}

/** `b` admits TCP port 80 from members of the set only; `a` and `c` are open. */
function messages(rig: NodeRig, members: readonly string[]): DataplaneMessage[] {
  const allow = rule({
    protocol: 6,
    src: { ...anyPeer, sets: [setId] },
    dst: { ...anyPeer, ports: [{ first: 80, last: 80 }] },
  });
  return [
    { kind: 'ipset-update', id: setId, set: { type: 'net', members, description: 'a' } },
    {
      kind: 'policy-update',
      id: policyId,
      policy: {
        kind: 'NetworkPolicy',
        namespace: 'default',
        name: 'allow-a',
        tier: 'default',
        ingress: [allow],
        egress: [],
      },
    },
    {
      kind: 'profile-update',
      name: 'open',
      profile: { missing: false, ingress: [rule({})], egress: [rule({})] },
    },
    endpointOf(rig, 'a', false),
    endpointOf(rig, 'b', true),
    endpointOf(rig, 'c', false),
    { kind: 'in-sync' },
  ];
}

function drive(rig: NodeRig, list: readonly DataplaneMessage[]): NftablesDriver {
  const driver = rig.node.run(() => new NftablesDriver(rig.driverOptions));
  for (const message of list) driver.onMessage(message);
  return driver;
}

const both = (rig: NodeRig, name: string): Cidr[] =>
  rig
    .workload(name)
    .addresses.map((address: Address) => `${address}/${address.includes(':') ? 128 : 32}` as Cidr);

async function verdicts(rig: NodeRig): Promise<string> {
  const results: string[] = [];
  for (const from of ['a', 'c']) {
    for (const port of [80, 81]) {
      for (const family of [4, 6] as const) {
        if (await rig.connects(from, 'b', port, family)) results.push(`${from}:${port}/${family}`);
      }
    }
  }
  return results.join(' ');
}

test('nftables driver: packets meet the policy; a second apply sends nothing', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  await using driver = drive(rig, messages(rig, both(rig, 'a')));
  assert.equal(await verdicts(rig), '', 'born closed: nothing passes before the first apply');
  assert.deepEqual(await driver.probe(), [], 'this host has all that is wanted');
  const report = await rig.apply(driver);
  assert.deepEqual(report.failed, []);
  assert.equal(report.openEndpoints.length, 3);
  assert.equal(await verdicts(rig), 'a:80/4 a:80/6');
  assert.equal((await rig.apply(driver)).changed, 0);
  driver.queueResync('test');
  assert.equal((await rig.apply(driver)).changed, 0, 'also after reading everything back');
});

test('nftables driver: a set turns from hosts to networks and back under its rules', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  await using driver = drive(rig, messages(rig, both(rig, 'a')));
  await rig.apply(driver);
  const nets = ['10.65.0.0/16', 'fd65::/64'];
  driver.onMessage({ kind: 'ipset-delta', id: setId, add: nets, remove: both(rig, 'a') });
  assert.deepEqual((await rig.apply(driver)).failed, []);
  assert.equal(await verdicts(rig), 'a:80/4 a:80/6 c:80/4 c:80/6');
  driver.onMessage({ kind: 'ipset-delta', id: setId, add: both(rig, 'c'), remove: nets });
  assert.deepEqual((await rig.apply(driver)).failed, []);
  assert.equal(await verdicts(rig), 'c:80/4 c:80/6');
});

test('nftables driver: a new process adopts what it finds and removes what is no longer wanted', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  {
    await using first = drive(rig, messages(rig, both(rig, 'a')));
    await rig.apply(first);
  }
  assert.equal(await verdicts(rig), 'a:80/4 a:80/6', 'what was programmed outlives its agent');
  {
    await using second = drive(rig, messages(rig, both(rig, 'a')));
    assert.equal((await rig.apply(second)).changed, 0);
  }
  await using third = drive(
    rig,
    messages(rig, both(rig, 'c')).filter(
      (m) => m.kind !== 'endpoint-update' || m.endpoint.name !== 'default/a',
    ),
  );
  assert.deepEqual((await rig.apply(third)).failed, []);
  assert.equal(await verdicts(rig), 'c:80/4 c:80/6', 'a is unknown now, hence closed');
});

test('nftables driver: what a stranger did while no agent lived is put right at start', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  {
    await using first = drive(rig, messages(rig, both(rig, 'a')));
    await rig.apply(first);
  }
  const nft = (text: string) => rig.node.run(() => execFileSync('nft', ['-f', '-'], { input: text }));
  nft('flush chain ip muslin b-forward; add rule ip muslin b-forward accept; add chain ip muslin strange');
  nft(
    'delete chain ip muslin b-output; add chain ip muslin b-output { type filter hook output priority 7; }',
  );
  await using second = drive(rig, messages(rig, both(rig, 'a')));
  const repair = await rig.apply(second);
  assert.deepEqual(repair.failed, []);
  assert.ok(repair.changed > 0);
  assert.equal((await rig.apply(second)).changed, 0);
  assert.equal(await verdicts(rig), 'a:80/4 a:80/6');
  assert.doesNotMatch(
    rig.node.run(() => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })),
    /strange/,
  );
});

test('nftables driver: tables deleted while no agent lives open nothing: the guard wants the mark', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  {
    await using first = drive(rig, messages(rig, both(rig, 'a')));
    await rig.apply(first);
  }
  rig.node.run(() => execFileSync('nft', ['flush', 'ruleset']));
  assert.equal(await verdicts(rig), '');
});

test('nftables driver: routes and guards changed by others are heard and repaired', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  await using driver = drive(rig, messages(rig, both(rig, 'a')));
  await rig.apply(driver);
  const repairAfter = async (change: () => void) => {
    await rig.apply(driver); // what was heard before is dealt with
    const heard = new Promise<string>((resolve) => driver.onStrangersChange(resolve));
    change();
    const reason = await heard;
    assert.ok((await rig.apply(driver)).changed > 0, reason);
    assert.equal(await verdicts(rig), 'a:80/4 a:80/6');
  };
  const b = rig.workload('b');
  await repairAfter(() => rig.node.run(() => execFileSync('ip', ['route', 'del', `${b.addresses[0]}`])));
  await repairAfter(() =>
    rig.node.run(() => execFileSync('ip', ['route', 'replace', 'blackhole', `${b.addresses[0]}`])),
  );
  await repairAfter(() => rig.detachGuard('b'));
});

test('nftables driver: a workload whose link is not up yet is no failure; when it is, its route is there', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  await using driver = drive(rig, messages(rig, both(rig, 'a')));
  const set = (state: 'up' | 'down') =>
    rig.node.run(() => execFileSync('ip', ['link', 'set', rig.workload('a').ifName, state]));
  set('down');
  assert.deepEqual((await rig.apply(driver)).failed, []);
  const heard = new Promise<string>((resolve) => driver.onStrangersChange(resolve));
  set('up');
  await heard;
  await rig.apply(driver);
  const routes = rig.node.run(() =>
    execFileSync('ip', ['route', 'show', 'proto', '80'], { encoding: 'utf8' }),
  );
  assert.match(routes, new RegExp(`^${rig.address('a', 4)} dev `, 'm'));
});

for (const Driver of [NftablesDriver, EbpfDriver]) {
  test(`${Driver.name}: a link that came up just before its endpoint is told has its routes at once`, async () => {
    await using rig = new NodeRig(['a']);
    const { ifName, addresses } = rig.workload('a');
    using host = rig.node.run(() => Rtnetlink.open());
    const index = host.links.get(ifName)?.index ?? 0;
    host.links.set(index, { up: false });
    await using driver = rig.node.run(() => new Driver(rig.driverOptions));
    driver.onMessage({ kind: 'in-sync' });
    await rig.apply(driver);
    host.links.set(index, { up: true });
    driver.onMessage(endpointOf(rig, 'a', false));
    await rig.apply(driver); // before the event loop could read of the link
    const routes = ([4, 6] as const).flatMap((family) => host.routes.list(family, { protocol: 80 }));
    assert.equal(routes.length, addresses.length);
  });
}

test('nftables driver: an object that the kernel refuses closes what depends on it, and no more', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  const list = messages(rig, both(rig, 'a')).filter((message) => message.kind !== 'ipset-update');
  await using driver = drive(rig, list); // the rule looks into a set that does not exist
  const report = await rig.apply(driver);
  assert.ok(report.failed.length > 0);
  assert.deepEqual(report.openEndpoints.map(String).sort(), [
    'WorkloadEndpoint/default/a',
    'WorkloadEndpoint/default/c',
  ]);
  assert.equal(await verdicts(rig), '');
  assert.ok(await rig.connects('a', 'c', 80, 4), 'others work');
  driver.onMessage({
    kind: 'ipset-update',
    id: setId,
    set: { type: 'net', members: both(rig, 'a'), description: '' },
  });
  driver.queueResync('test');
  assert.deepEqual((await rig.apply(driver)).failed, []);
  assert.equal(await verdicts(rig), 'a:80/4 a:80/6');
});

test('nftables driver: an endpoint that goes leaves neither rule nor route nor open link', async () => {
  await using rig = new NodeRig(['a', 'b', 'c']);
  await using driver = drive(rig, messages(rig, both(rig, 'a')));
  await rig.apply(driver);
  for (const name of ['a', 'b', 'c'])
    driver.onMessage({ kind: 'endpoint-remove', id: `WorkloadEndpoint/default/${name}` as KeyPath });
  driver.onMessage({ kind: 'profile-remove', name: 'open' });
  driver.onMessage({ kind: 'policy-remove', id: policyId });
  driver.onMessage({ kind: 'ipset-remove', id: setId });
  const report = await rig.apply(driver);
  assert.deepEqual([report.failed, report.openEndpoints], [[], []]);
  const routes = rig.node.run(() =>
    execFileSync('ip', ['route', 'show', 'proto', '80'], { encoding: 'utf8' }),
  );
  assert.equal(routes, '');
  const chains = rig.node.run(() => execFileSync('nft', ['list', 'chains'], { encoding: 'utf8' }));
  assert.doesNotMatch(chains, / [pwtec][ie]?-/);
  assert.equal(await verdicts(rig), '');
});
