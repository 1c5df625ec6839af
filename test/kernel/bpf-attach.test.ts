// SPDX-License-Identifier: Apache-2.0
/** Programs at their hooks: tcx, clsact, XDP and cgroups, on links and in cgroups of the test's own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Assembler } from '../../src/kernel/bpf/asm.ts';
import { attachClassifier, type Classifier, filterPlace } from '../../src/kernel/bpf/classifier.ts';
import {
  createCgroupLink,
  createXdpLink,
  detachLink,
  linkInfo,
  supportsTcx,
  updateLink,
} from '../../src/kernel/bpf/link.ts';
import { loadGenerated, programIdOf } from '../../src/kernel/bpf/load.ts';
import { parseObject } from '../../src/kernel/bpf/object.ts';
import type { ProgramType } from '../../src/kernel/bpf/program-types.ts';
import type { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { bindUdp, encodeAddress, localAddress } from '../../src/kernel/socket.ts';
import { EBUSY, ENODEV, MNT_DETACH, POLLIN } from '../../src/kernel/sys/constants.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { parseCidr } from '../../src/lib/cidr.ts';
import { KernelError, UnsupportedError } from '../../src/lib/errors.ts';
import { fixtureObject } from './compile.ts';
import { type Rig, rootTest } from './root-test.ts';

const near = parseAddress('10.1.0.1');
const far = parseAddress('10.1.0.2');

interface Scene {
  readonly host: NetNs;
  readonly peer: NetNs;
  readonly rt: Rtnetlink;
  readonly ifIndex: number;
}

/** A veth pair between two namespaces, both ends with an address; neighbours are fixed, so that one datagram is one packet. */
function scene(rig: Rig): Scene {
  const [host, peer] = [rig.netns(), rig.netns()];
  const rt = rig.use(host.run(() => Rtnetlink.open()));
  const peerRt = rig.use(peer.run(() => Rtnetlink.open()));
  const [mac, peerMac] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
  const link = rt.links.createVeth({ name: 'v0', mac }, { name: 'v1', mac: peerMac, netns: peer });
  const peerLink = peerRt.links.get('v1') ?? assert.fail('no peer');
  rt.links.set(link.index, { up: true });
  peerRt.links.set(peerLink.index, { up: true });
  rt.addresses.replace({ index: link.index, address: near, noDad: true });
  peerRt.addresses.replace({ index: peerLink.index, address: far, noDad: true });
  rt.routes.replace([{ dst: parseCidr('10.1.0.0/24'), protocol: 80, oif: link.index }]);
  peerRt.routes.replace([{ dst: parseCidr('10.1.0.0/24'), protocol: 80, oif: peerLink.index }]);
  rt.neighbours.replacePermanent({ index: link.index, address: far, mac: peerMac });
  peerRt.neighbours.replacePermanent({ index: peerLink.index, address: near, mac });
  return { host, peer, rt, ifIndex: link.index };
}

/** Sends one datagram from the peer to the host. */
function comesIn(at: Scene): boolean {
  using receiver = at.host.run(() => bindUdp({ address: near, port: 0 }));
  using sender = at.peer.run(() => bindUdp({ address: far, port: 0 }));
  sys.send(sender, Uint8Array.of(1), 0, encodeAddress(localAddress(receiver)));
  return sys.poll([{ fd: receiver, events: POLLIN }], 300)[0] !== 0;
}

function returning(value: number, type: ProgramType = { kind: 'classifier' }): Fd {
  return loadGenerated({
    name: 'test',
    instructions: new Assembler().mov('r0', value).exit().assemble(),
    type,
  });
}

function refusal(errno: number): (error: unknown) => boolean {
  return (error) => error instanceof KernelError && error.errno === errno;
}

for (const by of ['tcx', 'clsact'] as const) {
  rootTest(`a classifier by ${by}: attached, swapped, detached`, (rig) => {
    const at = scene(rig);
    const [pass, drop] = [rig.use(returning(-1)), rig.use(returning(2))];
    const attach = (program: Fd): Classifier =>
      rig.use(at.host.run(() => attachClassifier(program, at.ifIndex, 'ingress', at.rt, { by })));
    if (by === 'tcx' && !supportsTcx()) return void assert.throws(() => attach(drop), UnsupportedError);
    const classifier = attach(drop);
    assert.equal(classifier.kind, by);
    assert.equal(comesIn(at), false);
    classifier.update(pass);
    assert.equal(comesIn(at), true);
    classifier.update(drop);
    assert.equal(comesIn(at), false);
    classifier.detach();
    assert.equal(comesIn(at), true);
    assert.throws(
      () => at.host.run(() => attachClassifier(drop, 9999, 'egress', at.rt, { by })),
      refusal(ENODEV),
    );
  });
}

rootTest('filters are listed with name and program, replaced in place, deleted once', (rig) => {
  const at = scene(rig);
  const tc = at.rt.trafficControl;
  const [pass, drop] = [rig.use(returning(-1)), rig.use(returning(2))];
  const place = { ifIndex: at.ifIndex, side: 'egress', ...filterPlace } as const;
  assert.deepEqual(tc.listBpf(at.ifIndex, 'egress'), []);
  assert.equal(tc.deleteBpf(place), false);
  assert.equal(tc.addClsact(at.ifIndex), true);
  assert.equal(tc.addClsact(at.ifIndex), false);
  tc.replaceBpf(place, drop, 'one');
  tc.replaceBpf(place, pass, 'two');
  tc.replaceBpf({ ...place, priority: 7, handle: 3 }, drop, 'later');
  assert.deepEqual(tc.listBpf(at.ifIndex, 'egress'), [
    { ...place, name: 'two', programId: programIdOf(pass) },
    { ...place, priority: 7, handle: 3, name: 'later', programId: programIdOf(drop) },
  ]);
  assert.deepEqual(tc.listBpf(at.ifIndex, 'ingress'), []);
  assert.equal(tc.deleteBpf(place), true);
  assert.equal(tc.deleteBpf(place), false);
  assert.equal(tc.listBpf(at.ifIndex, 'egress').length, 1);
  at.rt.links.delete(at.ifIndex);
  assert.deepEqual(tc.listBpf(at.ifIndex, 'egress'), []);
  assert.equal(tc.deleteBpf({ ...place, priority: 7, handle: 3 }), false);
});

rootTest('an XDP link: attached, swapped, one for an interface, gone with its descriptor', (rig) => {
  const at = scene(rig);
  const [pass, drop] = [rig.use(returning(2, { kind: 'xdp' })), rig.use(returning(1, { kind: 'xdp' }))];
  const { link, mode } = at.host.run(() => createXdpLink(drop, at.ifIndex));
  rig.use(link);
  assert.equal(mode, 'native');
  assert.deepEqual(linkInfo(link), {
    kind: 'xdp',
    programId: programIdOf(drop),
    ifIndex: at.ifIndex,
    side: null,
    cgroup: null,
  });
  assert.equal(comesIn(at), false);
  updateLink(link, pass);
  assert.equal(comesIn(at), true);
  updateLink(link, drop);
  assert.throws(() => at.host.run(() => createXdpLink(pass, at.ifIndex)), refusal(EBUSY));
  detachLink(link);
  assert.equal(comesIn(at), true);
  at.host.run(() => createXdpLink(drop, at.ifIndex)).link.close();
  assert.equal(comesIn(at), true);
});

rootTest('where the driver cannot, XDP is generic', (rig) => {
  const at = scene(rig);
  using drop = returning(1, { kind: 'xdp' });
  const lo = at.rt.links.get('lo') ?? assert.fail('no loopback');
  const { link, mode } = at.host.run(() => createXdpLink(drop, lo.index));
  rig.use(link);
  assert.equal(mode, 'generic');
});

/** A cgroup2 mount and a cgroup of its own. */
function cgroup(rig: Rig): string {
  const root = mkdtempSync(join(tmpdir(), 'muslin-cgroup-'));
  sys.mount('none', root, 'cgroup2', 0);
  const directory = join(root, `muslin-test-${process.pid}`);
  mkdirSync(directory);
  rig.use({
    [Symbol.dispose]() {
      rmdirSync(directory);
      sys.umount(root, MNT_DETACH);
      rmdirSync(root);
    },
  });
  return directory;
}

/** What connecting to each port ends with, in a process inside the cgroup. */
function connects(directory: string, ports: readonly number[]): string[] {
  const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
  const script = `for (const port of ${JSON.stringify(ports)}) await new Promise((done) =>
    require('node:net').connect(port, '127.0.0.1').on('error', (e) => done(console.log(e.code))));`;
  const child = spawnSync('sh', ['-c', enter, directory, process.execPath, '-e', `(async()=>{${script}})()`]);
  assert.equal(child.status, 0, String(child.stderr));
  return String(child.stdout).trim().split('\n');
}

rootTest('a cgroup link: its processes alone, swapped, detached', (rig) => {
  const directory = cgroup(rig);
  const netns = rig.netns();
  const rt = rig.use(netns.run(() => Rtnetlink.open()));
  rt.links.set(rt.links.get('lo')?.index ?? assert.fail('no loopback'), { up: true });
  const object = rig.use(parseObject(fixtureObject()).load({ programs: ['refuse', 'accept'] }));
  const link = rig.use(createCgroupLink(object.program('refuse'), directory, 'connect4'));
  const info = linkInfo(link);
  assert.deepEqual(info.cgroup, { id: BigInt(statSync(directory).ino), hook: 'connect4' });
  const ends = () => netns.run(() => connects(directory, [80, 81]));
  assert.deepEqual(ends(), ['EPERM', 'ECONNREFUSED']);
  updateLink(link, object.program('accept'));
  assert.deepEqual(ends(), ['ECONNREFUSED', 'ECONNREFUSED']);
  updateLink(link, object.program('refuse'));
  detachLink(link);
  assert.deepEqual(ends(), ['ECONNREFUSED', 'ECONNREFUSED']);
  assert.throws(() => createCgroupLink(object.program('refuse'), tmpdir(), 'connect4'), /EBADF/);
  assert.throws(() => createCgroupLink(object.program('refuse'), directory, 'connect6'), KernelError);
});
