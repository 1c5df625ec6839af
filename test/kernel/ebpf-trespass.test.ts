// SPDX-License-Identifier: Apache-2.0
/**
 * Ways round policy: frames and histories by which a packet came, or would come, where policy denies it. Each is shown beside
 * what must pass.
 */
import assert from 'node:assert/strict';
import type { TranslationMessage } from '../../src/contract/services.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import type { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { encodeAddress } from '../../src/kernel/socket.ts';
import { AF_INET, SOCK_NONBLOCK, SOCK_RAW } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { Address, KeyPath } from '../../src/lib/brand.ts';
import { parseIfName } from '../../src/lib/if-name.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import { EbpfScene } from '../support/ebpf-scene.ts';
import * as f from '../support/frames.ts';
import { HostRig } from '../support/host-rig.ts';
import { hep, np } from '../support/oracle-cluster.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { plainFrontend } from '../support/plain-frontend.ts';
import { rootTest } from './root-test.ts';

const { UDP } = protocolNumbers;
const nodeMac = Uint8Array.of(0xee, 0xee, 0xee, 0xee, 0xee, 0xee);
/** What comes is there at once, as all of it is on this machine. */
const arrivesWithinMs = 60;

/** Hears all UDP that comes to a network namespace. */
class Ear implements Disposable {
  readonly #fd;

  constructor(netns: NetNs) {
    this.#fd = netns.run(() => sys.socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, UDP));
  }

  /** Each datagram's words, since it was last asked. */
  async heard(): Promise<string[]> {
    await new Promise((resolve) => setTimeout(resolve, arrivesWithinMs));
    const buffer = new Uint8Array(2048);
    const words: string[] = [];
    for (let length = sys.recv(this.#fd, buffer); length !== null; length = sys.recv(this.#fd, buffer))
      words.push(Buffer.from(buffer.subarray(28, length)).toString());
    return words;
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }
}

function datagram(ends: f.Ends, srcPort: number, dstPort: number, words: string): Uint8Array {
  return f.ip(ends, UDP, f.udp(ends, srcPort, dstPort, Buffer.from(words)));
}

/** By a raw socket of the sender's own. */
function tell(netns: NetNs, ends: f.Ends, srcPort: number, dstPort: number, words: string): void {
  netns.run(() => {
    const fd = sys.socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, UDP);
    sys.bind(fd, encodeAddress({ address: ends.src, port: 0 }));
    sys.send(
      fd,
      f.udp(ends, srcPort, dstPort, Buffer.from(words)),
      0,
      encodeAddress({ address: ends.dst, port: 0 }),
    );
    fd.close();
  });
}

/** From behind eth0, whatever it says of itself. */
function frameFromOutside(socket: PacketSocket, packet: Uint8Array): void {
  socket.send(f.ethernet(nodeMac, socket.mac, f.etherType.ipv4, packet));
}

rootTest('eBPF: a frame with a priority and no VLAN meets the policy of the link', async () => {
  await using host = new HostRig((options) => new EbpfDriver(options));
  await host.become(hep('eth0', { interfaceName: 'eth0' }));
  using outside = new PacketSocket(host.netns('out0'), 'eth0');
  using ear = new Ear(host.netns('h0'));
  const ends = { src: host.address('out0', 4), dst: host.address('h0', 4) };
  const tags = { once: [0x81, 0, 0, 0], urgent: [0x81, 0, 0xe0, 0], twice: [0x81, 0, 0, 0, 0x81, 0, 0, 0] };
  for (const [words, tag] of Object.entries(tags)) {
    for (const port of [68, 9000]) {
      const packet = datagram(ends, 4000, port, `${words} ${port}`);
      outside.send(f.join(nodeMac, outside.mac, tag, [8, 0], packet));
    }
  }
  assert.deepEqual(
    await ear.heard(),
    ['once 68', 'urgent 68'],
    'failsafes alone; what is tagged twice is no IP',
  );
});

rootTest('eBPF: an answer that comes late does not go to the heir of the address', async () => {
  await using scene = new EbpfScene();
  await scene.start();
  const [a, c] = [scene.rig.address('a', 4), scene.rig.address('c', 4)];
  const silent = scene.rig.workload('c').netns;
  using silentEar = new Ear(silent);
  tell(scene.rig.workload('a').netns, { src: a, dst: c }, 4000, 5000, 'question');
  assert.deepEqual(await silentEar.heard(), ['question']);
  scene.rig.unplug('a');
  scene.forget('a');
  await scene.apply();
  scene.rig.plugIn('heir', 1);
  scene.endpoint('heir', { tiers: [], profiles: [] });
  await scene.apply();
  await scene.quiet();
  using ear = new Ear(scene.rig.workload('heir').netns);
  tell(silent, { src: c, dst: a }, 5000, 4000, 'answer');
  assert.deepEqual(await ear.heard(), []);
});

rootTest(
  'eBPF: nothing of old flows comes to an endpoint that is closed, and they go on when it is open',
  async () => {
    await using scene = new EbpfScene();
    await scene.start();
    const [a, c] = [scene.rig.address('a', 4), scene.rig.address('c', 4)];
    const [asks, answers] = [scene.rig.workload('a').netns, scene.rig.workload('c').netns];
    using ear = new Ear(answers);
    const ask = (words: string) => tell(asks, { src: a, dst: c }, 4000, 5000, words);
    ask('first');
    tell(answers, { src: c, dst: a }, 5000, 4000, 'answer');
    ask('second');
    assert.deepEqual(await ear.heard(), ['first', 'second']);
    scene.endpoint('c', { adminUp: false });
    await scene.apply();
    ask('third');
    assert.deepEqual(await ear.heard(), []);
    scene.endpoint('c');
    await scene.apply();
    ask('fourth');
    assert.deepEqual(await ear.heard(), ['fourth']);
  },
);

rootTest('eBPF: who says from outside that it is a workload of this node is not believed', async () => {
  await using host = new HostRig((options) => new EbpfDriver(options));
  const fromA = [{ action: 'Allow', source: { selector: "app == 'a'" } }];
  await host.become(np('red', 'to-b', { selector: "app == 'b'", types: ['Ingress'], ingress: fromA }));
  using outside = new PacketSocket(host.netns('out0'), 'eth0');
  using ear = new Ear(host.netns('b'));
  const ends = { src: host.address('a', 4), dst: host.address('b', 4) };
  tell(host.netns('a'), ends, 4000, 9000, 'by itself');
  frameFromOutside(outside, datagram(ends, 4001, 9000, 'in its name'));
  assert.deepEqual(await ear.heard(), ['by itself']);
});

/** As a link is that has no programs: one without Ethernet header, or one that came just now. @returns a socket at its far end. */
function bareLink(host: HostRig): PacketSocket {
  const far = host.netns('out1');
  host.rig.node.run(() => {
    using rt = Rtnetlink.open();
    const { index } = rt.links.createVeth(
      { name: parseIfName('bare'), mac: 'ee:ee:ee:ee:ee:ee' },
      { name: parseIfName('far'), netns: far },
    );
    rt.links.set(index, { up: true });
  });
  far.run(() => {
    using rt = Rtnetlink.open();
    rt.links.set(rt.links.get('far')?.index ?? 0, { up: true });
  });
  host.sh('ip', 'route', 'add', '10.99.0.0/24', 'dev', 'bare');
  return new PacketSocket(far, 'far');
}

function datagramService(address: Address, backend: Address): TranslationMessage {
  const backends = [{ address: backend, port: 9000, local: true }];
  const frontend = plainFrontend({ address, protocol: UDP, backends });
  return {
    kind: 'service-update',
    id: 'Service/red/b' as KeyPath,
    service: { name: 'red/b', frontends: [frontend] },
  };
}

rootTest('eBPF: by way of a service nobody comes past the policy of a pod', async () => {
  const drivers: EbpfDriver[] = [];
  await using host = new HostRig((options) => {
    const driver = new EbpfDriver(options);
    drivers.push(driver);
    return driver;
  });
  const port4000 = [{ action: 'Allow', protocol: 'UDP', source: { ports: [4000] } }];
  const clusterIp = parseAddress('10.96.0.1');
  drivers[0]?.onTranslation(datagramService(clusterIp, host.address('b', 4)));
  await host.become(np('red', 'to-b', { selector: "app == 'b'", types: ['Ingress'], ingress: port4000 }));
  host.sh('ip', 'route', 'add', '10.96.0.0/16', 'via', host.address('out0', 4), 'dev', 'eth0', 'onlink');
  using link = bareLink(host);
  using ear = new Ear(host.netns('b'));
  const ends = { src: parseAddress('10.99.0.1'), dst: clusterIp };
  for (const port of [4000, 4001]) frameFromOutside(link, datagram(ends, port, 80, `from ${port}`));
  assert.deepEqual(await ear.heard(), ['from 4000']);
});
