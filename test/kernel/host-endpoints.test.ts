// SPDX-License-Identifier: Apache-2.0
/**
 * Hosts under policy on the real kernel: whose interface is whose, what stays open, the stages around connection tracking
 * and translation, and what lies between a host and its pods. Where no interface is named, eth0 leads to out0.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { NftablesDriver } from '../../src/drivers/nftables/driver.ts';
import type { Resource } from '../../src/model/types.ts';
import { HostRig, type OpenDriver } from '../support/host-rig.ts';
import { calico, gnp, hep, type Json, np } from '../support/oracle-cluster.ts';

const dataplanes: { readonly [name in 'nftables' | 'ebpf']: OpenDriver } = {
  nftables: (options) => new NftablesDriver(options),
  ebpf: (options) => new EbpfDriver(options),
};
type Name = keyof typeof dataplanes;
const all: readonly Name[] = ['nftables', 'ebpf'];

function hostTest(
  promise: string,
  run: (host: HostRig, name: Name) => Promise<void>,
  names: readonly Name[] = all,
): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: network namespaces, netlink, bpf';
  for (const name of names) {
    test(`host endpoints, ${name}: ${promise}`, { skip }, async () => {
      await using host = new HostRig(dataplanes[name]);
      await run(host, name);
    });
  }
}

const eth0 = hep('eth0', { interfaceName: 'eth0' });
const eth1 = hep('eth1', { interfaceName: 'eth1' });
const everywhere = hep('all', { interfaceName: '*' });
const denyAll = policy('deny-all', { order: 99, types: ['Ingress', 'Egress'] });

/** About hosts alone. */
function policy(name: string, spec: Json): Resource {
  return gnp(name, { selector: 'has(host)', ...spec });
}

function udp(action: string, port: number, side: 'destination' | 'source' = 'destination'): Json {
  return { action, protocol: 'UDP', [side]: { ports: [port] } };
}

function settings(spec: Json): Resource {
  return calico('FelixConfiguration', 'default', spec);
}

hostTest('a named interface without policy passes failsafes alone, the others are nobody’s', async (host) => {
  await host.become(eth0);
  await host.expect({
    'out0 > h0 udp 9000': false,
    'out0 > h0 tcp 80': false,
    'out0 > h0 tcp 22': true,
    'out0 > h0 udp 68': true,
    'out0 > h0 udp 22': false,
    'h0 > out0 udp 9000': false,
    'h0 > out0 tcp 22': false,
    'h0 > out0 udp 53': true,
    'h0 > out0 tcp 179': true,
    'out1 > h1 udp 9000': true,
    'h1 > out1 udp 9000': true,
    'out0 > out1 udp 9000': true,
    'out0 > a udp 9000': true,
    'a > out0 udp 9000': true,
  });
});

hostTest(
  'failsafes are as the settings say, each for its network, and none where none is wanted',
  async (host) => {
    const ports = [
      { protocol: 'UDP', port: 7000 },
      { protocol: 'TCP', port: 7001, net: '192.0.2.10/32' },
      { protocol: 'TCP', port: 7001, net: '2001:db8:1::/64' },
      { protocol: 'TCP', port: 7002, net: '198.51.100.0/24' },
    ];
    await host.become(eth0, settings({ failsafeInboundHostPorts: ports, failsafeOutboundHostPorts: [] }));
    await host.expect({
      'out0 > h0 udp 7000': true,
      'out0 > h0 tcp 7001': true,
      'out0 > h0 tcp 7002': false,
      'out0 > h0 tcp 22': false,
      'h0 > out0 udp 53': false,
    });
  },
);

hostTest('`*` is every interface but a named one, pods and the loopback', async (host) => {
  await host.become(everywhere, hep('eth1', { interfaceName: 'eth1', profiles: ['kns.red'] }), denyAll);
  await host.expect({
    'out0 > h0 udp 9000': false,
    'h0 > out0 udp 9000': false,
    'out0 > h0 tcp 22': true,
    'out1 > h1 udp 9000': false,
    'h0 > h0 udp 9001': true,
    'h0 > h1 tcp 80': true,
    'h0 > a udp 9002': true,
    'h1 > b tcp 8081': true,
    'a > b udp 9003': true,
  });
  await host.become(everywhere, hep('eth1', { interfaceName: 'eth1', profiles: ['kns.red'] }));
  await host.expect({ 'out1 > h1 udp 9004': true, 'out0 > h0 udp 9004': false });
});

hostTest('by its expected address an endpoint follows it from link to link', async (host) => {
  const expecting = hep('h', { expectedIPs: ['172.16.0.1', 'fd16::1', '203.0.113.1'] });
  await host.become(expecting, denyAll);
  await host.expect({ 'out0 > h0 udp 9000': false, 'out1 > h1 udp 9000': true });
  await host.afterHearingOf(() => {
    host.sh('ip', 'addr', 'del', '172.16.0.1/32', 'dev', 'eth0');
    host.sh('ip', 'addr', 'del', 'fd16::1/128', 'dev', 'eth0');
  });
  await untilFates(host, { 'out0 > out1 udp 9001': true, 'out1 > h1 udp 9001': true });
  await host.afterHearingOf(() => host.sh('ip', 'addr', 'add', '203.0.113.1/32', 'dev', 'eth1'));
  await untilFates(host, { 'out1 > h1 udp 9002': false });
  await host.afterHearingOf(() => host.sh('ip', 'addr', 'del', '203.0.113.1/32', 'dev', 'eth1'));
  await untilFates(host, { 'out1 > h1 udp 9003': true });
});

/** Two changes may be heard as one or as two. */
async function untilFates(host: HostRig, fates: Parameters<HostRig['expect']>[0]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual((await host.apply()).failed, []);
  await host.expect(fates);
}

hostTest(
  'of two that claim one interface the first by name has it, and the second when that is gone',
  async (host) => {
    const [first, second] = ['a', 'b'].map((name) => hep(name, { interfaceName: 'eth0' }, { host: name }));
    assert.ok(first && second);
    const open = policy('open', { selector: "host == 'b'", ingress: [{ action: 'Allow' }] });
    await host.become(second, first, open);
    await host.expect({ 'out0 > h0 udp 9000': false });
    await host.become(second, open);
    await host.expect({ 'out0 > h0 udp 9000': true });
  },
);

hostTest(
  'an interface is policed from its first packet, also when it comes after its endpoint',
  async (host, name) => {
    await host.become(hep('late', { interfaceName: 'late0' }), eth0);
    await host.expect({ 'out1 > h1 udp 9000': true });
    const rename = () => host.sh('ip', 'link', 'set', 'eth1', 'name', 'late0');
    // nftables goes by the name, whether the driver is asked to apply or not; programs stand at links, and it must hear of them
    if (name === 'nftables') rename();
    else await host.afterHearingOf(rename);
    await host.expect({ 'out1 > h1 udp 9001': false, 'out1 > h1 tcp 22': true });
    host.sh('ip', 'link', 'set', 'late0', 'name', 'eth1');
  },
);

hostTest(
  'untracked policy comes first, lets failsafes and their replies pass by port, and drops by rule alone',
  async (host) => {
    const spec = { doNotTrack: true, applyOnForward: true, order: 1 };
    const deny = [{ action: 'Deny' }];
    const open = policy('open', { order: 2, ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] });
    await host.become(eth0, open, policy('raw', { ...spec, ingress: deny, egress: deny }));
    await host.expect({
      'out0 > h0 tcp 22': true,
      'h0 > out0 tcp 22:40001': true,
      'h0 > out0 tcp 23:40002': false,
      'out0 > h0 udp 53:40003': true,
      'out0 > h0 udp 54:40004': false,
      'out0 > h0 tcp 179:40005': true,
      'out0 > h0 udp 179:40006': false,
      'h0 > out0 udp 68:40007': true,
      'out0 > out1 udp 9000': false,
      'out0 > a udp 9000': false,
      'a > out0 udp 9001': true, // what is forwarded has met connection tracking before it leaves
    });
    await host.become(eth0, policy('raw', { ...spec, ingress: [udp('Deny', 9010)], egress: [] }));
    await host.expect({
      'out0 > out1 udp 9010': false,
      'out0 > out1 udp 9011': true,
      'out0 > h0 udp 9011': false,
    });
  },
);

hostTest(
  'what untracked policy allows has no entry in connection tracking, and each way is asked for itself',
  async (host, name) => {
    const spec = { doNotTrack: true, applyOnForward: true, order: 1 };
    await host.become(
      eth0,
      policy('raw', { ...spec, ingress: [udp('Allow', 9000)] }),
      policy('some', { ingress: [udp('Allow', 9001)] }),
    );
    await host.expect({
      'out0 > h0 udp 9100:9000': true,
      'out0 > h0 udp 9101:9001': true,
      'h0 > out0 udp 9000:9100': false,
      'h0 > out0 udp 9001:9101': true,
    });
    const trackedPorts = ports[name];
    const tracked = await trackedPorts(host);
    assert.ok(tracked.has(9001), 'what is tracked is seen');
    assert.ok(!tracked.has(9000), 'what is not is not');
    await host.become(
      eth0,
      policy('raw', { ...spec, ingress: [udp('Allow', 9000)], egress: [udp('Allow', 9000, 'source')] }),
    );
    await host.expect({ 'h0 > out0 udp 9000:9102': true, 'h0 > out0 udp 9001:9103': false });
    assert.ok(!(await trackedPorts(host)).has(9000));
  },
);

/** Destination ports of all flows. */
const ports: { readonly [N in Name]: (host: HostRig) => Promise<ReadonlySet<number>> } = {
  /** As the kernel lists them for the thread's own namespace: /proc/net/nf_conntrack. */
  nftables: async (host) => {
    const text = host.rig.node.run(() => readFileSync('/proc/thread-self/net/nf_conntrack', 'utf8'));
    return new Set([...text.matchAll(/dport=(\d+)/g)].map(([, port]) => Number(port)));
  },
  ebpf: async ({ driver }) => {
    assert.ok(driver instanceof EbpfDriver);
    const answer = await driver.inspect({ kind: 'conntrack', limit: 1000 });
    assert.ok(answer.kind === 'conntrack');
    return new Set(answer.flows.flatMap(({ dst }) => dst.port ?? []));
  },
};

const portForward = (host: HostRig) => {
  host.nft(`add table ip test-nat
    add chain ip test-nat pre { type nat hook prerouting priority dstnat; }
    add rule ip test-nat pre udp dport { 8000, 8001 } dnat to ${host.address('a', 4)}:9000
    add table ip6 test-nat
    add chain ip6 test-nat pre { type nat hook prerouting priority dstnat; }
    add rule ip6 test-nat pre udp dport { 8000, 8001 } dnat to [${host.address('a', 6)}]:9000`);
};

hostTest(
  'pre-DNAT policy sees the destination as it came, and what it accepts passes the host',
  async (host, name) => {
    portForward(host);
    // programs see a packet before somebody else's rules translate it: for them it is the host's, whose policy must let it in
    const open = name === 'nftables' ? [] : [policy('in', { order: 2, ingress: [udp('Allow', 8001)] })];
    const spec = { preDNAT: true, applyOnForward: true, types: ['Ingress'], order: 1 };
    const before = (ingress: readonly Json[]) => policy('before', { ...spec, ingress });
    await host.become(eth0, ...open, before([udp('Deny', 8000), udp('Deny', 9000)]));
    await host.expect({ 'out0 > h0 udp 8000': false, 'out0 > h0 udp 8001': 'a', 'out0 > a udp 9000': false });
    const mine = { nets: ['172.16.0.1/32'] };
    const toHost = [
      { action: 'Deny', destination: mine },
      { action: 'Deny', destination: { nets: ['fd16::1/128'] } },
    ];
    await host.become(eth0, ...open, before(toHost));
    await host.expect({ 'out0 > h0 udp 8001': false, 'out0 > a udp 9001': true, 'out0 > h0 tcp 22': true });
    await host.become(eth0, before([udp('Allow', 9002)]));
    await host.expect({
      'out0 > h0 udp 9002': true,
      'out0 > h0 udp 9003': false,
      'out0 > out1 udp 9003': true,
    });
  },
);

hostTest('what the host sends is judged at the link by which it leaves, past translation', async (host) => {
  host.nft(`add table ip test-nat
    add chain ip test-nat out { type nat hook output priority -100; }
    add rule ip test-nat out udp dport 7000 dnat to ${host.address('out1', 4)}
    add table ip6 test-nat
    add chain ip6 test-nat out { type nat hook output priority -100; }
    add rule ip6 test-nat out udp dport 7000 dnat to ${host.address('out1', 6)}`);
  const [first, second] = ['eth0', 'eth1'].map((name) => hep(name, { interfaceName: name }, { host: name }));
  assert.ok(first && second);
  const open = (name: string) =>
    policy(`open-${name}`, { selector: `host == '${name}'`, egress: [{ action: 'Allow' }] });
  await host.become(first, second, open('eth1'));
  await host.expect({ 'h0 > out0 udp 7000': 'out1', 'h0 > out0 udp 7001': false });
  await host.become(first, second, open('eth0'));
  await host.expect({ 'h0 > out0 udp 7000': false, 'h0 > out0 udp 7001': true });
});

hostTest(
  'what passes through meets the policies for it alone, at both links, and pods’ own too',
  async (host) => {
    const through = policy('through', {
      order: 5,
      applyOnForward: true,
      selector: "host == 'eth0'",
      ingress: [udp('Allow', 9000)],
      egress: [udp('Allow', 9001)],
    });
    const first = hep('eth0', { interfaceName: 'eth0' }, { host: 'eth0' });
    await host.become(first, hep('eth1', { interfaceName: 'eth1' }, { host: 'eth1' }), denyAll, through);
    await host.expect({
      'out0 > out1 udp 9000': true,
      'out0 > out1 udp 9001': false,
      'out1 > out0 udp 9001': true,
      'out1 > out0 udp 9000': false,
      'out0 > a udp 9000': true,
      'out0 > a udp 9002': false,
      'a > out0 udp 9001': true,
      'a > out0 udp 9002': false,
      'a > b udp 9002': true,
    });
    const closed = np('red', 'closed', { selector: "app == 'a'", types: ['Ingress'] });
    await host.become(first, through, closed);
    await host.expect({ 'out0 > a udp 9000': false, 'out0 > b udp 9000': true });
  },
);

hostTest('pods reach their host as the settings say, from one moment to the next', async (host) => {
  const to = (action: string) => settings({ defaultEndpointToHostAction: action });
  await host.become(to('Drop'));
  await host.expect({ 'a > h0 udp 9000': false, 'a > h1 tcp 22': false });
  for (const action of ['Accept', 'Return', 'Drop', 'Accept']) {
    await host.become(everywhere, denyAll, to(action));
    await host.expect({
      'a > h0 udp 9001': action !== 'Drop',
      'b > h1 tcp 22': action !== 'Drop',
      'h0 > a udp 9001': true,
    });
  }
  const closed = np('red', 'closed', { selector: "app == 'a'", types: ['Egress'] });
  await host.become(everywhere, closed, to('Accept'));
  await host.expect({ 'a > h0 udp 9002': false, 'b > h0 udp 9002': true });
});

hostTest('pods send no tunnel packets but where they may', async (host) => {
  const tunnels = {
    'a > b udp 4789': false,
    'a > out0 udp 4789': false,
    'a > b ipip': false,
    'a > out0 ipip': false,
  };
  await host.become();
  await host.expect({ ...tunnels, 'a > b udp 4790': true, 'out0 > a udp 4789': true, 'out0 > b ipip': true });
  await host.become(settings({ allowVXLANPacketsFromWorkloads: true, vxlanPort: 4789 }));
  await host.expect({ ...tunnels, 'a > b udp 4789': true, 'a > out0 udp 4789': true });
  await host.become(settings({ allowIPIPPacketsFromWorkloads: true, vxlanPort: 4790 }));
  await host.expect({
    'a > b udp 4789': true,
    'a > b udp 4790': false,
    'a > b ipip': true,
    'a > out0 ipip': true,
  });
});

hostTest('neighbours find each other under deny-all', async (host) => {
  await host.become(eth0, denyAll);
  const [mine, other] = [host.address('h0', 6), host.address('out0', 6)];
  host.sh('ip', '-6', 'neigh', 'del', other, 'dev', 'eth0');
  await host.expect({ 'h0 > out0 tcp 179': true }, [6]);
  assert.match(host.sh('ip', '-6', 'neigh', 'show', other), /REACHABLE|DELAY|STALE|PROBE/);
  inside(host, 'ip', '-6', 'route', 'add', mine, 'dev', 'eth0');
  await host.expect({ 'out0 > h0 tcp 22': true }, [6]);
  assert.match(inside(host, 'ip', '-6', 'neigh', 'show', mine), /REACHABLE|DELAY|STALE|PROBE/);
});

function inside(host: HostRig, command: string, ...words: readonly string[]): string {
  return host.netns('out0').run(() => execFileSync(command, words, { encoding: 'utf8' }));
}

hostTest('a new driver adopts all of it; the last endpoint leaves nothing behind', async (host, name) => {
  const spec = { applyOnForward: true, order: 1 };
  const all = [
    eth0,
    eth1,
    policy('raw', { ...spec, doNotTrack: true, ingress: [udp('Deny', 9000)], egress: [udp('Deny', 9001)] }),
    policy('before', { ...spec, preDNAT: true, types: ['Ingress'], ingress: [udp('Deny', 9002)] }),
    policy('through', {
      ...spec,
      ingress: [udp('Deny', 9003), { action: 'Allow' }],
      egress: [{ action: 'Allow' }],
    }),
  ];
  await host.become(...all);
  const fates = {
    'out0 > h0 udp 9000': false,
    'out0 > out1 udp 9002': false,
    'out0 > a udp 9003': false,
    'out0 > h0 udp 9004': true,
  };
  await host.expect(fates);
  if (name === 'nftables') await adoptsChains(host);
  else await host.restart(); // programs are loaded anew, beside those that run
  await host.expect(fates);
  await host.become();
  if (name === 'nftables') leavesNoChains(host);
  await host.expect({ 'out0 > h0 udp 9000': true, 'h0 > out0 udp 9001': true, 'out0 > out1 udp 9002': true });
});

async function adoptsChains(host: HostRig): Promise<void> {
  for (const base of ['untracked-in', 'untracked-out', 'pre-dnat', 'host-out', 'forward-in', 'forward-out'])
    assert.match(host.sh('nft', 'list', 'chains'), new RegExp(`chain b-${base} `));
  assert.equal(await host.restart(), 0);
}

function leavesNoChains(host: HostRig): void {
  assert.deepEqual(
    host.sh('nft', 'list', 'chains').match(/(?<=chain )b-\S+/g),
    ['forward', 'input', 'output', 'forward', 'input', 'output'].map((name) => `b-${name}`),
  );
  assert.doesNotMatch(
    host.sh('nft', 'list', 'ruleset'),
    /failsafe|x-untracked|x-pre-dnat|d-host|host-accepted/,
  );
}

hostTest(
  'the program in XDP goes with the host endpoint, also where the agent begins anew or trusts nothing',
  async (host) => {
    const { bpf } = host.rig.driverOptions;
    const early = () => readdirSync(bpf).filter((pin) => pin.startsWith('xdp_'));
    const untracked = policy('untracked', {
      applyOnForward: true,
      doNotTrack: true,
      ingress: [udp('Deny', 7777)],
    });
    await host.become(eth0, untracked);
    assert.deepEqual(early(), ['xdp_eth0']);
    host.driver.queueResync('test');
    await host.become();
    assert.deepEqual(early(), []);
    await host.become(eth0, untracked);
    await host.driver[Symbol.asyncDispose]();
    host.driver = host.rig.node.run(() => dataplanes.ebpf(host.rig.driverOptions));
    await host.apply();
    assert.deepEqual(early(), []);
  },
  ['ebpf'],
);
