// SPDX-License-Identifier: Apache-2.0
/** Each rule of the guard's programs, frame by frame, run in the kernel by BPF_PROG_TEST_RUN. */
import assert from 'node:assert/strict';
import { bpf } from '../../src/kernel/bpf/call.ts';
import {
  closedProgram,
  fromWorkloadProgram,
  toWorkloadProgram,
} from '../../src/kernel/bpf/guard-programs.ts';
import { loadClassifier, type Program } from '../../src/kernel/bpf/load.ts';
import { macBytes } from '../../src/kernel/rtnetlink/mac.ts';
import { addressBytes, parseAddress } from '../../src/lib/address.ts';
import { rootTest } from './root-test.ts';

const BPF_PROG_TEST_RUN = 10;
const own4 = '10.65.0.2';
const own6 = 'fd00::2';
const mark = 0x10000;
const mac = '02:00:00:00:00:02';

/** TCX_NEXT is -1, TCX_DROP 2. */
function verdict(program: Program, frame: Uint8Array, skbMark = 0): 'accept' | 'drop' {
  using fd = loadClassifier(program);
  const skb = new Uint8Array(192); // struct __sk_buff
  new DataView(skb.buffer).setUint32(8, skbMark, true);
  const { attributes } = bpf('test program', BPF_PROG_TEST_RUN, [
    { at: 0, u32: fd.number },
    { at: 8, u32: frame.length },
    { at: 16, pointer: frame },
    { at: 40, u32: skb.length },
    { at: 48, pointer: skb },
  ]);
  const result = attributes.getInt32(4, true);
  assert.ok(result === -1 || result === 2, `returned ${result}`);
  return result === -1 ? 'accept' : 'drop';
}

function frame(etherType: number, payload: readonly number[], source = mac): Uint8Array {
  return Uint8Array.of(
    ...macBytes('ee:ee:ee:ee:ee:ee'),
    ...macBytes(source),
    etherType >> 8,
    etherType & 255,
    ...payload,
  );
}

function ipv4(source: string): Uint8Array {
  return frame(0x0800, [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, ...addressBytes(source), 10, 0, 0, 1]);
}

function ipv6(source: string, next = 17, type = 0, hopLimit = 64): Uint8Array {
  return frame(0x86dd, [
    0x60,
    0,
    0,
    0,
    0,
    8,
    next,
    hopLimit,
    ...addressBytes(source),
    ...addressBytes('fd00::1'),
    type,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
}

function arp(sender: string, change: Partial<Record<number, number>> = {}, source = mac): Uint8Array {
  const payload = [
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    1,
    ...macBytes(mac),
    ...addressBytes(sender),
    0,
    0,
    0,
    0,
    0,
    0,
    169,
    254,
    1,
    1,
  ];
  for (const [at, value] of Object.entries(change)) payload[Number(at)] = value ?? 0;
  return frame(0x0806, payload, source);
}

function verdicts(
  program: Program,
  rows: readonly (readonly [string, 'accept' | 'drop', Uint8Array, number?])[],
): void {
  for (const [what, want, bytes, skbMark] of rows) assert.equal(verdict(program, bytes, skbMark), want, what);
}

rootTest('from a workload: its own addresses and neighbour discovery pass, nothing else', () => {
  verdicts(
    fromWorkloadProgram([
      parseAddress(own4),
      parseAddress('10.65.0.3'),
      parseAddress(own6),
      parseAddress('fd00::3'),
    ]),
    [
      ['IPv4 from its own', 'accept', ipv4(own4)],
      ['IPv4 from its second', 'accept', ipv4('10.65.0.3')],
      ['IPv4 from another', 'drop', ipv4('10.65.0.4')],
      ['IPv4 from none', 'drop', ipv4('0.0.0.0')],
      ['IPv4 from high addresses (sign)', 'drop', ipv4('255.255.255.255')],
      ['IPv4 from a group MAC', 'drop', frame(0x0800, [...ipv4(own4).subarray(14)], '03:00:00:00:00:02')],
      ['IPv6 from its own', 'accept', ipv6(own6)],
      ['IPv6 from its second', 'accept', ipv6('fd00::3')],
      ['IPv6 from another', 'drop', ipv6('fd00::4')],
      ['IPv6 from a neighbour differing in the first word', 'drop', ipv6('fd01::2')],
      ['link-local, UDP', 'drop', ipv6('fe80::1')],
      ['link-local, neighbour solicitation', 'accept', ipv6('fe80::1', 58, 135)],
      ['end of fe80::/10', 'accept', ipv6('febf::1', 58, 136)],
      ['beyond fe80::/10', 'drop', ipv6('fec0::1', 58, 136)],
      ['unspecified, neighbour solicitation (DAD)', 'accept', ipv6('::', 58, 135)],
      ['unspecified, UDP', 'drop', ipv6('::')],
      ['link-local, router solicitation', 'accept', ipv6('fe80::1', 58, 133)],
      ['link-local, router advertisement', 'drop', ipv6('fe80::1', 58, 134)],
      ['own, router advertisement', 'drop', ipv6(own6, 58, 134)],
      ['own, redirect', 'drop', ipv6(own6, 58, 137)],
      ['own, echo', 'accept', ipv6(own6, 58, 128)],
      ['another, echo', 'drop', ipv6('fd00::4', 58, 128)],
      ['link-local behind an extension header', 'drop', ipv6('fe80::1', 0, 134)],
      ['ARP from its own', 'accept', arp(own4)],
      ['ARP probe', 'accept', arp('0.0.0.0')],
      ['ARP for another', 'drop', arp('10.65.0.4')],
      ['ARP with another sender MAC', 'drop', arp(own4, {}, '02:00:00:00:00:09')],
      ['ARP, not Ethernet', 'drop', arp(own4, { 1: 6 })],
      ['ARP, not IPv4', 'drop', arp(own4, { 2: 0x86 })],
      ['ARP, other lengths', 'drop', arp(own4, { 5: 16 })],
      ['ARP cut short', 'drop', arp(own4).subarray(0, 30)],
      ['another Ethertype', 'drop', frame(0x88cc, [0, 0, 0, 0])],
      ['802.3 length', 'drop', frame(0x0010, [0x42, 0x42, 3, 0])],
      ['PPPoE', 'drop', frame(0x8864, [0, 0, 0, 0])],
    ],
  );
});

rootTest('from a workload without addresses: only probes pass', () => {
  verdicts(fromWorkloadProgram([]), [
    ['IPv4', 'drop', ipv4(own4)],
    ['IPv6', 'drop', ipv6(own6)],
    ['ARP', 'drop', arp(own4)],
    ['ARP probe', 'accept', arp('0.0.0.0')],
  ]);
});

rootTest('to a workload: only what policy marked, ARP, and neighbour discovery of the host itself', () => {
  verdicts(toWorkloadProgram(mark), [
    ['IPv4 marked', 'accept', ipv4('10.0.0.9'), mark],
    ['IPv4 marked among other bits', 'accept', ipv4('10.0.0.9'), mark | 0x4001],
    ['IPv4 with other bits', 'drop', ipv4('10.0.0.9'), 0xfffeffff],
    ['IPv4 unmarked', 'drop', ipv4('10.0.0.9')],
    ['IPv6 marked', 'accept', ipv6('fd00::9'), mark],
    ['IPv6 unmarked', 'drop', ipv6('fd00::9')],
    ['neighbour solicitation of the host', 'accept', ipv6('fe80::1', 58, 135, 255)],
    ['neighbour advertisement of the host', 'accept', ipv6('fe80::1', 58, 136, 255)],
    ['neighbour solicitation that was routed', 'drop', ipv6('fe80::1', 58, 135, 254)],
    ['router advertisement', 'drop', ipv6('fe80::1', 58, 134, 255)],
    ['echo, hop limit 255', 'drop', ipv6('fe80::1', 58, 128, 255)],
    ['UDP, hop limit 255', 'drop', ipv6('fe80::1', 17, 135, 255)],
    ['ARP', 'accept', arp('169.254.1.1')],
    ['another Ethertype, marked', 'drop', frame(0x88cc, [0, 0, 0, 0]), mark],
  ]);
});

rootTest('the highest mark bit works as any other', () => {
  const program = toWorkloadProgram(0x80000000);
  assert.equal(verdict(program, ipv4(own4), 0x80000000), 'accept');
  assert.equal(verdict(program, ipv4(own4), 0x7fffffff), 'drop');
});

rootTest('closed: not even ARP, not even marked', () => {
  verdicts(closedProgram(), [
    ['ARP', 'drop', arp(own4)],
    ['IPv4 marked', 'drop', ipv4(own4), 0xffffffff],
    ['neighbour discovery', 'drop', ipv6('fe80::1', 58, 135, 255)],
  ]);
});

rootTest(
  'a program is named by what it does: order of addresses does not matter, the addresses and the bit do',
  () => {
    const [a, b] = [parseAddress(own4), parseAddress(own6)];
    assert.equal(fromWorkloadProgram([a, b]).name, fromWorkloadProgram([b, a, a]).name);
    assert.notEqual(fromWorkloadProgram([a, b]).name, fromWorkloadProgram([a]).name);
    assert.notEqual(toWorkloadProgram(1).name, toWorkloadProgram(2).name);
  },
);
