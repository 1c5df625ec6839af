// SPDX-License-Identifier: Apache-2.0
/** The guard on real links: packets between a workload's namespace and its host's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { closedProgram } from '../../src/kernel/bpf/guard-programs.ts';
import { attachedPrograms, createLink, detachLink, openPin } from '../../src/kernel/bpf/link.ts';
import { loadClassifier } from '../../src/kernel/bpf/load.ts';
import { Guard, type OpenGuard } from '../../src/kernel/guard.ts';
import type { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { bindUdp, encodeAddress, localAddress } from '../../src/kernel/socket.ts';
import { AF_PACKET, MNT_DETACH, POLLIN, SOCK_RAW } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { readSysctl } from '../../src/kernel/sysctl.ts';
import {
  createWorkloadLink,
  deleteWorkloadLink,
  gateway4,
  gateway6,
  hostMac,
  type WorkloadLink,
} from '../../src/kernel/workload-link.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { Address, IfName } from '../../src/lib/brand.ts';
import { hostCidr } from '../../src/lib/cidr.ts';
import { InvalidError } from '../../src/lib/errors.ts';
import { type Rig, rootTest, until } from './root-test.ts';

const ifName = 'cali1.2' as IfName;
const own4 = parseAddress('10.65.0.2');
const own6 = parseAddress('fd00:65::2');
const host4 = parseAddress('192.0.2.1');
const host6 = parseAddress('fd00::1');
const forged4 = parseAddress('10.65.0.99');
const forged6 = parseAddress('fd00:65::99');
const markBit = 0x10000;
const open: OpenGuard = { addresses: [own4, own6], markBit };

interface Scene {
  readonly host: NetNs;
  readonly pod: NetNs;
  readonly rt: Rtnetlink;
  readonly guard: Guard;
  readonly directory: string;
  readonly link: WorkloadLink;
}

/** A bpffs of its own, unmounted with the test: its pins go with it. */
function bpffs(rig: Rig): string {
  const directory = mkdtempSync(join(tmpdir(), 'muslin-bpf-'));
  mountBpffs(directory);
  rig.use({
    [Symbol.dispose]() {
      sys.umount(directory, MNT_DETACH);
      rmSync(directory, { recursive: true });
    },
  });
  return directory;
}

/** A host with one workload; routes also to the addresses that the workload will forge, so that only the guard objects. */
function scene(rig: Rig): Scene {
  const directory = join(bpffs(rig), 'guard');
  const guard = new Guard(directory);
  const [host, pod] = [rig.netns(), rig.netns()];
  const rt = rig.use(host.run(() => Rtnetlink.open()));
  const spec = { ifName, netns: pod, addresses: [own4, own6], mtu: 1400 };
  const link = host.run(() => createWorkloadLink(rt, guard, spec));
  const lo = rt.links.get('lo');
  assert.ok(lo);
  rt.links.set(lo.index, { up: true });
  for (const address of [host4, host6]) rt.addresses.replace({ index: lo.index, address, noDad: true });
  const routes = [own4, own6, forged4, forged6].map((address) => ({
    dst: hostCidr(address),
    protocol: 80,
    oif: link.ifIndex,
  }));
  assert.deepEqual(rt.routes.replace(routes), []);
  return { host, pod, rt, guard, directory, link };
}

/** One datagram; answers whether it came. Waits only for what is expected to come. */
function delivered(from: NetNs, source: Address, to: NetNs, dst: Address, mark?: number): boolean {
  using receiver = to.run(() => bindUdp({ address: dst, port: 0 }));
  using sender = from.run(() => bindUdp({ address: source, port: 0 }, mark === undefined ? {} : { mark }));
  sys.send(sender, Uint8Array.of(1), 0, encodeAddress(localAddress(receiver)));
  return sys.poll([{ fd: receiver, events: POLLIN }], 300)[0] !== 0;
}

const toHost = (at: Scene, source: Address, dst: Address) => delivered(at.pod, source, at.host, dst);
const toPod = (at: Scene, source: Address, dst: Address, mark?: number) =>
  delivered(at.host, source, at.pod, dst, mark);

/** Its programs changed in turns, as fast as it goes, by a thread that counts the turns and ends when told. */
function swapper(at: Scene): { readonly turns: Int32Array; end(): Promise<void> } {
  const turns = new Int32Array(new SharedArrayBuffer(8));
  const guard = new URL('../../src/kernel/guard.ts', import.meta.url).href;
  const source = `import { workerData } from 'node:worker_threads'; import { Guard } from '${guard}';
    const { directory, ifName, ifIndex, open, turns } = workerData;
    for (const guard = new Guard(directory); !turns[1]; Atomics.add(turns, 0, 1)) {
      guard.open(ifName, ifIndex, open);
      guard.close(ifName, ifIndex);
    }`;
  const workerData = { directory: at.directory, ifName, ifIndex: at.link.ifIndex, open, turns };
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const ended = once(at.host.worker(url, { workerData }), 'exit');
  return {
    turns,
    async end() {
      Atomics.store(turns, 1, 1);
      assert.deepEqual(await ended, [0]);
    },
  };
}

rootTest('a guard that is changed while it is read has a state all the same', async (rig) => {
  const at = scene(rig);
  const { turns, end } = swapper(at);
  const seen = new Set<string>();
  try {
    await until(() => Atomics.load(turns, 0) > 0, 'the first turn');
    const read = () => at.host.run(() => seen.add(at.guard.state(ifName, at.link.ifIndex)));
    while (Atomics.load(turns, 0) < 500) read();
  } finally {
    await end();
  }
  assert.ok(seen.has('closed'), 'between two turns');
  seen.delete('closed');
  seen.delete('open');
  assert.deepEqual([...seen], []);
});

rootTest('a workload link is born closed, hardened and dressed', (rig) => {
  const at = scene(rig);
  assert.equal(
    at.host.run(() => at.guard.state(ifName, at.link.ifIndex)),
    'closed',
  );
  const conf = (family: string, name: string) =>
    at.host.run(() => readSysctl(['net', family, 'conf', ifName, name]));
  assert.deepEqual(
    [
      conf('ipv4', 'rp_filter'),
      conf('ipv4', 'route_localnet'),
      conf('ipv4', 'proxy_arp'),
      conf('ipv4', 'forwarding'),
    ],
    ['1', '0', '0', '1'],
  );
  assert.deepEqual(
    [conf('ipv6', 'accept_ra'), conf('ipv6', 'accept_redirects'), conf('ipv6', 'forwarding')],
    ['0', '0', '1'],
  );
  const end = at.rt.links.get(ifName);
  assert.deepEqual([end?.mac, end?.mtu, end?.up], [hostMac, 1400, true]);
  const linkLocal = at.rt.addresses.list({ index: at.link.ifIndex, family: 6 });
  assert.deepEqual(
    linkLocal.map((row) => [row.address, row.tentative]),
    [[gateway6, false]],
  );

  const known = at.rt.neighbours.list({ index: at.link.ifIndex }).filter((row) => row.state === 'permanent');
  assert.deepEqual(known.map((row) => [row.address, row.mac]).sort(), [
    [own4, at.link.mac],
    [own6, at.link.mac],
  ]);

  const pod = rig.use(at.pod.run(() => Rtnetlink.open()));
  const eth0 = pod.links.get('eth0');
  assert.ok(eth0);
  assert.deepEqual([eth0.mac, eth0.mtu, eth0.up], [at.link.mac, 1400, true]);
  const global = pod.addresses.list({ index: eth0.index }).filter((row) => row.scope === 0);
  assert.deepEqual(
    global.map((row) => [row.address, row.prefixLength, row.tentative]),
    [
      [own4, 32, false],
      [own6, 128, false],
    ],
  );
  const defaults = [...pod.routes.list(4), ...pod.routes.list(6)].filter((route) => route.dst.endsWith('/0'));
  assert.deepEqual(
    defaults.map((route) => [route.dst, route.gateway, route.oif]),
    [
      ['0.0.0.0/0', gateway4, eth0.index],
      ['::/0', gateway6, eth0.index],
    ],
  );
  const neighbours = pod.neighbours.list({ index: eth0.index }).filter((row) => row.state === 'permanent');
  assert.deepEqual(
    neighbours.map((row) => [row.address, row.mac]).sort(),
    [
      [gateway4, hostMac],
      [gateway6, hostMac],
    ].sort(),
  );
});

rootTest(
  'closed drops everything both ways; open lets its own traffic through; closing cuts it again',
  (rig) => {
    const at = scene(rig);
    const flows = () => [
      toHost(at, own4, host4),
      toHost(at, own6, host6),
      toPod(at, host4, own4, markBit),
      toPod(at, host6, own6, markBit),
    ];
    assert.deepEqual(flows(), [false, false, false, false]);
    assert.equal(
      at.host.run(() => at.guard.open(ifName, at.link.ifIndex, open)),
      2,
    );
    assert.equal(
      at.guard.state(ifName, at.link.ifIndex),
      'absent',
      'another namespace has no such interface',
    );
    assert.equal(
      at.host.run(() => at.guard.state(ifName, at.link.ifIndex)),
      'open',
    );
    assert.deepEqual(flows(), [true, true, true, true]);
    assert.equal(
      at.host.run(() => at.guard.close(ifName, at.link.ifIndex)),
      2,
    );
    assert.deepEqual(flows(), [false, false, false, false]);
  },
);

rootTest('an open guard drops forged sources and what policy did not mark', (rig) => {
  const at = scene(rig);
  at.host.run(() => at.guard.open(ifName, at.link.ifIndex, open));
  const pod = rig.use(at.pod.run(() => Rtnetlink.open()));
  const index = pod.links.get('eth0')?.index ?? 0;
  for (const address of [forged4, forged6]) pod.addresses.replace({ index, address, noDad: true });
  assert.deepEqual([toHost(at, forged4, host4), toHost(at, forged6, host6)], [false, false]);
  assert.deepEqual(
    [toPod(at, host4, own4), toPod(at, host6, own6), toPod(at, host4, own4, 0x4000)],
    [false, false, false],
  );
  assert.deepEqual([toHost(at, own4, host4), toPod(at, host6, own6, markBit | 1)], [true, true]);
  const wider = { ...open, addresses: [own4, own6, forged4, forged6] };
  at.host.run(() => at.guard.open(ifName, at.link.ifIndex, wider));
  assert.deepEqual(
    [toHost(at, forged4, host4), toHost(at, forged6, host6)],
    [true, true],
    'it was the guard that objected',
  );
});

rootTest('frames with a VLAN tag do not pass', (rig) => {
  const at = scene(rig);
  at.host.run(() => at.guard.open(ifName, at.link.ifIndex, open));
  using receiver = at.host.run(() => bindUdp({ address: host4, port: 4000 }));
  const ip = [0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 65, 0, 2, 192, 0, 2, 1];
  const sum = ~ip.reduce((total, byte, i) => total + (i % 2 ? byte : byte << 8), 0);
  [ip[10], ip[11]] = [((sum - 1) >> 8) & 255, (sum - 1) & 255]; // one carry
  const packet = [...ip, 0x0f, 0xa1, 0x0f, 0xa0, 0, 9, 0, 0, 0x55];
  const macs = [0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 2, 0, 0, 0, 0, 2];
  const arrives = (bytes: number[]) => {
    at.pod.run(() => sendFrame('eth0', Uint8Array.from(bytes)));
    return sys.poll([{ fd: receiver, events: POLLIN }], 300)[0] !== 0;
  };
  assert.equal(
    arrives([...macs, 0x81, 0, 0, 0, 8, 0, ...packet]),
    false,
    'priority tag, which the stack would strip',
  );
  assert.equal(arrives([...macs, 8, 0, ...packet]), true, 'the same without tag');
});

function sendFrame(name: string, bytes: Uint8Array): void {
  using rt = Rtnetlink.open();
  using fd: Fd = sys.socket(AF_PACKET, SOCK_RAW, 0);
  const address = new Uint8Array(20); // struct sockaddr_ll: family, protocol, ifindex, …
  new DataView(address.buffer).setUint16(0, AF_PACKET, true);
  new DataView(address.buffer).setInt32(4, rt.links.get(name)?.index ?? 0, true);
  sys.send(fd, bytes, 0, address);
}

rootTest('the same wish a second time changes nothing, and another process adopts the pins', (rig) => {
  const at = scene(rig);
  at.host.run(() => {
    assert.equal(at.guard.close(ifName, at.link.ifIndex), 0);
    assert.equal(at.guard.open(ifName, at.link.ifIndex, open), 2);
    const before = attachedPrograms(at.link.ifIndex, 'ingress');
    const successor = new Guard(at.directory);
    assert.equal(successor.state(ifName, at.link.ifIndex), 'open');
    assert.equal(successor.isOpen(ifName, at.link.ifIndex, open), true);
    assert.equal(successor.isOpen(ifName, at.link.ifIndex, { ...open, markBit: 2 }), false);
    assert.equal(successor.open(ifName, at.link.ifIndex, { ...open, addresses: [own6, own4] }), 0);
    assert.deepEqual(attachedPrograms(at.link.ifIndex, 'ingress'), before);
    assert.equal(successor.open(ifName, at.link.ifIndex, { ...open, markBit: 2 }), 1);
    assert.deepEqual(successor.list(), [{ ifName, ifIndex: at.link.ifIndex, state: 'open' }]);
  });
});

rootTest('the guard outlives the process that set it', async (rig) => {
  const at = scene(rig);
  const script = join(at.directory, '..', '..', `muslin-guard-${process.pid}.ts`);
  const root = new URL('../../src/', import.meta.url).href;
  writeFileSync(
    script,
    `import { Guard } from '${root}kernel/guard.ts';
     new Guard('${at.directory}').open('${ifName}', ${at.link.ifIndex}, { addresses: ['${own4}', '${own6}'], markBit: ${markBit} });`,
  );
  rig.use({ [Symbol.dispose]: () => rmSync(script) });
  const child = at.host.spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'pipe'] });
  assert.equal(await new Promise((resolve) => child.on('exit', resolve)), 0);
  assert.equal(
    at.host.run(() => at.guard.isOpen(ifName, at.link.ifIndex, open)),
    true,
  );
  assert.deepEqual([toHost(at, own4, host4), toPod(at, host4, own4)], [true, false]);
});

rootTest('a guard that a stranger took off is noticed and put back', (rig) => {
  const at = scene(rig);
  at.host.run(() => {
    const pin = join(at.directory, 'cali1%2E2-out');
    {
      using link = openPin(pin);
      assert.ok(link);
      detachLink(link);
    }
    assert.equal(at.guard.state(ifName), 'absent');
    assert.deepEqual(at.guard.list(), [{ ifName, ifIndex: at.link.ifIndex, state: 'absent' }]);
    assert.equal(at.guard.close(ifName, at.link.ifIndex), 1);
    assert.equal(at.guard.state(ifName), 'closed');
    rmSync(pin);
    assert.equal(at.guard.state(ifName), 'absent');
    assert.equal(at.guard.close(ifName, at.link.ifIndex), 1);
    assert.equal(afterRelease(at.link.ifIndex).length, 1);
  });
});

/** The kernel lets go of a link whose pin went in its own time: bpf_link_put, by a work queue. */
function afterRelease(ifIndex: number): readonly number[] {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < 200; tries++) {
    const attached = attachedPrograms(ifIndex, 'egress');
    if (attached.length < 2) return attached;
    Atomics.wait(pause, 0, 0, 10);
  }
  return attachedPrograms(ifIndex, 'egress');
}

rootTest('the guard runs before programs that were there already', (rig) => {
  const at = scene(rig);
  at.host.run(() => {
    at.guard.remove(ifName);
    using program = loadClassifier(closedProgram());
    using _stranger = createLink(program, at.link.ifIndex, 'ingress');
    const [strangers] = attachedPrograms(at.link.ifIndex, 'ingress');
    at.guard.close(ifName, at.link.ifIndex);
    const order = attachedPrograms(at.link.ifIndex, 'ingress');
    assert.equal(order.length, 2);
    assert.equal(order[1], strangers);
  });
});

rootTest(
  'pins of interfaces that went are swept, and a successor of the same name is guarded anew',
  (rig) => {
    const at = scene(rig);
    at.host.run(() => {
      at.rt.links.delete(at.link.ifIndex);
      assert.deepEqual(at.guard.list(), [{ ifName, ifIndex: 0, state: 'absent' }]);
      const again = createWorkloadLink(at.rt, at.guard, { ifName, netns: at.pod, addresses: [own4] });
      assert.equal(at.guard.state(ifName, again.ifIndex), 'closed');
      assert.deepEqual(at.guard.sweep(), []);
      at.rt.links.delete(again.ifIndex);
      assert.deepEqual(at.guard.sweep(), [ifName]);
      assert.deepEqual(at.guard.list(), []);
    });
  },
);

rootTest('a workload link goes whole, and a failed creation leaves nothing', (rig) => {
  const at = scene(rig);
  at.host.run(() => {
    const second = { ifName: 'cali2' as IfName, netns: at.pod, addresses: [own4] };
    assert.throws(() => createWorkloadLink(at.rt, at.guard, second), /EEXIST/, 'eth0 is taken');
    assert.equal(at.rt.links.get('cali2'), null);
    assert.deepEqual(
      at.guard.list().map((row) => row.ifName),
      [ifName],
    );
    assert.equal(deleteWorkloadLink(at.rt, at.guard, ifName), true);
    assert.equal(deleteWorkloadLink(at.rt, at.guard, ifName), false);
    assert.deepEqual(at.guard.list(), []);
  });
  assert.equal(
    at.pod.run(() => Rtnetlink.open()[Symbol.dispose]()),
    undefined,
  );
});

rootTest('a directory outside a bpffs is refused', () => {
  assert.throws(() => new Guard('/tmp/muslin-guard'), InvalidError);
});
