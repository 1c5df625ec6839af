// SPDX-License-Identifier: Apache-2.0
/**
 * Instructions mean what the messages mean: run by a machine, they give the evaluator's verdict and name the rule that gave it,
 * on generated clusters, both families, workloads and every stage of hosts; a part of them split over many programs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BpfMachine, type MachineMap } from '../../../test/support/bpf-machine.ts';
import { fullPlan, generateCluster } from '../../../test/support/generate.ts';
import { generateHead } from '../../../test/support/generate-packets.ts';
import {
  casesOf,
  isRightRule,
  MemoryMap,
  messagesFor,
  type PolicyCase,
  packetOf,
} from '../../../test/support/policy-rig.ts';
import { Random, seedOfRun } from '../../../test/support/random.ts';
import { familyOf } from '../../lib/address.ts';
import { DataplaneState } from '../../observe/dataplane-state.ts';
import type { Packet } from '../../observe/packet-match.ts';
import { type CompiledPolicy, compilePolicy } from './compile.ts';
import { usualLimits } from './compile-parts.ts';
import { IpSetMaps } from './ip-sets.ts';
import { packetAt, packetFlags, programIndex } from './layout.ts';
import { PolicyBook } from './policy-book.ts';

const caseCount = 250;
const packetsPerProgram = 12;
const fds = { packet: 3, programs: 4, sets: 5, nets: 6 } as const;
const firstSlot = 100;

const seed = seedOfRun('compiled policy');
const { MUSLIN_CASE: onlyCase } = process.env;
const counts = {
  packets: 0,
  programs: 0,
  split: 0,
  runs: 0,
  allow: 0,
  deny: 0,
  undecided: 0,
  otherRule: 0,
  logs: 0,
};

const addresses = [
  ...fullPlan.pods.flatMap((pod) => pod.addresses),
  ...fullPlan.outside,
  ...fullPlan.host.links.flatMap((link) => link.addresses),
];

function packetFor(random: Random, family: 4 | 6): Packet {
  const own = addresses.filter((address) => familyOf(address) === family);
  const head = random.chance(0.05)
    ? { protocol: 17, srcPort: 9, dstPort: 4789 }
    : generateHead(random, family);
  const ports = random.chance(0.05)
    ? { srcPort: random.pick([22, 53, 179]), dstPort: random.pick([22, 53, 68]) }
    : {};
  const before = { dstBeforeNat: random.pick(own), dstPortBeforeNat: random.pick([80, 443, 8080, 22]) };
  return {
    ipVersion: family,
    src: random.pick(own),
    dst: random.pick(own),
    ...head,
    ...('dstPort' in head ? ports : {}),
    ...(random.chance(0.2) ? ('dstPort' in head ? before : { dstBeforeNat: before.dstBeforeNat }) : {}),
  };
}

class Rig {
  readonly state: DataplaneState;
  readonly ipSets = new IpSetMaps();
  readonly book = new PolicyBook();
  readonly maps = { sets: new MemoryMap('sets'), nets: new MemoryMap('nets') };

  constructor(messages: ReturnType<typeof messagesFor>) {
    this.state = DataplaneState.from(messages);
    for (const message of messages) {
      this.ipSets.onMessage(message);
      this.book.onMessage(message);
    }
  }

  compile({ key }: PolicyCase, instructions: number): CompiledPolicy {
    const compiled = compilePolicy({
      ...key,
      ...this.book.chainsOf(key),
      hasNets: (lookup) => this.ipSets.hasNets(lookup),
      limits: { ...usualLimits, instructions, depth: 1000 },
    });
    for (const lookup of compiled.lookups.values()) this.ipSets.use(lookup);
    this.ipSets.apply(this.maps);
    return compiled;
  }

  run(parts: readonly Uint8Array[], bytes: Uint8Array) {
    const machine = new BpfMachine(
      new Map<number, MachineMap>([
        [fds.packet, { keyBytes: 4, lookup: () => bytes }],
        [fds.programs, { programs: (slot: number) => parts[slot - firstSlot] ?? 'stop' }],
        [fds.sets, this.maps.sets],
        [fds.nets, this.maps.nets],
      ]),
    );
    const [first] = parts;
    assert.ok(first);
    return machine.run(first);
  }
}

function comments(
  compiled: CompiledPolicy,
  view: DataView,
  at: number,
  count: number,
): (string | undefined)[] {
  return Array.from(
    { length: count },
    (_, i) => compiled.rules.get(view.getBigUint64(at + 8 * i, true))?.comment,
  );
}

function checkPacket(
  rig: Rig,
  { key, judge }: PolicyCase,
  compiled: CompiledPolicy,
  parts: readonly Uint8Array[],
  packet: Packet,
): void {
  const want = judge(packet);
  const bytes = packetOf(packet, [firstSlot, programIndex.admit]);
  const run = rig.run(parts, bytes);
  const view = new DataView(bytes.buffer);
  const wentOn = run.slot === programIndex.admit;
  const [comment] = comments(compiled, view, packetAt.rules, 1);
  const about = JSON.stringify({ packet, want, run, comment, key });
  assert.equal(wentOn || run.slot === programIndex.drop, true, about);
  assert.equal(wentOn, want.outcome !== 'deny', about);
  assert.ok(isRightRule(rig.state, want, comment, packet), about);
  assert.equal(view.getUint32(packetAt.next, true), wentOn ? 1 : 0, about);
  checkFlags(key, want.outcome, view.getUint32(packetAt.flags, true), about);
  const logCount = view.getUint32(packetAt.logCount, true);
  if (logCount <= 4 && comment === want.comment) {
    assert.deepEqual([...new Set(comments(compiled, view, packetAt.logs, logCount))], [...want.logs], about);
    counts.logs += logCount;
  }
  counts.packets++;
  counts[want.outcome]++;
  if (comment !== want.comment) counts.otherRule++;
}

function checkFlags(
  { point, direction }: PolicyCase['key'],
  outcome: string,
  flags: number,
  about: string,
): void {
  const accepted = direction === 'ingress' ? packetFlags.hostAcceptedIn : packetFlags.hostAcceptedOut;
  const sets = {
    untracked: accepted | packetFlags.untracked,
    'pre-dnat': accepted,
    normal: 0,
    forward: 0,
    workload: 0,
  };
  assert.equal(flags, outcome === 'allow' ? sets[point] : 0, about);
}

function runCase(number: number): void {
  const random = new Random(seed * 100_003 + number);
  const { resources } = generateCluster(random, fullPlan);
  const rig = new Rig(messagesFor('n1', resources));
  for (const family of [4, 6] as const) {
    for (const each of casesOf(rig.state, family)) {
      const compiled = rig.compile(each, random.pick([24_000, 24_000, 300, 400]));
      const slots = compiled.parts.map((_, i) => firstSlot + i);
      const parts = compiled.assemble({ maps: fds, slots });
      counts.programs++;
      if (parts.length > 1) counts.split++;
      if ([...compiled.lookups.values()].some((lookup) => lookup.sources.length > 1)) counts.runs++;
      for (let i = 0; i < packetsPerProgram; i++)
        checkPacket(rig, each, compiled, parts, packetFor(random, family));
    }
  }
}

test("compiled programs give the evaluator's verdict and name its rule", () => {
  for (let i = 0; i < caseCount; i++) {
    if (onlyCase !== undefined && Number(onlyCase) !== i) continue;
    try {
      runCase(i);
    } catch (error) {
      throw new Error(`repeat with MUSLIN_SEED=${seed} MUSLIN_CASE=${i}`, { cause: error });
    }
  }
});

test('programs of every kind and packets of every fate were among them', () => {
  if (onlyCase !== undefined) return;
  process.stderr.write(`${JSON.stringify(counts)}\n`);
  const { packets, programs, allow, deny, undecided, split, runs, logs } = counts;
  assert.ok(Math.min(allow, deny, undecided) > packets / 20);
  assert.ok(Math.min(split, runs) > programs / 50);
  assert.ok(logs > 0);
});
