// SPDX-License-Identifier: Apache-2.0
/** Compiled policy beside the evaluator: packets as programs see them, maps of sets without a kernel, and what must come out. */
import assert from 'node:assert/strict';
import { compileFor } from '../../src/calc/compile.ts';
import type { DataplaneMessage, Direction } from '../../src/contract/dataplane.ts';
import {
  type Binding,
  type CompiledPolicy,
  compilePolicy,
  type Point,
} from '../../src/drivers/ebpf/compile.ts';
import { type PartLimits, usualLimits } from '../../src/drivers/ebpf/compile-parts.ts';
import { IpSetMaps, type RowMap } from '../../src/drivers/ebpf/ip-sets.ts';
import { packetAt, packetBytes } from '../../src/drivers/ebpf/layout.ts';
import { PolicyBook, type PolicyKey } from '../../src/drivers/ebpf/policy-book.ts';
import { addressBytes } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf } from '../../src/model/kinds.ts';
import type { Resource } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import { evaluatePolicy, headGate, type TraceStep } from '../../src/observe/evaluate.ts';
import {
  evaluateStage,
  failsafeOf,
  type HostStage,
  isNeighbourDiscovery,
  tiersAt,
} from '../../src/observe/evaluate-host.ts';
import { type Packet, ruleMatches } from '../../src/observe/packet-match.ts';
import { asEnforced } from '../../src/observe/tier-view.ts';
import { BpfMachine, type LookedUp, type MachineMap, type Run } from './bpf-machine.ts';

/** What the graph sends to a node. */
export function messagesFor(node: string, resources: readonly Resource[]): readonly DataplaneMessage[] {
  const updates = resources.flatMap((resource) => {
    const converted = updatesOf(keyOf(resource), resource);
    assert.deepEqual(converted.faults, [], JSON.stringify(resource));
    return converted.updates;
  });
  return [...compileFor(node, [...builtinUpdates(), ...updates])];
}

/** `sets` or `nets` in memory; at most `maxEntries` rows. */
export class MemoryMap implements RowMap, LookedUp {
  readonly info: { readonly name: string; readonly maxEntries: number };
  readonly keyBytes: number;
  readonly rows: Map<string, Uint8Array> = new Map();
  /** Rows written or deleted. */
  writes = 0;

  constructor(name: 'sets' | 'nets', maxEntries: number = Number.POSITIVE_INFINITY) {
    this.info = { name, maxEntries };
    this.keyBytes = name === 'sets' ? 32 : 28;
  }

  setMany(entries: Iterable<readonly [Uint8Array, Uint8Array]>): { key: Uint8Array; error: Error }[] {
    const refused: { key: Uint8Array; error: Error }[] = [];
    for (const [key, value] of entries) {
      assert.equal(key.length, this.keyBytes);
      const text = Buffer.from(key).toString('latin1');
      if (!this.rows.has(text) && this.rows.size >= this.info.maxEntries)
        refused.push({ key, error: new Error('full') });
      else this.rows.set(text, Uint8Array.from(value));
      this.writes++;
    }
    return refused;
  }

  deleteMany(keys: Iterable<Uint8Array>): never[] {
    for (const key of keys) {
      this.rows.delete(Buffer.from(key).toString('latin1'));
      this.writes++;
    }
    return [];
  }

  *entries(): Generator<readonly [Uint8Array, Uint8Array]> {
    for (const [key, value] of this.rows) yield [Buffer.from(key, 'latin1'), value];
  }

  /** Of `nets` the longest prefix that holds the key. */
  lookup(key: Uint8Array): Uint8Array | null {
    if (this.info.name === 'sets') return this.rows.get(Buffer.from(key).toString('latin1')) ?? null;
    const wanted = Buffer.from(key).readUInt32LE();
    let best: { length: number; value: Uint8Array } | null = null;
    for (const [row, value] of this.rows) {
      const bytes = Buffer.from(row, 'latin1');
      const length = bytes.readUInt32LE();
      if (length > wanted || (best && best.length >= length) || !sharesBits(bytes, key, length)) continue;
      best = { length, value };
    }
    return best?.value ?? null;
  }
}

/** From the fourth byte on. */
function sharesBits(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let i = 0; i < bits; i++) {
    const shift = 7 - (i % 8);
    if ((((a[4 + (i >> 3)] ?? 0) ^ (b[4 + (i >> 3)] ?? 0)) >> shift) & 1) return false;
  }
  return true;
}

/** struct packet. */
export function packetOf(packet: Packet, stages: readonly number[], flags = 0): Uint8Array {
  const bytes = new Uint8Array(packetBytes);
  const view = new DataView(bytes.buffer);
  const { src, dst, dstBeforeNat = dst, srcPort = 0, dstPort = 0, dstPortBeforeNat = dstPort } = packet;
  bytes.set(mapped(src), packetAt.src);
  bytes.set(mapped(dst), packetAt.dst);
  bytes.set(mapped(dstBeforeNat), packetAt.arrivedDst);
  view.setUint16(packetAt.srcPort, srcPort, true);
  view.setUint16(packetAt.dstPort, dstPort, true);
  view.setUint16(packetAt.arrivedDstPort, dstPortBeforeNat, true);
  view.setUint8(packetAt.protocol, packet.protocol);
  view.setUint8(packetAt.family, packet.ipVersion);
  view.setUint8(packetAt.icmpType, packet.icmpType ?? 0);
  view.setUint8(packetAt.icmpCode, packet.icmpCode ?? 0);
  view.setUint32(packetAt.flags, flags, true);
  for (const [i, stage] of stages.entries()) view.setUint32(packetAt.stages + 4 * i, stage, true);
  return bytes;
}

function mapped(address: Address): Uint8Array {
  const bytes = addressBytes(address);
  return bytes.length === 16 ? bytes : Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...bytes);
}

export interface Judged {
  readonly outcome: 'allow' | 'deny' | 'undecided';
  /** Comments of the rules that logged; more than four are not kept. */
  readonly logs: readonly string[];
  /** Of the rule that ended; null: several may be right. */
  readonly comment: string;
}

/** One program's worth of an endpoint: what it is made of, and what the evaluator says of a packet. */
export interface PolicyCase {
  readonly key: PolicyKey;
  readonly judge: (packet: Packet) => Judged;
}

const stageOf: { readonly [P in Exclude<Point, 'workload'>]: HostStage } = {
  normal: 'normal',
  untracked: 'untracked',
  'pre-dnat': 'pre-dnat',
  forward: 'forward',
};

/** All that a node's endpoints want, of one family. */
export function casesOf(state: DataplaneState, family: 4 | 6): readonly PolicyCase[] {
  const directions = ['ingress', 'egress'] as const;
  const workloads = [...state.endpoints.values()].flatMap((list) =>
    directions.map((direction): PolicyCase => {
      const key = { list, family, point: 'workload', direction } as const;
      return {
        key,
        judge: (packet) =>
          direction === 'egress' && headGate(packet, state.config)?.reason === 'encapsulated'
            ? {
                outcome: 'deny',
                logs: [],
                comment: `${packet.protocol === 17 ? 'VXLAN' : 'IPIP'} from a workload`,
              }
            : judged(evaluatePolicy(state, list, direction, packet), direction),
      };
    }),
  );
  return [...workloads, ...hostCases(state, family)];
}

function hostCases(state: DataplaneState, family: 4 | 6): PolicyCase[] {
  const places = [
    ['normal', 'ingress'],
    ['normal', 'egress'],
    ['forward', 'ingress'],
    ['forward', 'egress'],
    ['untracked', 'ingress'],
    ['untracked', 'egress'],
    ['pre-dnat', 'ingress'],
  ] as const;
  return [...state.hostEndpoints.values()].flatMap((endpoint) =>
    places.map(([point, direction]): PolicyCase => {
      const stage = stageOf[point];
      const own = { normal: endpoint.tiers, forward: endpoint.forward, untracked: endpoint.untracked };
      const list = {
        tiers: point === 'pre-dnat' ? endpoint.preDnat : own[point],
        profiles: endpoint.profiles,
      };
      const judged = { tiers: tiersAt(endpoint, stage, asEnforced), profiles: endpoint.profiles };
      return {
        key: { list, family, point, direction },
        judge: (packet) => judgeStage(state, judged, [stage, direction], packet),
      };
    }),
  );
}

function judgeStage(
  state: DataplaneState,
  list: PolicyKey['list'],
  place: readonly [HostStage, Direction],
  packet: Packet,
): Judged {
  const undecided = (comment: string): Judged => ({ outcome: 'undecided', logs: [], comment });
  if (place[0] !== 'forward' && isNeighbourDiscovery(packet)) return undecided('neighbour discovery');
  if (failsafeOf(state.config, place, packet)) return undecided('failsafe');
  return judged(evaluateStage(state, list, place, packet), place[1]);
}

function judged(
  { verdict, trace }: { verdict: 'allow' | 'deny' | 'continue'; trace: readonly TraceStep[] },
  direction: Direction,
): Judged {
  const outcome = verdict === 'continue' ? 'undecided' : verdict;
  return {
    outcome,
    logs: trace.flatMap((step) => logsOf(step, direction)),
    comment: commentOf(trace, direction),
  };
}

function logsOf(step: TraceStep, direction: Direction): string[] {
  const of = (title: string, rules: readonly { index: number; action: string }[]) =>
    rules.filter(({ action }) => action === 'log').map(({ index }) => `${title} ${direction} rule ${index}`);
  if (step.step === 'tier') return step.policies.flatMap(({ policy, rules }) => of(policy, rules));
  return step.step === 'profile' ? of(`Profile/${step.profile}`, step.rules) : [];
}

function commentOf(trace: readonly TraceStep[], direction: Direction): string {
  const step = trace.at(-1);
  switch (step?.step) {
    case 'tier': {
      const { policy, rules } = step.policies.at(-1) ?? { policy: '', rules: [] };
      if (step.decidedBy === 'default-action') return `end of tier ${step.tier} ${direction}`;
      return `${policy} ${direction} rule ${rules.at(-1)?.index}`;
    }
    case 'profile':
      if (step.missing) return `Profile/${step.profile} is missing`;
      return `Profile/${step.profile} ${direction} rule ${step.rules.at(-1)?.index}`;
    case 'end':
      return step.reason === 'no-profile-matched'
        ? `no profile allowed ${direction}`
        : `no policy decided ${direction}`;
    default:
      throw new Error(`no end: ${JSON.stringify(trace)}`);
  }
}

/** Rules that can only allow may change places: then another rule is named, which must allow the packet as well. */
export function isRightRule(
  state: DataplaneState,
  want: Judged,
  comment: string | undefined,
  packet: Packet,
  { point, direction: at }: PolicyKey,
): boolean {
  if (comment === want.comment) return true;
  const [, title = '', direction, index] = /^(.*) (ingress|egress) rule (\d+)$/.exec(comment ?? '') ?? [];
  if (want.outcome !== 'allow' || (direction !== 'ingress' && direction !== 'egress')) return false;
  const rules = [...state.policies].find(([id]) => id === title)?.[1] ?? state.profiles.get(title.slice(8));
  const rule = rules?.[direction][Number(index)];
  const { dst, dstPort, dstBeforeNat = dst, dstPortBeforeNat = dstPort } = packet;
  const isEarly = at === 'ingress' && (point === 'untracked' || point === 'pre-dnat');
  const seen = {
    ...packet,
    ...(isEarly && {
      dst: dstBeforeNat,
      ...(dstPortBeforeNat !== undefined && { dstPort: dstPortBeforeNat }),
    }),
  };
  return rule?.action === 'allow' && ruleMatches(state, rule, seen);
}

const fds = { packet: 3, programs: 4, sets: 5, nets: 6 } as const;
/** Of `programs`, where the parts of a policy under test stand. */
export const firstSlot = 100;

/** Policies without a kernel: compiled from messages, sets in memory, run by a machine. */
export class PolicyRig {
  readonly state: DataplaneState;
  readonly ipSets: IpSetMaps = new IpSetMaps();
  readonly book: PolicyBook = new PolicyBook();
  readonly maps: { readonly sets: MemoryMap; readonly nets: MemoryMap } = {
    sets: new MemoryMap('sets'),
    nets: new MemoryMap('nets'),
  };

  constructor(messages: readonly DataplaneMessage[]) {
    this.state = DataplaneState.from(messages);
    for (const message of messages) {
      this.ipSets.onMessage(message);
      this.book.onMessage(message);
    }
  }

  compile(key: PolicyKey, limits: PartLimits = usualLimits): CompiledPolicy {
    const compiled = compilePolicy({
      ...key,
      ...this.book.chainsOf(key),
      hasNets: (lookup) => this.ipSets.hasNets(lookup),
      isLarge: (set) => this.ipSets.isLarge(set),
      limits,
    });
    for (const lookup of compiled.lookups.values()) this.ipSets.use(lookup);
    this.ipSets.apply(this.maps);
    return compiled;
  }

  assemble(compiled: CompiledPolicy): readonly Uint8Array[] {
    return compiled.assemble(this.bindingOf(compiled));
  }

  bindingOf(compiled: CompiledPolicy): Binding {
    return { maps: fds, slots: compiled.parts.map((_, i) => firstSlot + i) };
  }

  /** @param bytes - struct packet, which the programs write. */
  run(parts: readonly Uint8Array[], bytes: Uint8Array): Run {
    const maps = new Map<number, MachineMap>([
      [fds.packet, { keyBytes: 4, lookup: () => bytes }],
      [fds.programs, { programs: (slot: number) => parts[slot - firstSlot] ?? 'stop' }],
      [fds.sets, this.maps.sets],
      [fds.nets, this.maps.nets],
    ]);
    const [first] = parts;
    assert.ok(first);
    return new BpfMachine(maps).run(first);
  }
}
