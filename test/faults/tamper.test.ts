// SPDX-License-Identifier: Apache-2.0
/** Strangers change the kernel, agents stop, the store goes: what is forbidden stays so, and what was broken is repaired. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DataplaneName, dataplaneNames } from '../../src/contract/config.ts';
import { Guard, type GuardState } from '../../src/kernel/guard.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { connectUdp } from '../../src/kernel/socket.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { readSysctl, writeSysctl } from '../../src/kernel/sysctl.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { IfName } from '../../src/lib/brand.ts';
import { parseCidr } from '../../src/lib/cidr.ts';
import { contains } from '../support/frames.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { globalPolicy, pod } from '../support/resources.ts';
import { Traffic } from '../support/traffic.ts';

const forbiddenPort = 9999;
/** What the guard's own eyes see at a link that is open: the eBPF data plane has programs of its own there. */
const openState: { readonly [D in DataplaneName]: GuardState } = { nftables: 'open', ebpf: 'other' };
/** As wanted, and otherwise: programs check sources better, and let answers of services pass. */
const rpFilter: { readonly [D in DataplaneName]: readonly [string, string] } = {
  nftables: ['1', '0'],
  ebpf: ['0', '1'],
};
/** What a client may not reach without tables: nothing marks its packets then, but programs go on as before. */
const clientsMissing: { readonly [D in DataplaneName]: readonly number[] } = {
  nftables: [80, 4080, forbiddenPort],
  ebpf: [4080, forbiddenPort],
};
const closedWord = new TextEncoder().encode('MUSLIN-FORBIDDEN');

/** Both data planes keep the same promises. */
function onBoth(
  promise: string,
  nodes: number,
  body: (lab: LabRig, dataplane: DataplaneName) => Promise<void>,
): void {
  for (const dataplane of dataplaneNames)
    labTest(`${promise} (${dataplane})`, { nodes, dataplane }, (lab) => body(lab, dataplane));
}

/** One client that may, one outsider that may not, one server. */
async function stage(lab: LabRig): Promise<Traffic> {
  const ingress = [
    { action: 'Allow', source: { selector: "role == 'client'" }, destination: { ports: [80, 81] } },
  ].flatMap((rule) => ['TCP', 'UDP'].map((protocol) => ({ ...rule, protocol })));
  await lab.put(
    pod('default/server', { labels: { role: 'server' }, ports: ['80', '81/udp'], node: 'node1' }),
    pod('default/client', { labels: { role: 'client' }, node: 'node1' }),
    pod('default/outsider', { labels: { role: 'outsider' }, node: 'node1' }),
    globalPolicy('server', { selector: "role == 'server'", types: ['Ingress'], ingress }),
  );
  await lab.settle();
  const traffic = lab.use(new Traffic());
  traffic.victim('server', lab.pod('default/server'), forbiddenPort);
  for (const family of [4, 6] as const) {
    const address = await lab.address('default/server', family);
    const outsider = { name: `outsider IPv${family}`, from: lab.pod('default/outsider') };
    for (const port of [80, forbiddenPort]) traffic.forbid({ ...outsider, to: { address, port } });
    const client = { name: `client IPv${family}`, from: lab.pod('default/client') };
    traffic.forbid({ ...client, to: { address, port: forbiddenPort } });
    traffic.flow('TCP', { ...client, to: { address, port: 80 } });
    traffic.flow('UDP', { ...client, to: { address, port: 81 } });
    traffic.fresh({ ...client, to: { address, port: 80 } });
  }
  await traffic.start();
  return traffic;
}

onBoth('a flush of the whole ruleset does nothing while the agent lives', 1, async (lab) => {
  const traffic = await stage(lab);
  const before = nft(lab, 'list', 'ruleset');
  for (let i = 0; i < 5; i++) {
    nft(lab, 'flush', 'ruleset');
    await traffic.goOn(10);
  }
  assert.equal(nft(lab, 'list', 'ruleset'), before);

  const pid = lab.agentPid('node1');
  process.kill(pid, 'SIGKILL'); // the next agent finds nothing to change, and owns it all the same
  await lab.until(() => lab.agentPid('node1') !== pid, 'the agent is started again');
  await lab.until(async () => (await lab.health('node1', 'readiness')) === 204, 'the agent is ready');
  assert.equal(nft(lab, 'list', 'ruleset').match(/flags owner/g)?.length, 2);
  for (let i = 0; i < 5; i++) {
    nft(lab, 'flush', 'ruleset');
    await traffic.goOn(10);
  }
  assert.equal(withoutOwner(nft(lab, 'list', 'ruleset')), withoutOwner(before));
  await traffic.stop();
  traffic.assertUnharmed();
});

onBoth('routes that a stranger deletes or bends come back', 2, async (lab) => {
  await lab.put(pod('default/near', { node: 'node1' }), pod('default/far', { node: 'node2' }));
  await lab.settle();
  const rtnetlink = lab.use(lab.node('node1').run(() => Rtnetlink.open()));
  const ours = () => [4, 6].flatMap((family) => rtnetlink.routes.list(family as 4 | 6, { protocol: 80 }));
  const before = ours();
  assert.equal(before.length, 4, 'one route per address');
  rtnetlink.routes.delete(before.map(({ dst }) => ({ dst, protocol: 80 })));
  await lab.until(() => sameRoutes(ours(), before), 'deleted routes are back');
  const loopback = before.map(({ dst }) => ({ dst, protocol: 80, oif: 1 }));
  assert.deepEqual(rtnetlink.routes.replace(loopback), []);
  await lab.until(() => sameRoutes(ours(), before), 'bent routes are straight');
  await agreesWithPolicy(lab);
});

onBoth(
  'guards that a stranger takes away are put back, and policy holds meanwhile',
  1,
  async (lab, dataplane) => {
    const traffic = await stage(lab);
    const folder = lab.layout.guardFolder('node1');
    const guard = new Guard(folder);
    const names = ['server', 'client', 'outsider'].map((name) => lab.ifName(`default/${name}`) as IfName);
    const state = () => lab.node('node1').run(() => names.map((name) => guard.state(name)));
    const open = openState[dataplane];
    assert.deepEqual(state(), [open, open, open]);
    for (const pin of readdirSync(folder)) rmSync(join(folder, pin), { recursive: true });
    assert.deepEqual(state(), ['absent', 'absent', 'absent']);
    await lab.until(() => state().every((each) => each === open), 'guards are back');
    await traffic.goOn(20);
    await traffic.stop('datagrams');
    traffic.assertUnharmed('datagrams'); // the link is closed first, and opened when policy is known to be in force
  },
);

onBoth("an interface with workloads' prefix that nobody knows is closed", 1, async (lab) => {
  const traffic = await stage(lab);
  await traffic.goOn(10);
  const server = await lab.address('default/server', 4);
  const stranger = lab.use(NetNs.anonymous());
  const node = lab.node('node1');
  lab.use(plugInStranger(node, stranger));
  const victim = lab.use(new PacketSocket(lab.pod('default/server'), 'eth0'));
  const send = () => sendFrom(stranger, server);
  const guard = new Guard(lab.layout.guardFolder('node1'));
  send(); // at once, before the agent can have heard of it
  await lab.until(() => {
    send();
    return node.run(() => guard.state('calistranger' as IfName)) === 'closed';
  }, 'the stranger is closed');
  for (let i = 0; i < 20; i++) send();
  await traffic.goOn(10);
  await traffic.stop();
  const delivered = victim.received().filter((frame) => contains(frame, closedWord));
  assert.equal(delivered.length, 0, 'packets of the stranger');
  traffic.assertUnharmed();
});

onBoth(
  'settings of the kernel that a stranger loosened are put back, though no event tells of them',
  1,
  async (lab, dataplane) => {
    await lab.put(pod('default/a', {}));
    await lab.settle();
    const node = lab.node('node1');
    const ifName = lab.ifName('default/a');
    const settings = [
      [['net', 'ipv4', 'conf', ifName, 'rp_filter'], ...rpFilter[dataplane]],
      [['net', 'ipv4', 'conf', ifName, 'route_localnet'], '0', '1'],
      [['net', 'ipv6', 'conf', ifName, 'accept_ra'], '0', '2'],
      [['net', 'ipv4', 'ip_forward'], '1', '0'],
      [['net', 'ipv4', 'conf', ifName, 'forwarding'], '1', '0'],
    ] as const;
    for (const [path, , loose] of settings) node.run(() => writeSysctl(path, loose));
    const as = () => node.run(() => settings.map(([path]) => readSysctl(path)));
    const wanted = settings.map(([, value]) => value);
    await lab.until(() => as().join() === wanted.join(), `settings are ${wanted}`);
  },
);

onBoth('an agent that was stopped while the store changed catches up', 1, async (lab) => {
  const traffic = await stage(lab);
  const pid = lab.agentPid('node1');
  process.kill(pid, 'SIGSTOP');
  await lab.relabel('default/outsider', { role: 'client' });
  await lab.put(
    globalPolicy('brief', { selector: 'all()', types: ['Ingress'], ingress: [{ action: 'Allow' }] }),
  );
  await lab.remove({ kind: 'GlobalNetworkPolicy', name: 'brief' });
  await lab.relabel('default/outsider', { role: 'outsider' });
  await lab.put(globalPolicy('later', { selector: "role == 'client'", types: ['Ingress'], ingress: [] }));
  process.kill(pid, 'SIGCONT');
  await lab.settle();
  await traffic.goOn(10);
  await traffic.stop();
  traffic.assertUnharmed();
  await agreesWithPolicy(lab);
});

onBoth(
  'with the agent dead a flush opens nothing; the next agent makes all right',
  1,
  async (lab, dataplane) => {
    const traffic = await stage(lab);
    await traffic.goOn(10);
    await traffic.stop();
    traffic.assertUnharmed();
    process.kill(lab.daemonPid, 'SIGSTOP'); // it would start the agent again
    const pid = lab.agentPid('node1');
    process.kill(pid, 'SIGKILL');
    await lab.until(
      () => nft(lab, 'list', 'tables') !== '' && !nft(lab, 'list', 'tables').includes('owner'),
      'it is dead',
    );
    await lab.until(
      () => nft(lab, 'flush', 'ruleset') === '' && nft(lab, 'list', 'ruleset') === '',
      'the tables are gone',
    );

    using attack = new Traffic();
    attack.victim('server', lab.pod('default/server'), 4080);
    for (const family of [4, 6] as const) {
      const address = await lab.address('default/server', family);
      for (const name of ['client', 'outsider']) {
        const way = { name: `${name} IPv${family} without tables`, from: lab.pod(`default/${name}`) };
        const ports = name === 'client' ? clientsMissing[dataplane] : [80, 4080, forbiddenPort];
        for (const port of ports) attack.forbid({ ...way, to: { address, port } });
      }
    }
    await attack.start();
    await lab.until(() => attack.counts.forbidden > 3000, 'enough was tried');
    await attack.stop();
    attack.assertUnharmed();

    process.kill(lab.daemonPid, 'SIGCONT');
    await lab.until(() => lab.agentPid('node1') !== pid, 'the agent is started again');
    await lab.until(async () => (await lab.health('node1', 'readiness')) === 204, 'the agent is ready');
    await traffic.start(); // the same connections
    await traffic.goOn(10);
    await traffic.stop();
    traffic.assertUnharmed();
    await agreesWithPolicy(lab);
  },
);

onBoth(
  'a store that is away changes nothing but the status, also for an agent that starts',
  1,
  async (lab) => {
    const traffic = await stage(lab);
    const rules = nft(lab, 'list', 'ruleset');
    const file = lab.layout.datastore;
    renameSync(file, `${file}.away`);
    await lab.until(
      async () => (await lab.health('node1', 'readiness')) === 503,
      'the agent says that it is not ready',
    );
    assert.equal(await lab.health('node1', 'liveness'), 204);
    assert.deepEqual((await lab.status('node1')).reasons, ['datastore: unreachable']);

    const pid = lab.agentPid('node1');
    process.kill(pid, 'SIGKILL');
    await lab.until(() => lab.agentPid('node1') !== pid, 'the agent is started again');
    await lab.until(
      async () => (await lab.status('node1').catch(() => null))?.datastore === 'unreachable',
      'it says why',
    );
    assert.equal(await lab.health('node1', 'liveness'), 204);
    assert.equal(withoutOwner(nft(lab, 'list', 'ruleset')), withoutOwner(rules));

    renameSync(`${file}.away`, file);
    await lab.until(async () => (await lab.health('node1', 'readiness')) === 204, 'the agent is ready again');
    await lab.put(globalPolicy('later', { selector: "role == 'client'", types: ['Ingress'], ingress: [] }));
    await lab.settle();
    await traffic.stop();
    traffic.assertUnharmed();
  },
);

/** @returns what it printed; refusals are part of some tests. */
function nft(lab: LabRig, ...args: readonly string[]): string {
  return lab.node('node1').run(() => spawnSync('nft', [...args], { encoding: 'utf8' })).stdout;
}

/** An agent takes the tables over with its first transaction, and makes none before it has read the store. */
function withoutOwner(ruleset: string): string {
  return ruleset.replace(/ # progname.*$/gm, '').replace(/^\tflags.*$/gm, '');
}

function sameRoutes(a: readonly object[], b: readonly object[]): boolean {
  const texts = (routes: readonly object[]) => routes.map((route) => JSON.stringify(route)).sort();
  return texts(a).join() === texts(b).join();
}

async function agreesWithPolicy(lab: LabRig): Promise<void> {
  for (const ipVersion of ['4', '6']) {
    const { code, out, notes } = await lab.cli(
      'probe',
      '--against-policy',
      '--ip-version',
      ipVersion,
      '--timeout',
      '300ms',
    );
    assert.equal(code, 0, `${out}\n${notes}`);
  }
}

/** As another program would: no guard, an address, a route. */
function plugInStranger(node: NetNs, stranger: NetNs): Rtnetlink {
  const rtnetlink = node.run(() => Rtnetlink.open());
  const link = rtnetlink.links.createVeth({ name: 'calistranger' }, { name: 'eth0', netns: stranger });
  rtnetlink.addresses.replace({ index: link.index, address: parseAddress('10.99.0.1'), prefixLength: 24 });
  rtnetlink.links.set(link.index, { up: true });
  stranger.run(() => {
    using inside = Rtnetlink.open();
    const end = inside.links.get('eth0');
    assert.ok(end);
    inside.addresses.replace({ index: end.index, address: parseAddress('10.99.0.2'), prefixLength: 24 });
    inside.links.set(end.index, { up: true });
    inside.neighbours.replacePermanent({
      index: end.index,
      address: parseAddress('10.99.0.1'),
      mac: link.mac ?? '',
    });
    const dst = parseCidr('0.0.0.0/0');
    inside.routes.replace([{ dst, protocol: 4, oif: end.index, gateway: parseAddress('10.99.0.1') }]);
  });
  return rtnetlink;
}

function sendFrom(stranger: NetNs, server: ReturnType<typeof parseAddress>): void {
  using socket = stranger.run(() => connectUdp({ address: server, port: 81 }));
  sys.send(socket, closedWord);
}
