// SPDX-License-Identifier: Apache-2.0
/**
 * Instructions mean what the messages mean: run by a machine, they give the evaluator's verdict and name the rule that gave it,
 * on generated clusters, both families, workloads and every stage of hosts; a part of them split over many programs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullPlan, generateCluster } from '../../../test/support/generate.ts';
import { generateHead } from '../../../test/support/generate-packets.ts';
import {
  casesOf,
  firstSlot,
  isRightRule,
  messagesFor,
  type PolicyCase,
  PolicyRig,
  packetOf,
} from '../../../test/support/policy-rig.ts';
import { Random, seedOfRun } from '../../../test/support/random.ts';
import { familyOf } from '../../lib/address.ts';
import type { Packet } from '../../observe/packet-match.ts';
import type { CompiledPolicy } from './compile.ts';
import { usualLimits } from './compile-parts.ts';
import { packetAt, packetFlags, programIndex } from './layout.ts';

const caseCount = 250;
const packetsPerProgram = 12;

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
  rig: PolicyRig,
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
  assert.ok(isRightRule(rig.state, want, comment, packet, key), about);
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
  const rig = new PolicyRig(messagesFor('n1', resources));
  for (const family of [4, 6] as const) {
    for (const each of casesOf(rig.state, family)) {
      const instructions = random.pick([24_000, 24_000, 300, 400]);
      const compiled = rig.compile(each.key, { ...usualLimits, instructions, depth: 1000 });
      const parts = rig.assemble(compiled);
      for (const part of parts) assert.ok(part.length / 8 <= instructions, `${part.length / 8} instructions`);
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
