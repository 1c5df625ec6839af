// SPDX-License-Identifier: Apache-2.0
/** Frames by chance: well made ones of every kind that the data plane knows, then harmed in every way that a sender could. */
import { familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import * as f from './frames.ts';
import type { Random } from './random.ts';

const { TCP, UDP, SCTP, ICMP, ICMPv6 } = protocolNumbers;
const authentication = 51;
/** bpf/tunnel.h */
const tunnelNetwork = 0x6d7573;
export const vxlanPort = 4789;

/** A flow's packet, as an ICMP error would quote it. */
export interface QuotedFlow extends f.Ends {
  readonly protocol: number;
  readonly srcPort: number;
  readonly dstPort: number;
}

/** Who sends by a hook, and to whom. */
export interface FuzzScene {
  readonly to: Uint8Array;
  readonly from: Uint8Array;
  /** Of both families; the first of a family is the usual sender. */
  readonly sources: readonly Address[];
  readonly targets: readonly Address[];
  readonly ports: readonly number[];
  /** Ends of the nodes' tunnel, by family: another node's and this one's. */
  readonly tunnel: readonly f.Ends[];
  /** A flow that ICMP errors may be about, if any is known. */
  readonly flow: () => QuotedFlow | null;
}

export interface FuzzFrame {
  readonly kind: string;
  readonly frame: Uint8Array;
  /** As well made as it was born. */
  readonly isWhole: boolean;
}

export class FrameFuzzer {
  readonly #random: Random;
  readonly #scene: FuzzScene;
  #fragments = 0;

  constructor(random: Random, scene: FuzzScene) {
    this.#random = random;
    this.#scene = scene;
  }

  next(): FuzzFrame {
    const [kind, make] = this.#random.pick(this.#kinds);
    const frame = make();
    if (this.#random.chance(0.25)) return { kind, frame, isWhole: true };
    const harms = this.#random.times(1, 2, () => this.#random.pick(this.#harms));
    let harmed = frame;
    for (const [, harm] of harms) harmed = harm(harmed);
    const how = harms.map(([name]) => name).join(', ');
    return { kind: `${kind}, ${how}`, frame: harmed.length < 14 ? frame : harmed, isWhole: false };
  }

  /** One of each kind, to be cut at every length. */
  wholeOnes(): FuzzFrame[] {
    return this.#kinds.map(([kind, make]) => ({ kind, frame: make(), isWhole: true }));
  }

  readonly #kinds: readonly (readonly [string, () => Uint8Array])[] = [
    ['TCP', () => this.#plain(TCP)],
    ['TCP with options', () => this.#plain(TCP, this.#tcpWithOptions())],
    ['UDP', () => this.#plain(UDP)],
    ['SCTP', () => this.#plain(SCTP)],
    [
      'another protocol',
      () => this.#plain(this.#random.pick([2, 4, 33, 41, 47, 50, 51, 58, 59, 103, 135, 136, 253])),
    ],
    ['ICMP', () => this.#icmp()],
    ['ICMP error', () => this.#icmpError()],
    ['packet of a flow', () => this.#ofFlow()],
    ['neighbour discovery', () => this.#discovery()],
    ['ARP', () => this.#arp()],
    ['VXLAN', () => this.#vxlan()],
    ['first fragment', () => this.#fragment(0)],
    ['later fragment', () => this.#fragment(this.#random.pick([1, 2, 3, 4, 185, 8191]))],
    ['fragments', () => this.#followUp()],
    ['IPv4 options', () => this.#withOptions()],
    ['IPv6 extensions', () => this.#withExtensions()],
    ['IPv6 extensions', () => this.#withExtensions()],
    ['fragment of a fragment', () => this.#fragmentTwice()],
    ['VLAN', () => this.#vlan()],
    ['another EtherType', () => this.#framed(this.#random.below(65_536), this.#noise(60))],
  ];

  readonly #tunnelled: readonly (() => Uint8Array)[] = [
    () => this.#plain(TCP),
    () => this.#plain(UDP),
    () => this.#icmp(),
    () => this.#icmpError(),
    () => this.#ofFlow(),
    () => this.#ofFlow(),
    () => this.#discovery(),
    () => this.#fragment(this.#random.pick([0, 1, 5])),
    () => this.#withExtensions(),
  ];

  readonly #harms: readonly (readonly [string, (frame: Uint8Array) => Uint8Array])[] = [
    ['cut', (frame) => frame.subarray(0, 14 + this.#random.below(frame.length - 13))],
    ['cut', (frame) => frame.subarray(0, 14 + this.#random.below(frame.length - 13))],
    ['padded', (frame) => f.join(frame, this.#noise(this.#random.below(1000)))],
    ['noise', (frame) => this.#sprinkled(frame, 14)],
    ['noise in MACs', (frame) => this.#sprinkled(frame.subarray(), 0, 12)],
    ['group source', (frame) => this.#set(frame, 6, (frame[6] ?? 0) | 1)],
    ['zero source', (frame) => this.#filled(frame, 6, 12, 0)],
    ['broadcast', (frame) => this.#filled(frame, 0, 6, 255)],
    ['zero destination', (frame) => this.#filled(frame, 0, 6, 0)],
    ['version and header length', (frame) => this.#set(frame, 14, this.#random.below(256))],
    ['IPv4 header length', (frame) => this.#set(frame, 14, 0x40 | this.#random.below(16))],
    ['length', (frame) => this.#setLength(frame)],
    ['length', (frame) => this.#setLength(frame)],
    ['fragment field', (frame) => this.#setWord(frame, 20, this.#random.below(65_536))],
    ['protocol', (frame) => this.#set(frame, isIpv4(frame) ? 23 : 20, this.#random.below(256))],
    [
      'transport word',
      (frame) => this.#setWord(frame, transportAt(frame) + 2 * this.#random.below(8), this.#word()),
    ],
    ['TCP header length', (frame) => this.#set(frame, transportAt(frame) + 12, this.#random.below(256))],
    ['UDP length', (frame) => this.#setWord(frame, transportAt(frame) + 4, this.#word())],
    ['mapped address', (frame) => this.#mapAddress(frame)],
    [
      'another EtherType',
      (frame) => this.#setWord(frame, 12, this.#random.pick([0x800, 0x86dd, 0x806, 0x8100, 0])),
    ],
  ];

  #plain(protocol: number, transport?: Uint8Array): Uint8Array {
    const ends = this.#ends();
    return this.#ip(ends, f.ip(ends, protocol, transport ?? this.#transport(ends, protocol)));
  }

  #ends(): f.Ends {
    const { sources, targets } = this.#scene;
    const dst = this.#random.pick(targets);
    const own = sources.filter((each) => familyOf(each) === familyOf(dst));
    return { src: this.#random.chance(0.9) ? (own[0] ?? dst) : this.#random.pick(own), dst };
  }

  #ip({ dst }: f.Ends, packet: Uint8Array): Uint8Array {
    return this.#framed(familyOf(dst) === 4 ? f.etherType.ipv4 : f.etherType.ipv6, packet);
  }

  #framed(type: number, payload: Uint8Array): Uint8Array {
    return f.ethernet(this.#scene.to, this.#scene.from, type, payload);
  }

  #port(): number {
    return this.#random.pick(this.#scene.ports);
  }

  #ownPort(): number {
    return 10_000 + this.#random.below(50_000);
  }

  #noise(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.below(256));
  }

  #word(): number {
    return this.#random.pick([0, 1, 7, 8, 40, 81, 0xffff, this.#random.below(65_536)]);
  }

  #transport(ends: f.Ends, protocol: number): Uint8Array {
    const data = this.#noise(this.#random.below(40));
    if (protocol === TCP)
      return f.tcp(ends, this.#ownPort(), this.#port(), this.#random.pick([2, 2, 2, 16, 18, 4, 0, 63]), data);
    if (protocol === UDP) return f.udp(ends, this.#ownPort(), this.#port(), data);
    if (protocol === SCTP) return f.sctp(this.#ownPort(), this.#port());
    return data;
  }

  #tcpWithOptions(): Uint8Array {
    const words = this.#random.below(11);
    const head = [...f.word(this.#ownPort()), ...f.word(this.#port()), 0, 0, 0, 1, 0, 0, 0, 0];
    return f.join(head, [(5 + words) << 4, 2, 255, 255, 0, 0, 0, 0], this.#noise(words * 4));
  }

  #icmp(): Uint8Array {
    const ends = this.#ends();
    const is4 = familyOf(ends.dst) === 4;
    const type = this.#random.pick(is4 ? [0, 8, 13, 15, 17, 9, 10] : [128, 129, 139, 144, 200]);
    const body = f.join([type, 0, 0, 0], this.#noise(4 + this.#random.below(30)));
    return this.#ip(ends, is4 ? f.ip(ends, ICMP, f.icmp4(body)) : f.ip(ends, ICMPv6, f.icmp6(ends, body)));
  }

  /** Of one that is known, one way or the other, from wherever this is. */
  #ofFlow(): Uint8Array {
    const flow = this.#scene.flow();
    if (!flow) return this.#plain(UDP);
    const { src, dst, srcPort, dstPort, protocol } = flow;
    const isAnswer = this.#random.chance(0.5);
    const ends = isAnswer ? { src: dst, dst: src } : { src, dst };
    const [sport, dport] = isAnswer ? [dstPort, srcPort] : [srcPort, dstPort];
    const data = this.#noise(this.#random.below(40));
    if (protocol === TCP)
      return this.#ip(ends, f.ip(ends, TCP, f.tcp(ends, sport, dport, f.tcpFlag.ack, data)));
    return this.#ip(
      ends,
      f.ip(ends, protocol, protocol === UDP ? f.udp(ends, sport, dport, data) : f.sctp(sport, dport)),
    );
  }

  /** About a flow that there is, one that there is not, or told to somebody else. */
  #icmpError(): Uint8Array {
    const known = this.#scene.flow();
    const told = this.#ends();
    const made = {
      src: told.dst,
      dst: told.src,
      protocol: this.#random.pick([TCP, UDP, SCTP]),
      srcPort: this.#ownPort(),
      dstPort: 81,
    };
    const flow = known && this.#random.chance(0.8) ? known : made;
    const quoted = this.#random.chance(0.5)
      ? flow
      : { ...flow, src: flow.dst, dst: flow.src, srcPort: flow.dstPort, dstPort: flow.srcPort };
    const family = familyOf(quoted.src);
    const honest = { src: quoted.dst, dst: quoted.src };
    const ends =
      this.#random.chance(0.6) || familyOf(told.dst) !== family
        ? honest
        : this.#random.pick([told, { ...honest, dst: told.dst }, { ...honest, src: told.src }]);
    const head = f.ip(
      quoted,
      quoted.protocol,
      f.join([...f.word(quoted.srcPort), ...f.word(quoted.dstPort)], new Uint8Array(16)),
    );
    const type = this.#random.pick(family === 4 ? [3, 4, 5, 11, 12] : [1, 2, 3, 4]);
    const body = f.join([type, this.#random.below(5), 0, 0, 0, 0, 5, 0], head);
    return this.#ip(
      ends,
      family === 4 ? f.ip(ends, ICMP, f.icmp4(body)) : f.ip(ends, ICMPv6, f.icmp6(ends, body)),
    );
  }

  /** RFC 4861, RFC 3810: router and neighbour messages, from and to whoever may be. */
  #discovery(): Uint8Array {
    const sources = [
      'fe80::1',
      '::',
      ...this.#scene.sources.filter((each) => familyOf(each) === 6),
    ] as Address[];
    const targets = [
      'ff02::1',
      'ff02::2',
      'fe80::ecee:eeff:feee:eeee',
      ...this.#scene.targets.filter((each) => familyOf(each) === 6),
    ] as Address[];
    const ends = { src: this.#random.pick(sources), dst: this.#random.pick(targets) };
    const type = this.#random.pick([130, 131, 132, 133, 134, 135, 136, 137, 143]);
    const body = f.icmp6(ends, f.join([type, 0, 0, 0], this.#noise(4 + 8 * this.#random.below(6))));
    return this.#ip(ends, f.ipv6(ends, ICMPv6, body, 255));
  }

  #arp(): Uint8Array {
    const { from, sources, targets } = this.#scene;
    const four = (list: readonly Address[]) => list.filter((each) => familyOf(each) === 4);
    const claim = f.arp({
      operation: this.#random.pick(['request', 'reply'] as const),
      senderMac: this.#random.chance(0.8) ? from : this.#noise(6),
      sender: this.#random.pick([...four(sources), '0.0.0.0' as Address]),
      target: this.#random.pick(four(targets)),
    });
    return this.#framed(f.etherType.arp, claim);
  }

  #vxlan(): Uint8Array {
    const inner = this.#random.pick(this.#tunnelled)();
    const family = isIpv4(inner) ? 4 : 6;
    const tunnels = this.#scene.tunnel.filter(({ dst }) => familyOf(dst) === family);
    const ends = tunnels.length > 0 && this.#random.chance(0.7) ? this.#random.pick(tunnels) : this.#ends();
    const network = this.#random.chance(0.8) ? tunnelNetwork : this.#random.below(2 ** 24);
    const spoilt = this.#random.chance(0.3) ? this.#random.pick(this.#harms)[1](inner) : inner;
    const last = this.#random.chance(0.8) ? spoilt.length : this.#random.below(spoilt.length);
    const outer = f.udp(ends, 50_000, vxlanPort, f.vxlan(network, spoilt.subarray(0, last)));
    return f.join(this.#ip(ends, f.ip(ends, UDP, outer)), spoilt.subarray(last)); // what is left lies behind its end
  }

  #fragment(offset: number, id = this.#random.below(65_536), ends = this.#ends()): Uint8Array {
    const protocol = this.#random.pick([TCP, UDP, UDP, SCTP, 253]);
    const whole =
      offset === 0 ? this.#transport(ends, protocol) : this.#noise(8 * (1 + this.#random.below(5)));
    const more = offset === 0 || this.#random.chance(0.5);
    const payload = this.#random.chance(0.9)
      ? f.join(whole, new Uint8Array((8 - (whole.length % 8)) % 8))
      : whole;
    if (familyOf(ends.dst) === 4)
      return this.#ip(
        ends,
        f.ipv4({ ...ends, protocol, payload, fragmentOffset: offset, moreFragments: more, id }),
      );
    const header = f.fragmentHeader(protocol, offset, more, id);
    return this.#ip(ends, f.ipv6(ends, f.extension.fragment, f.join(header, payload)));
  }

  /** Of few datagrams, so that parts find their first, overlap it or come before it. */
  #followUp(): Uint8Array {
    this.#fragments++;
    const id = Math.floor(this.#fragments / 6);
    const { sources, targets } = this.#scene;
    const dst = targets[id % targets.length] as Address;
    const src = sources.find((each) => familyOf(each) === familyOf(dst)) as Address;
    return this.#fragment(this.#random.pick([0, 0, 1, 2, 3, 5, 9, 20, 8191]), id, { src, dst });
  }

  #withOptions(): Uint8Array {
    const targets = this.#scene.targets.filter((each) => familyOf(each) === 4);
    const dst = this.#random.pick(targets);
    const src = this.#scene.sources.find((each) => familyOf(each) === 4) as Address;
    const options = this.#random.pick<() => number[]>([
      () => [0x94, 4, 0, 0],
      () => [1, 1, 1, 0],
      () => [7, 7, 4, 0, 0, 0, 0, 0],
      () => [0x83, 7, 4, 10, 65, 0, 1, 0],
      () => [0x89, 7, 4, 10, 65, 0, 1, 0],
      () => [...this.#noise(4 * this.#random.below(11))],
      () => [1, 1, 0x44, this.#random.pick([0, 1, 2, 3])],
      () => [0x44, 1, 1, 0],
    ])();
    const protocol = this.#random.pick([TCP, UDP, SCTP, 253]);
    const payload = this.#transport({ src, dst }, protocol);
    return this.#ip({ src, dst }, f.ipv4({ src, dst, protocol, payload, options }));
  }

  /** Up to twelve headers, in and out of order. */
  #withExtensions(): Uint8Array {
    const targets = this.#scene.targets.filter((each) => familyOf(each) === 6);
    const dst = this.#random.pick(targets);
    const src = this.#scene.sources.find((each) => familyOf(each) === 6) as Address;
    const protocol = this.#random.pick([TCP, UDP, UDP, SCTP, ICMPv6, 253]);
    let next: number = protocol;
    let payload: Uint8Array = this.#transport({ src, dst }, protocol);
    for (let left = this.#random.pick([1, 1, 2, 2, 3, 7, 8, 9, 12]); left > 0; left--) {
      const type = this.#random.pick([0, 60, 60, 60, 43, 44, authentication]);
      payload = f.join(this.#extension(type, next), payload);
      next = type;
    }
    return this.#ip({ src, dst }, f.ipv6({ src, dst }, next, payload));
  }

  #extension(type: number, next: number): Uint8Array {
    const units = this.#random.pick([0, 0, 0, 1, 2, 4, 30, 255]);
    const claims = this.#random.chance(0.9) ? units : this.#random.below(256);
    switch (type) {
      case f.extension.fragment:
        return f.fragmentHeader(
          next,
          this.#random.pick([0, 0, 0, 1, 3]),
          this.#random.chance(0.4),
          this.#random.below(50),
        );
      case f.extension.routing:
        return f.join(
          [next, claims, this.#random.pick([0, 2, 3, 4]), this.#random.pick([0, 0, 1, 255])],
          new Uint8Array(4 + 8 * units),
        );
      case authentication:
        return f.join(
          [next, this.#random.chance(0.5) ? 4 : claims],
          new Uint8Array(this.#random.chance(0.5) ? 22 : units * 4 + 6),
        );
      default:
        return f.join([next, claims, 1, 4 + Math.min(units * 8, 251)], new Uint8Array(4 + 8 * units));
    }
  }

  /** The parts of a part: whoever puts them together does so once. */
  #fragmentTwice(): Uint8Array {
    const dst = this.#random.pick(this.#scene.targets.filter((each) => familyOf(each) === 6));
    const src = this.#scene.sources.find((each) => familyOf(each) === 6) as Address;
    const parts = this.#random.pick([
      [0, 0],
      [1, 1],
      [0, 1],
      [1, 0],
    ] as const);
    const headers = parts.map((more, i) => {
      const next = i === 0 ? f.extension.fragment : UDP;
      return f.fragmentHeader(next, 0, more === 1, this.#random.below(1000));
    });
    const whole = f.udp({ src, dst }, this.#ownPort(), this.#port(), this.#noise(16));
    return this.#ip({ src, dst }, f.ipv6({ src, dst }, f.extension.fragment, f.join(...headers, whole)));
  }

  #vlan(): Uint8Array {
    const plain = this.#plain(UDP);
    const tag = this.#random.pick([f.etherType.vlan, f.etherType.qinq]);
    return f.join(plain.subarray(0, 12), f.word(tag), [0, 5], plain.subarray(12));
  }

  #sprinkled(frame: Uint8Array, first: number, end = frame.length): Uint8Array {
    const copy = frame.slice();
    for (let i = this.#random.below(6); i >= 0 && end > first; i--)
      copy[first + this.#random.below(Math.min(end - first, 90))] = this.#random.below(256);
    return copy;
  }

  #set(frame: Uint8Array, at: number, value: number): Uint8Array {
    const copy = frame.slice();
    if (at < copy.length) copy[at] = value;
    return copy;
  }

  #setWord(frame: Uint8Array, at: number, value: number): Uint8Array {
    return this.#set(this.#set(frame, at, value >>> 8), at + 1, value & 0xff);
  }

  #filled(frame: Uint8Array, first: number, end: number, value: number): Uint8Array {
    return frame.slice().fill(value, first, end);
  }

  #setLength(frame: Uint8Array): Uint8Array {
    const at = isIpv4(frame) ? 16 : 18;
    const right = ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
    const wrong = [
      right - 1,
      right + 1,
      right - 8,
      right + 8,
      0,
      20,
      21,
      28,
      40,
      48,
      9000,
      65_535,
      this.#random.below(100),
    ];
    return this.#setWord(frame, at, Math.max(0, this.#random.pick(wrong)));
  }

  #mapAddress(frame: Uint8Array): Uint8Array {
    if (isIpv4(frame)) return frame;
    const copy = this.#filled(frame, 22, 32, 0).fill(0xff, 32, 34);
    return this.#random.chance(0.5) ? copy : this.#filled(frame, 38, 48, 0).fill(0xff, 48, 50);
  }
}

function isIpv4(frame: Uint8Array): boolean {
  return frame[12] === 8 && frame[13] === 0;
}

function transportAt(frame: Uint8Array): number {
  return isIpv4(frame) ? 14 + ((frame[14] ?? 5) & 15) * 4 : 54;
}
