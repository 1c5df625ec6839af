// SPDX-License-Identifier: Apache-2.0
/**
 * A workload that is root in its namespace sends frames made by hand: nothing but what policy allows from its own
 * address arrives, be the victim on its own node, on another, or the node itself.
 *
 * After each attack an allowed datagram follows on the same way: when that is there, the attack would be there as well.
 */
import assert from 'node:assert/strict';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { bindUdp, encodeAddress, listenTcp } from '../../src/kernel/socket.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { gateway4, gateway6 } from '../../src/kernel/workload-link.ts';
import { addressBytes, type Family, familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import * as f from '../support/frames.ts';
import { type LabRig, labTest } from '../support/lab-rig.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { globalPolicy, pod } from '../support/resources.ts';

const allowedPort = 81;
const deniedPort = 9999;
const nodePort = 10250;
const mark = new TextEncoder().encode('MUSLIN-ATTACK');
const { UDP, TCP, ICMPv6 } = protocolNumbers;
const IPIP = 4;
const hostMac = Uint8Array.of(0xee, 0xee, 0xee, 0xee, 0xee, 0xee);
const vxlanPort = 4789;

interface Scene {
  readonly attacker: PacketSocket;
  /** The attacker's own address. */
  readonly own: Address;
  readonly victim: Address;
  readonly victimSocket: PacketSocket;
  /** A third workload, whose address is worth stealing. */
  readonly other: Address;
  readonly otherNode: Address;
  readonly ownNode: Address;
}

interface Attack {
  readonly name: string;
  readonly frames: (scene: Scene) => readonly Uint8Array[];
  /** @defaultValue a frame that contains the mark */
  readonly isHit?: (frame: Uint8Array, scene: Scene) => boolean;
}

labTest('hostile frames of a workload arrive nowhere', { nodes: 2 }, async (lab) => {
  await lab.put(...stage());
  await lab.settle();
  const attacker = lab.use(new PacketSocket(lab.pod('default/attacker'), 'eth0'));
  const uplink = lab.use(new PacketSocket(lab.node('node2'), 'eth0'));
  const nodeSockets = listenOnNode(lab);
  for (const victim of ['default/near', 'default/far']) {
    const victimSocket = lab.use(new PacketSocket(lab.pod(victim), 'eth0'));
    for (const family of [4, 6] as const) {
      const scene = await sceneOf(lab, attacker, victim, victimSocket, family);
      for (const attack of family === 4 ? attacks4 : attacks6) await repelled(scene, attack);
      for (const attack of family === 4 ? elsewhere4 : elsewhere6) {
        uplink.received();
        await repelled(scene, attack);
        const seen = uplink.received().filter((frame) => f.contains(frame, mark));
        assert.equal(seen.length, 0, `${attack.name}: on the network between the nodes`);
      }
    }
  }
  assertNothingTaken(nodeSockets);
  lab.node('node1').run(() => assertNoRouteLearnt());
});

labTest(
  'a node takes nothing from its own workloads, and answers its own programs',
  { nodes: 1 },
  async (lab) => {
    await lab.put(pod('default/attacker', {}));
    await lab.settle();
    const sockets = listenOnNode(lab);
    const attacker = lab.use(new PacketSocket(lab.pod('default/attacker'), 'eth0'));
    for (const family of [4, 6] as const) {
      const own = await lab.address('default/attacker', family);
      const gateway = family === 4 ? gateway4 : gateway6;
      const node = lab.spec.nodes[0]?.addresses.find((address) => familyOf(address) === family) as Address;
      const loopback = parseAddress(family === 4 ? '127.0.0.1' : '::1');
      for (const dst of [node, gateway, loopback]) {
        const ends = { src: own, dst };
        attacker.send(frameTo(attacker, ends, UDP, f.udp(ends, 4000, nodePort, mark)));
        for (const flags of [f.tcpFlag.syn, f.tcpFlag.ack, f.tcpFlag.rst, 0]) {
          attacker.send(frameTo(attacker, ends, TCP, f.tcp(ends, 4000, nodePort, flags, mark)));
        }
      }
    }
    // the last frame was dealt with once the workload's next question, which the node answers always, has its answer
    await answered(lab, attacker);
    assertNothingTaken(sockets);
    lab.node('node1').run(() => sendToSelf());
    await lab.until(
      () => sockets.udp.some((fd) => sys.recv(fd, new Uint8Array(64)) !== null),
      'the node hears itself',
    );
  },
);

function stage() {
  const anyone = [{ action: 'Allow', protocol: 'UDP', destination: { ports: [allowedPort] } }];
  return [
    pod('default/attacker', { node: 'node1' }),
    pod('default/other', { node: 'node1' }),
    pod('default/near', { node: 'node1', labels: { victim: '' }, ports: ['81/udp'] }),
    pod('default/far', { node: 'node2', labels: { victim: '' }, ports: ['81/udp'] }),
    globalPolicy('victim', { selector: 'has(victim)', types: ['Ingress'], ingress: anyone }),
  ];
}

async function sceneOf(
  lab: LabRig,
  attacker: PacketSocket,
  victim: string,
  victimSocket: PacketSocket,
  family: Family,
): Promise<Scene> {
  const [own, address, other] = await Promise.all(
    ['default/attacker', victim, 'default/other'].map((name) => lab.address(name, family)),
  );
  const [ownNode, otherNode] = lab.spec.nodes.map((node) =>
    node.addresses.find((each) => familyOf(each) === family),
  );
  assert.ok(own && address && other && ownNode && otherNode);
  return { attacker, own, victim: address, victimSocket, other, ownNode, otherNode };
}

/** A baseline before, a baseline behind, and nothing of the attack between. */
async function repelled(scene: Scene, attack: Attack): Promise<void> {
  const { attacker, victimSocket } = scene;
  const isHit = attack.isHit ?? ((frame: Uint8Array) => f.contains(frame, mark));
  await baseline(scene, `before ${attack.name}`);
  for (let i = 0; i < 3; i++) for (const frame of attack.frames(scene)) attacker.send(frame);
  const seen = await baseline(scene, `behind ${attack.name}`);
  const hits = [...seen, ...victimSocket.received()].filter((frame) => isHit(frame, scene));
  assert.equal(
    hits.length,
    0,
    `${attack.name}: delivered to ${scene.victim}: ${hits.map((hit) => Buffer.from(hit).toString('hex'))}`,
  );
}

let lastBaseline = 0;

/** @returns what else came until the allowed datagram did. */
async function baseline(scene: Scene, when: string): Promise<readonly Uint8Array[]> {
  const word = new TextEncoder().encode(`baseline-${++lastBaseline}.`);
  const ends = { src: scene.own, dst: scene.victim };
  scene.attacker.send(frameTo(scene.attacker, ends, UDP, f.udp(ends, 5000, allowedPort, word)));
  const seen: Uint8Array[] = [];
  const deadline = Date.now() + 5000;
  while (!seen.some((frame) => f.contains(frame, word))) {
    assert.ok(Date.now() < deadline, `the allowed datagram ${when} did not come to ${scene.victim}`);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(...scene.victimSocket.received());
  }
  return seen;
}

function frameTo(from: PacketSocket, ends: f.Ends, protocol: number, payload: Uint8Array): Uint8Array {
  return framed(from, familyOf(ends.dst), f.ip(ends, protocol, payload));
}

function framed(from: PacketSocket, family: Family, packet: Uint8Array): Uint8Array {
  return f.ethernet(hostMac, from.mac, family === 4 ? f.etherType.ipv4 : f.etherType.ipv6, packet);
}

// ---- the attacks: each would be delivered if it were let through --------------------------------------------------

const toVictim = ({ own, victim }: Scene): f.Ends => ({ src: own, dst: victim });

/** To the port that everyone may reach: what is wrong is the source alone. */
const spoofed = (src: (scene: Scene) => Address) => (scene: Scene) => {
  const ends = { src: src(scene), dst: scene.victim };
  return [frameTo(scene.attacker, ends, UDP, f.udp(ends, 4000, allowedPort, mark))];
};

const tcpTo = (flags: number) => (scene: Scene) => {
  const ends = toVictim(scene);
  return [frameTo(scene.attacker, ends, TCP, f.tcp(ends, 4000, deniedPort, flags, mark))];
};

const deniedUdp = (scene: Scene) => f.udp(toVictim(scene), 4000, deniedPort, mark);
const allowedPacket = (scene: Scene) =>
  f.ip(toVictim(scene), UDP, f.udp(toVictim(scene), 4000, allowedPort, mark));
const { syn, fin, rst, psh, ack, urg } = f.tcpFlag;

const anyFamily: readonly Attack[] = [
  { name: "another workload's source address", frames: spoofed((scene) => scene.other) },
  { name: "the victim's own source address", frames: spoofed((scene) => scene.victim) },
  { name: "its node's source address", frames: spoofed((scene) => scene.ownNode) },
  { name: "another node's source address", frames: spoofed((scene) => scene.otherNode) },
  {
    name: 'UDP to a denied port',
    frames: (scene) => [frameTo(scene.attacker, toVictim(scene), UDP, deniedUdp(scene))],
  },
  { name: 'SYN to a denied port', frames: tcpTo(syn) },
  { name: 'bare ACK', frames: tcpTo(ack) },
  { name: 'PSH and ACK with data', frames: tcpTo(psh | ack) },
  { name: 'RST', frames: tcpTo(rst) },
  { name: 'RST and ACK', frames: tcpTo(rst | ack) },
  { name: 'SYN and ACK', frames: tcpTo(syn | ack) },
  { name: 'FIN', frames: tcpTo(fin) },
  { name: 'SYN and FIN', frames: tcpTo(syn | fin) },
  { name: 'NULL', frames: tcpTo(0) },
  { name: 'XMAS', frames: tcpTo(fin | psh | urg) },
  { name: 'VLAN tag', frames: (scene) => [tagged(scene, [f.etherType.vlan])] },
  { name: 'two VLAN tags', frames: (scene) => [tagged(scene, [f.etherType.qinq, f.etherType.vlan])] },
  {
    name: 'odd EtherType',
    frames: (scene) =>
      [0x88b5, 0x8847, 0x8863, 0x9000].map((type) =>
        f.ethernet(hostMac, scene.attacker.mac, type, allowedPacket(scene)),
      ),
  },
  {
    name: 'LLC',
    frames: (scene) => {
      const payload = f.join([0xaa, 0xaa, 3, 0, 0, 0, 8, 0], allowedPacket(scene));
      return [f.ethernet(hostMac, scene.attacker.mac, payload.length, payload)];
    },
  },
  {
    name: 'a group address as source station',
    frames: (scene) => {
      const type = familyOf(scene.own) === 4 ? f.etherType.ipv4 : f.etherType.ipv6;
      return [f.ethernet(hostMac, Uint8Array.of(3, 0, 0, 0, 0, 1), type, allowedPacket(scene))];
    },
  },
  {
    name: 'broadcast',
    frames: (scene) => {
      const broadcast = new Uint8Array(6).fill(0xff);
      const type = familyOf(scene.own) === 4 ? f.etherType.ipv4 : f.etherType.ipv6;
      return [f.ethernet(broadcast, scene.attacker.mac, type, f.ip(toVictim(scene), UDP, deniedUdp(scene)))];
    },
  },
  {
    name: 'protocols that nobody allowed',
    frames: (scene) =>
      [47, 50, 132, 136, 253].map((protocol) =>
        frameTo(scene.attacker, toVictim(scene), protocol, f.join(new Uint8Array(8), mark)),
      ),
  },
];

const attacks4: readonly Attack[] = [
  ...anyFamily,
  ...['127.0.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255'].map((text) => ({
    name: `source ${text}`,
    frames: spoofed(() => parseAddress(text)),
  })),
  {
    name: "ARP: another workload's address",
    frames: (scene) => arpClaims(scene, scene.other),
    isHit: isForgedArp,
  },
  { name: 'ARP: the gateway', frames: (scene) => arpClaims(scene, gateway4), isHit: isForgedArp },
  ...[
    ['loose source route', [0x83, 7, 4, 10, 65, 0, 1, 0]],
    ['strict source route', [0x89, 7, 4, 10, 65, 0, 1, 0]],
    ['record route', [7, 7, 4, 0, 0, 0, 0, 0]],
    ['router alert', [0x94, 4, 0, 0]],
    ['an option that ends too early', [0x44, 40, 5, 0]],
  ].map(([name, options]) => ({ name: `IPv4 option: ${name}`, frames: withOptions(options as number[]) })),
  {
    name: 'fragments: a first of eight bytes',
    frames: (scene) => fragments4(scene, deniedUdp(scene), [0, 8]),
  },
  {
    name: 'fragments: out of order',
    frames: (scene) => fragments4(scene, deniedUdp(scene), [0, 8]).reverse(),
  },
  {
    name: 'fragments: none that is first',
    frames: (scene) => fragments4(scene, f.udp(toVictim(scene), 4000, allowedPort, mark), [0, 8]).slice(1),
  },
  {
    name: 'fragments: the second overwrites the port of the first',
    frames: (scene) => {
      const [id, ends] = [nextId(), toVictim(scene)];
      const first = f.udp(ends, 4000, allowedPort, mark).slice(0, 16);
      const fragment = (payload: Uint8Array, moreFragments: boolean) =>
        framed(scene.attacker, 4, f.ipv4({ ...ends, protocol: UDP, payload, moreFragments, id }));
      return [fragment(first, true), fragment(deniedUdp(scene), false)];
    },
  },
];

const attacks6: readonly Attack[] = [
  ...anyFamily,
  ...['::1', '::', 'ff02::1', 'fe80::1234'].map((text) => ({
    name: `source ${text}`,
    frames: spoofed(() => parseAddress(text)),
  })),
  { name: 'router advertisement', frames: (scene) => [routerMessage(scene, 134)], isHit: isRouterMessage },
  { name: 'redirect', frames: (scene) => [routerMessage(scene, 137)], isHit: isRouterMessage },
  ...([f.extension.hopByHop, f.extension.destination] as const).map((header) => ({
    name: `denied port behind extension header ${header}`,
    frames: (scene: Scene) => [ip6Frame(scene, header, f.join(f.paddingOptions(UDP), deniedUdp(scene)))],
  })),
  {
    name: 'denied port behind fifty destination options',
    frames: (scene) => {
      const chain = Array.from({ length: 50 }, (_, i) =>
        f.paddingOptions(i < 49 ? f.extension.destination : UDP),
      );
      return [ip6Frame(scene, f.extension.destination, f.join(...chain, deniedUdp(scene)))];
    },
  },
  ...[0, 2, 4].map((type) => ({
    name: `routing header of type ${type}`,
    frames: (scene: Scene) => {
      const header = f.join([UDP, 2, type, 1, 0, 0, 0, 0], new Uint8Array(16));
      return [ip6Frame(scene, f.extension.routing, f.join(header, deniedUdp(scene)))];
    },
  })),
  { name: 'atomic fragment', frames: (scene) => fragments6(scene, deniedUdp(scene), [0]) },
  {
    name: 'fragments: a first of eight bytes',
    frames: (scene) => fragments6(scene, deniedUdp(scene), [0, 8]),
  },
  {
    name: 'fragments: none that is first',
    frames: (scene) => fragments6(scene, f.udp(toVictim(scene), 4000, allowedPort, mark), [0, 8]).slice(1),
  },
];

/** Packets in packets: addressed to the other node, which would unpack them if it had such a tunnel. */
const elsewhere4: readonly Attack[] = [
  {
    name: 'VXLAN with an allowed packet inside',
    frames: (scene) => {
      const ends = { src: scene.own, dst: scene.otherNode };
      const inner = f.ethernet(hostMac, hostMac, f.etherType.ipv4, allowedPacket(scene));
      return [frameTo(scene.attacker, ends, UDP, f.udp(ends, 4000, vxlanPort, f.vxlan(4096, inner)))];
    },
  },
  {
    name: 'IPIP with an allowed packet inside',
    frames: (scene) => [
      frameTo(scene.attacker, { src: scene.own, dst: scene.otherNode }, IPIP, allowedPacket(scene)),
    ],
  },
  {
    name: 'a forged source to another node',
    frames: (scene) => {
      const ends = { src: scene.other, dst: scene.otherNode };
      return [frameTo(scene.attacker, ends, UDP, f.udp(ends, 4000, allowedPort, mark))];
    },
  },
];
const elsewhere6: readonly Attack[] = elsewhere4
  .filter((attack) => !attack.name.startsWith('IPIP'))
  .map((attack) => ({
    ...attack,
    isHit: (frame) => f.contains(frame, mark),
  }));

function withOptions(options: readonly number[]): (scene: Scene) => readonly Uint8Array[] {
  return (scene) => [
    framed(
      scene.attacker,
      4,
      f.ipv4({ ...toVictim(scene), protocol: UDP, options, payload: deniedUdp(scene) }),
    ),
  ];
}

function tagged(scene: Scene, tags: readonly number[]): Uint8Array {
  const [outer = 0, ...rest] = [...tags, familyOf(scene.own) === 4 ? f.etherType.ipv4 : f.etherType.ipv6];
  const inner = rest.flatMap((type) => [0, 5, type >>> 8, type & 0xff]);
  return f.ethernet(hostMac, scene.attacker.mac, outer, f.join(inner, allowedPacket(scene)));
}

function arpClaims(scene: Scene, sender: Address): readonly Uint8Array[] {
  const broadcast = new Uint8Array(6).fill(0xff);
  return (['request', 'reply'] as const).flatMap((operation) =>
    [broadcast, hostMac].map((to) => {
      const claim = f.arp({ operation, senderMac: scene.attacker.mac, sender, target: scene.victim });
      return f.ethernet(to, scene.attacker.mac, f.etherType.arp, claim);
    }),
  );
}

function isForgedArp(frame: Uint8Array, scene: Scene): boolean {
  return f.contains(frame.subarray(12, 14), Uint8Array.of(8, 6)) && f.contains(frame, scene.attacker.mac);
}

let lastId = 100;
const nextId = () => ++lastId;

function fragments4(scene: Scene, whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const id = nextId();
  return cuts.map((from, i) => {
    const moreFragments = i < cuts.length - 1;
    const payload = whole.slice(from, cuts[i + 1] ?? whole.length);
    const fields = {
      ...toVictim(scene),
      protocol: UDP,
      payload,
      fragmentOffset: from / 8,
      moreFragments,
      id,
    };
    return framed(scene.attacker, 4, f.ipv4(fields));
  });
}

function fragments6(scene: Scene, whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const id = nextId();
  return cuts.map((from, i) => {
    const header = f.fragmentHeader(UDP, from / 8, i < cuts.length - 1, id);
    return ip6Frame(
      scene,
      f.extension.fragment,
      f.join(header, whole.slice(from, cuts[i + 1] ?? whole.length)),
    );
  });
}

function ip6Frame(scene: Scene, next: number, payload: Uint8Array): Uint8Array {
  return framed(scene.attacker, 6, f.ipv6(toVictim(scene), next, payload));
}

/** RFC 4861 sections 4.2 and 4.5, to all nodes and to the host. */
function routerMessage(scene: Scene, type: 134 | 137): Uint8Array {
  const ends = { src: parseAddress('fe80::1'), dst: parseAddress('ff02::1') };
  const prefix = f.join(
    [3, 4, 64, 0xc0, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 0],
    [0xfd, 0x99],
    new Uint8Array(14),
  );
  const advertisement = f.join([134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0], prefix);
  const body = type === 134 ? advertisement : f.join([137, 0, 0, 0, 0, 0, 0, 0], new Uint8Array(32));
  return framed(scene.attacker, 6, f.ipv6(ends, ICMPv6, f.icmp6(ends, body), 255));
}

function isRouterMessage(frame: Uint8Array): boolean {
  return (
    frame[12] === 0x86 && frame[13] === 0xdd && frame[20] === ICMPv6 && [134, 137].includes(frame[54] ?? 0)
  );
}

// ---- the node -----------------------------------------------------------------------------------------------------

interface NodeSockets {
  readonly tcp: readonly Fd[];
  readonly udp: readonly Fd[];
}

function listenOnNode(lab: LabRig): NodeSockets {
  const at = { address: parseAddress('::'), port: nodePort };
  return lab.node('node1').run(() => ({ tcp: [lab.use(listenTcp(at))], udp: [lab.use(bindUdp(at))] }));
}

function assertNothingTaken({ tcp, udp }: NodeSockets): void {
  for (const fd of tcp) assert.equal(sys.accept(fd), null, 'the node took a connection');
  for (const fd of udp) assert.equal(sys.recv(fd, new Uint8Array(64)), null, 'the node took a datagram');
}

function assertNoRouteLearnt(): void {
  using rtnetlink = Rtnetlink.open();
  const learnt = rtnetlink.routes
    .list(6)
    .filter((route) => route.dst === '::/0' || route.dst.startsWith('fd99'));
  assert.deepEqual(learnt, [], 'routes from a router advertisement');
}

function sendToSelf(): void {
  const to = { address: parseAddress('127.0.0.1'), port: nodePort };
  using socket = bindUdp({ address: parseAddress('127.0.0.1'), port: 0 });
  sys.send(socket, mark, 0, encodeAddress(to));
}

/** Neighbour solicitation for the gateway (RFC 4861 section 4.3). */
async function answered(lab: LabRig, attacker: PacketSocket): Promise<void> {
  const ends = { src: await lab.address('default/attacker', 6), dst: gateway6 };
  const target = f.join([135, 0, 0, 0, 0, 0, 0, 0], addressBytes(gateway6), [1, 1], attacker.mac);
  attacker.send(framed(attacker, 6, f.ipv6(ends, ICMPv6, f.icmp6(ends, target), 255)));
  const isAnswer = (frame: Uint8Array) => frame[20] === ICMPv6 && frame[54] === 136;
  await lab.until(() => attacker.received().some(isAnswer), 'the node answers a neighbour');
}
