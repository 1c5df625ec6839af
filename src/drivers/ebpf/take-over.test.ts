// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrackedConnection, TrackedTuple } from '../../kernel/conntrack.ts';
import { parseAddress } from '../../lib/address.ts';
import { anyNetwork, flowAt, flowFlags } from './layout.ts';
import { tupleOf, viewOf } from './row-view.ts';
import { type OwnerOf, takenFlows } from './take-over.ts';

const [pod, host, outside, virtual] = ['10.65.0.1', '172.16.0.1', '192.0.2.10', '10.97.0.1'].map(
  parseAddress,
);
assert.ok(pod && host && outside && virtual);
const ownerOf: OwnerOf = (address) => {
  if (address === pod) return { kind: 'workload', ifIndex: 7, endpoint: 99n };
  return address === host ? { kind: 'host' } : null;
};

const tuple = (change: Partial<TrackedTuple>): TrackedTuple => ({
  protocol: 6,
  src: outside,
  dst: pod,
  srcPort: 1000,
  dstPort: 80,
  ...change,
});
const reply = (change: Partial<TrackedTuple>) =>
  tuple({ src: pod, dst: outside, srcPort: 80, dstPort: 1000, ...change });
const connection = (change: Partial<TrackedConnection>): TrackedConnection => ({
  family: 4,
  original: tuple({}),
  reply: reply({}),
  answered: true,
  tcpState: 'established',
  zone: 0,
  mark: 0,
  ...change,
});

function taken(change: Partial<TrackedConnection>) {
  return [...takenFlows([connection(change)], ownerOf, 5n)].map(({ key, value }) => {
    const view = viewOf(value);
    return {
      comes: tupleOf(viewOf(key), 0),
      goesOn: tupleOf(view, flowAt.to),
      flags: view.getUint32(flowAt.flags, true) & ~(flowFlags.answered | flowFlags.learnt),
      in: view.getUint32(flowAt.inIfIndex, true),
      endpoint: view.getBigUint64(flowAt.endpoint, true),
      generation: view.getUint32(flowAt.generation, true),
    };
  });
}

test('take-over: both directions, each where it comes in, none with a way yet', () => {
  assert.deepEqual(taken({}), [
    { comes: tuple({}), goesOn: tuple({}), flags: 0, in: anyNetwork, endpoint: 99n, generation: 0 },
    { comes: reply({}), goesOn: reply({}), flags: flowFlags.reply, in: 7, endpoint: 0n, generation: 0 },
  ]);
});

test('take-over: translation of the destination goes both ways', () => {
  const [there, back] = taken({ original: tuple({ dst: virtual, dstPort: 8080 }) });
  assert.deepEqual([there?.goesOn, there?.flags], [tuple({}), flowFlags.translateDst]);
  const answer = reply({ src: virtual, srcPort: 8080 });
  assert.deepEqual([back?.goesOn, back?.flags], [answer, flowFlags.reply | flowFlags.translateSrc]);
});

test('take-over: translation of the source: answers come to the host and go on to the workload', () => {
  const original = tuple({ src: pod, dst: outside });
  const [there, back] = taken({
    original,
    reply: tuple({ src: outside, dst: host, srcPort: 80, dstPort: 5000 }),
  });
  assert.deepEqual([there?.goesOn, there?.in], [tuple({ src: host, dst: outside, srcPort: 5000 }), 7]);
  assert.deepEqual([back?.in, back?.endpoint], [anyNetwork, 99n]);
});

for (const [what, change] of [
  ['a connection that began only', { tcpState: 'syn-received' }],
  ['one that ended', { tcpState: 'time-wait' }],
  ['another zone', { zone: 3 }],
  ['ICMP', { original: tuple({ protocol: 1 }), tcpState: null }],
  [
    'what never leaves the host',
    { original: tuple({ src: host, dst: host }), reply: reply({ src: host, dst: host }) },
  ],
  ["what is nobody's here", { original: tuple({ dst: virtual }), reply: reply({ src: virtual }) }],
] as const) {
  test(`take-over: ${what} is left out`, () => assert.deepEqual(taken(change), []));
}
