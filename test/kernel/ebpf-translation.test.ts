// SPDX-License-Identifier: Apache-2.0
/**
 * Services and NAT outgoing on frames by chance, through the programs at the links: what goes on has right checksums wherever they
 * were right before, and wrong ones where they were wrong; answers and ICMP errors come back as what was asked.
 *
 * MUSLIN_SEED repeats a run; MUSLIN_FRAMES says how many questions.
 */
import assert from 'node:assert/strict';
import type { ResolvedService, ServiceBackend } from '../../src/contract/services.ts';
import { noTranslation } from '../../src/drivers/ebpf/settings.ts';
import { type Family, familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address, KeyPath } from '../../src/lib/brand.ts';
import { hostCidr, parseCidr } from '../../src/lib/cidr.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import { wrongChecksum, wrongTransport } from '../support/frame-checksums.ts';
import { type ReadPacket, readFrame, readQuoted } from '../support/frame-reader.ts';
import { FrameRig } from '../support/frame-rig.ts';
import * as f from '../support/frames.ts';
import { core } from '../support/oracle-cluster.ts';
import { plainFrontend } from '../support/plain-frontend.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { ToldNode } from '../support/told-node.ts';
import { rootTest } from './root-test.ts';

const { MUSLIN_FRAMES: framesWanted = '6000' } = process.env;
const { TCP, UDP, ICMP, ICMPv6 } = protocolNumbers;
const dropped = 2;
const families = [4, 6] as const;
const vxlanPort = 4789;

type Pair = readonly [four: Address, six: Address];
const pair = (four: string, six: string): Pair => [parseAddress(four), parseAddress(six)];
const pods = {
  a: pair('10.65.0.1', 'fd65::1'),
  b: pair('10.65.0.2', 'fd65::2'),
  c: pair('10.65.0.3', 'fd65::3'),
} as const;
const far = pair('10.65.9.1', 'fd65:9::1');
const thisNode = pair('172.16.0.1', 'fd16::1');
const anotherNode = pair('172.16.0.9', 'fd16::9');
const outside = pair('192.0.2.10', '2001:db8:1::10');
const clusterIp = pair('10.96.0.1', 'fd96::1');
const externalIp = pair('203.0.113.1', 'fd20::1');
const of = ([four, six]: Pair, family: Family): Address => (family === 4 ? four : six);
const linkOf = (pod: string) => workloadInterfaceName('red', pod);

/** What a service's port leads to; the last one to itself among others. */
const backends: { readonly [port: number]: readonly (readonly [Pair, number])[] } = {
  80: [[pods.b, 8080]],
  81: [
    [pods.c, 81],
    [pods.b, 1],
  ],
  82: [[far, 8080]],
  83: [
    [far, 65_535],
    [pods.b, 8080],
    [outside, 9],
  ],
  84: [[pods.a, 8080]],
};
const ports = Object.keys(backends).map(Number);

function serviceOf(port: number): ResolvedService {
  const frontends = families.flatMap((family) =>
    [TCP, UDP].flatMap((protocol) =>
      (['cluster-ip', 'external-ip', 'node-port'] as const).map((kind) => {
        const list = (backends[port] ?? []).map(([to, at]): ServiceBackend => {
          const local = Object.values<Pair>(pods).includes(to);
          return { address: of(to, family), port: at, local };
        });
        return plainFrontend({
          kind,
          address: {
            'cluster-ip': of(clusterIp, family),
            'external-ip': of(externalIp, family),
            'node-port': null,
          }[kind],
          family,
          protocol,
          port: kind === 'node-port' ? 30_000 + port : port,
          backends: list,
        });
      }),
    ),
  );
  return { name: `red/s${port}`, frontends };
}

interface Question extends f.Ends {
  readonly link: string;
  readonly side: 'ingress' | 'egress';
  readonly protocol: number;
  readonly sport: number;
  readonly dport: number;
}

type Made = Question & { readonly transport: Uint8Array; readonly isSpoilt: boolean };

class Bench implements AsyncDisposable {
  readonly #rig: FrameRig;
  readonly #random: Random;
  readonly counts = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
    const beyond = [...outside, ...anotherNode];
    this.#rig = new FrameRig(
      Object.entries(pods).map(([name, addresses]) => ({ ifName: linkOf(name), addresses })),
      [{ name: 'eth0', addresses: thisNode, beyond }],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rig[Symbol.asyncDispose]();
  }

  async open(): Promise<void> {
    const { driver } = this.#rig;
    const nodeAddresses = [...thisNode, ...anotherNode];
    const pools = ['10.65.0.0/16', 'fd65::/16'].map((cidr) => ({ cidr: parseCidr(cidr), natOutgoing: true }));
    driver.onTranslation({ kind: 'translation-update', config: { ...noTranslation, nodeAddresses, pools } });
    for (const port of ports)
      driver.onTranslation({
        kind: 'service-update',
        id: `Service/red/s${port}` as KeyPath,
        service: serviceOf(port),
      });
    for (const family of families) {
      const route = { type: 'remote-workload', node: 'n2', via: of(anotherNode, family) } as const;
      driver.onMessage({ kind: 'route-update', dst: hostCidr(of(far, family)), route });
    }
    new ToldNode('n1', (message) => driver.onMessage(message)).become([
      core('Namespace', 'red', {}),
      ...Object.entries(pods).map(([name, addresses]) => ({
        ...core('Pod', name, {}, 'red'),
        spec: { nodeName: 'n1', containers: [] },
        status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
      })),
    ]);
    assert.deepEqual((await this.#rig.rig.apply(driver)).failed, []);
  }

  run(count: number): void {
    this.#rig.inside(() => {
      for (let i = 0; i < count; i++) {
        if (i % 2000 === 0) this.#rig.forgetFlows();
        this.#ask(this.#question(i));
      }
    });
  }

  #question(i: number): Question {
    const random = this.#random;
    const family = random.pick(families);
    const port = random.pick(ports);
    const common = { protocol: random.pick([TCP, UDP]), sport: 10_000 + (i % 20_000), dport: port };
    const inside = { ...common, dst: of(clusterIp, family) };
    const fromPod = { ...inside, link: linkOf('a'), side: 'ingress' as const, src: of(pods.a, family) };
    return random.pick<() => Question>([
      () => fromPod,
      () => ({ ...fromPod, dst: of(outside, family) }),
      () => ({ ...inside, link: 'eth0', side: 'egress', src: of(thisNode, family) }),
      () => ({
        ...common,
        link: 'eth0',
        side: 'ingress',
        src: of(outside, family),
        dst: of(externalIp, family),
      }),
      () => ({
        ...common,
        link: 'eth0',
        side: 'ingress',
        src: of(outside, family),
        dst: of(thisNode, family),
        dport: 30_000 + port,
      }),
      () => ({ ...fromPod, dst: of(outside, family), protocol: family === 4 ? ICMP : ICMPv6 }),
    ])();
  }

  #ask(question: Question): void {
    const made = this.#made(question);
    const sent = this.#random.chance(0.2) ? this.#inParts(made) : this.#whole(made);
    if (!sent) return;
    this.#count(
      `${made.protocol} ${made.side} ${sent.src === made.src ? '' : 'src '}${sent.dst === made.dst ? '' : 'dst'}`,
    );
    if (made.isSpoilt || sent.isTunnelled) return;
    if (sent.dst !== made.dst || sent.src !== made.src) this.#answer(made, sent);
  }

  #made(question: Question): Made {
    const data = Uint8Array.from({ length: this.#random.below(200) }, () => this.#random.below(256));
    const transport = transportOf(question, data);
    const isSpoilt = this.#random.chance(0.1);
    const isUnsummed = question.protocol === UDP && familyOf(question.dst) === 4 && this.#random.chance(0.1);
    const at = { [TCP]: 16, [UDP]: 6 }[question.protocol] ?? 2;
    if (isUnsummed) transport.fill(0, at, at + 2);
    else if (isSpoilt) transport[at] = (transport[at] ?? 0) ^ 0x55;
    return { ...question, transport, isSpoilt: isSpoilt && !isUnsummed };
  }

  #whole(made: Made) {
    const frame = this.#framed(made, this.#dressed(made));
    const ran = this.#rig.run(made.link, made.side, frame);
    const about = `${JSON.stringify({ ...made, transport: hex(made.transport) })} ${hex(frame)} became ${ran.verdict} ${hex(ran.frame)}`;
    if (ran.verdict === dropped) return this.#count('dropped');
    assert.equal(wrongChecksum(ran.frame) !== null, made.isSpoilt, `${wrongChecksum(ran.frame)}: ${about}`);
    return this.#read(ran.frame, about);
  }

  /** Its first part carries the ports, and the checksum of all of them. */
  #inParts(made: Made) {
    const id = this.#random.below(65_536);
    const cut = 24 + 8 * this.#random.below(4);
    const { transport, protocol, src, dst } = made;
    if (transport.length <= cut) return this.#whole(made);
    const part = (from: number, to?: number) => {
      const payload = transport.slice(from, to);
      const more = to !== undefined;
      if (familyOf(dst) === 4)
        return f.ipv4({ src, dst, protocol, payload, fragmentOffset: from / 8, moreFragments: more, id });
      return f.ipv6(
        { src, dst },
        f.extension.fragment,
        f.join(f.fragmentHeader(protocol, from / 8, more, id), payload),
      );
    };
    const ran = [part(0, cut), part(cut)].map((each) =>
      this.#rig.run(made.link, made.side, this.#framed(made, each)),
    );
    const about = `${JSON.stringify({ ...made, transport: hex(transport) })} in parts became ${ran.map(({ frame }) => hex(frame))}`;
    const [first, later] = ran.map(({ verdict, frame }) =>
      verdict === dropped ? null : this.#read(frame, about),
    );
    if (!first) return this.#count('first part dropped');
    assert.ok(later, `the later part was dropped: ${about}`);
    for (const { frame } of ran) assert.equal(wrongChecksum(frame), null, about);
    assert.deepEqual([later.src, later.dst], [first.src, first.dst], about);
    const { reading } = first;
    const together = {
      ...reading,
      transport: f.join(reading.transport, payloadOf(ran[1]?.frame, later.reading)),
    };
    if (!first.isTunnelled) assert.equal(wrongTransport(together) !== null, made.isSpoilt, about);
    return first;
  }

  /** As the one who was asked would answer, and would complain of it. */
  #answer(made: Made, sent: Sent): void {
    const { protocol } = made;
    const isIcmp = protocol === ICMP || protocol === ICMPv6;
    const [to, from] = [sent.reading.ports?.[0] ?? sent.reading.icmp?.id ?? 0, sent.reading.ports?.[1] ?? 0];
    const reply = { src: sent.dst, dst: sent.src, protocol, sport: from, dport: to };
    const data = Uint8Array.from({ length: 20 }, () => this.#random.below(256));
    const transport = isIcmp
      ? echoReply(reply, to, data)
      : transportOf(reply, data, f.tcpFlag.syn | f.tcpFlag.ack);
    const at = this.#seatOf(sent.dst);
    this.#back(made, at, f.ip(reply, protocol, transport), (reading, about) => {
      assert.deepEqual([reading.src, reading.dst], [made.dst, made.src], about);
      if (!isIcmp) assert.deepEqual(reading.ports, [made.dport, made.sport], about);
      else assert.equal(reading.icmp?.id, made.sport, about);
    });
    const quoted = f.ip({ src: sent.src, dst: sent.dst }, protocol, sent.reading.transport.slice(0, 40));
    const error = errorAbout({ src: sent.dst, dst: sent.src }, quoted);
    this.#back(made, at, error, (reading, about) => {
      assert.equal(reading.dst, made.src, about);
      const told = readQuoted(reading);
      assert.deepEqual([told?.src, told?.dst, told?.protocol], [made.src, made.dst, protocol], about);
      if (!isIcmp) assert.deepEqual(told?.ports, [made.sport, made.dport], about);
    });
  }

  #back(made: Made, at: Seat, packet: Uint8Array, check: (reading: ReadPacket, about: string) => void): void {
    const frame = this.#framed({ ...made, ...at }, packet);
    const ran = this.#rig.run(at.link, at.side, frame);
    const about = `back from ${JSON.stringify({ ...made, transport: '' })}: ${hex(frame)} became ${ran.verdict} ${hex(ran.frame)}`;
    assert.notEqual(ran.verdict, dropped, about);
    assert.equal(wrongChecksum(ran.frame), null, about);
    const reading = readFrame(ran.frame);
    assert.ok(reading.kind === 'packet', about);
    check(reading, about);
    this.#count('back');
  }

  /** Where what comes from an address comes in. */
  #seatOf(address: Address): Seat {
    const pod = Object.entries(pods).find(([, addresses]) => addresses.includes(address));
    return { link: pod ? linkOf(pod[0]) : 'eth0', side: 'ingress' };
  }

  #dressed({ src, dst, protocol, transport }: Made): Uint8Array {
    if (this.#random.chance(0.7)) return f.ip({ src, dst }, protocol, transport);
    if (familyOf(dst) === 4) return f.ipv4({ src, dst, protocol, payload: transport, options: [1, 1, 1, 0] });
    return f.ipv6({ src, dst }, f.extension.destination, f.join(f.paddingOptions(protocol), transport));
  }

  #framed({ link, side, dst }: Pick<Question, 'link' | 'side' | 'dst'>, packet: Uint8Array): Uint8Array {
    const { mac, beyond } = this.#rig.link(link);
    const type = familyOf(dst) === 4 ? f.etherType.ipv4 : f.etherType.ipv6;
    return side === 'ingress' ? f.ethernet(mac, beyond, type, packet) : f.ethernet(beyond, mac, type, packet);
  }

  #read(frame: Uint8Array, about: string): Sent {
    const reading = readFrame(frame);
    assert.ok(reading.kind === 'packet', about);
    const isTunnelled = reading.ports?.[1] === vxlanPort;
    return { src: reading.src, dst: reading.dst, reading, isTunnelled };
  }

  #count(what: string): null {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    return null;
  }
}

type Seat = Pick<Question, 'link' | 'side'>;

interface Sent extends f.Ends {
  readonly reading: ReadPacket;
  readonly isTunnelled: boolean;
}

type Ports = f.Ends & { readonly protocol: number; readonly sport: number; readonly dport: number };

function transportOf(
  { protocol, sport, dport, ...ends }: Ports,
  data: Uint8Array,
  flags: number = f.tcpFlag.syn,
): Uint8Array {
  switch (protocol) {
    case TCP:
      return f.tcp(ends, sport, dport, flags, data);
    case UDP:
      return f.udp(ends, sport, dport, data);
    case ICMP:
      return f.icmp4(f.join([8, 0, 0, 0, ...f.word(sport), 0, 1], data));
    default:
      return f.icmp6(ends, f.join([128, 0, 0, 0, ...f.word(sport), 0, 1], data));
  }
}

function echoReply(ends: f.Ends, id: number, data: Uint8Array): Uint8Array {
  const body = (type: number) => f.join([type, 0, 0, 0, ...f.word(id), 0, 1], data);
  return familyOf(ends.dst) === 4 ? f.icmp4(body(0)) : f.icmp6(ends, body(129));
}

function errorAbout(ends: f.Ends, quoted: Uint8Array): Uint8Array {
  const body = (type: number, code: number) => f.join([type, code, 0, 0, 0, 0, 0, 0], quoted);
  return familyOf(ends.dst) === 4
    ? f.ip(ends, ICMP, f.icmp4(body(3, 1)))
    : f.ip(ends, ICMPv6, f.icmp6(ends, body(1, 3)));
}

/** Of a later part: what follows IP's headers. */
function payloadOf(frame: Uint8Array | undefined, { family, fragment }: ReadPacket): Uint8Array {
  const length = (fragment?.to ?? 0) - (fragment?.from ?? 0);
  const from = family === 4 ? 34 : 62;
  return frame?.subarray(from, from + length) ?? new Uint8Array(0);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

rootTest(
  'translated frames have right checksums where they had, and come back as what was asked',
  async () => {
    const seed = seedOfRun('eBPF translation');
    await using bench = new Bench(new Random(seed));
    await bench.open();
    bench.run(Number(framesWanted));
    process.stderr.write(
      `eBPF translation: ${JSON.stringify(Object.fromEntries([...bench.counts].sort()))}\n`,
    );
  },
);
