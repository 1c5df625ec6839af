// SPDX-License-Identifier: Apache-2.0
/**
 * Policy programs in the kernel: loaded as the driver loads them, run by BPF_PROG_TEST_RUN on generated policies and packets,
 * compared with the evaluator; kept, replaced, repaired and refused as policies.ts promises. Maps are the test's own and unpinned.
 */
import assert from 'node:assert/strict';
import type { DataplaneMessage } from '../../src/contract/dataplane.ts';
import { usualLimits } from '../../src/drivers/ebpf/compile-parts.ts';
import { IpSetMaps } from '../../src/drivers/ebpf/ip-sets.ts';
import {
  netKeyBytes,
  packetAt,
  packetBytes,
  packetFlags,
  programIndex,
  setKeyBytes,
} from '../../src/drivers/ebpf/layout.ts';
import { type PolicyOptions, PolicyPrograms, type WantedPolicy } from '../../src/drivers/ebpf/policies.ts';
import type { PolicyKey } from '../../src/drivers/ebpf/policy-book.ts';
import { Assembler } from '../../src/kernel/bpf/asm.ts';
import { loadClassifier } from '../../src/kernel/bpf/load.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { mapFlags } from '../../src/kernel/bpf/map-spec.ts';
import { testRun } from '../../src/kernel/bpf/test-run.ts';
import type { Fd } from '../../src/kernel/sys/fd.ts';
import { familyOf } from '../../src/lib/address.ts';
import type { IpSetId, KeyPath } from '../../src/lib/brand.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import type { Packet } from '../../src/observe/packet-match.ts';
import { netSet, resolvedPolicy, resolvedRule, resolvedTier } from '../support/compiled.ts';
import { fullPlan, generateCluster } from '../support/generate.ts';
import { generateHead } from '../support/generate-packets.ts';
import { casesOf, isRightRule, messagesFor, type PolicyCase, packetOf } from '../support/policy-rig.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { type Rig, rootTest } from './root-test.ts';

const clusterCount = 500;
const packetsPerProgram = 20;
const headerBytes = 14;
const verdicts = { allowed: 77, denied: 78 } as const;
const seed = seedOfRun('eBPF policy');
const { MUSLIN_CASE: onlyCase } = process.env;

/** The maps of bpf/maps.h that policy touches, and a program that hands it a packet from a frame. */
class Kernel {
  readonly maps: { readonly [M in 'packet' | 'programs' | 'sets' | 'nets']: BpfMap };
  readonly #rig: Rig;
  #entry: Fd | null = null;

  constructor(rig: Rig, { rows = 65_536, packet = packetBytes }: { rows?: number; packet?: number } = {}) {
    this.#rig = rig;
    const create = (
      name: string,
      spec: Pick<BpfMap['info'], 'type' | 'keySize' | 'valueSize' | 'maxEntries'>,
      flags = 0,
    ) => rig.use(BpfMap.create({ name, flags, ...spec }));
    const { noPrealloc } = mapFlags;
    this.maps = {
      packet: create('packet', { type: 'PERCPU_ARRAY', keySize: 4, valueSize: packet, maxEntries: 1 }),
      programs: create('programs', { type: 'PROG_ARRAY', keySize: 4, valueSize: 4, maxEntries: 512 }),
      sets: create(
        'sets',
        { type: 'HASH', keySize: setKeyBytes, valueSize: 4, maxEntries: rows },
        noPrealloc,
      ),
      nets: create(
        'nets',
        { type: 'LPM_TRIE', keySize: netKeyBytes, valueSize: 4, maxEntries: rows },
        noPrealloc,
      ),
    };
    if (packet === packetBytes) this.#fillEnds();
  }

  run(bytes: Uint8Array): { readonly retval: number; readonly packet: DataView } {
    const frame = new Uint8Array(headerBytes + packetBytes);
    frame.set(bytes, headerBytes);
    this.#entry ??= this.#rig.use(
      loadClassifier({ name: 'entry', instructions: this.#program('load', 3).assemble() }),
    );
    const { retval, packet } = testRun(this.#entry, { packet: frame });
    return { retval, packet: new DataView(packet.buffer, packet.byteOffset + headerBytes, packetBytes) };
  }

  #fillEnds(): void {
    for (const [index, verdict] of [
      [programIndex.admit, verdicts.allowed],
      [programIndex.drop, verdicts.denied],
    ] as const) {
      using end = loadClassifier({ name: 'end', instructions: this.#program('store', verdict).assemble() });
      this.maps.programs.setProgram(index, end);
    }
  }

  /** The frame's payload into the map, and to the first stage; or back from there, to be looked at. */
  #program(way: 'load' | 'store', result: number): Assembler {
    const { packet, programs } = this.maps;
    const asm = new Assembler().mov('r6', 'r1').storeImmediate('u32', 'r10', -4, 0);
    asm.loadMap('r1', { fd: packet.fd.number, name: 'packet' }).mov('r2', 'r10').alu('add', 'r2', -4);
    asm.call(1).jumpIf('r0', '==', 0, 'out').mov('r7', 'r0');
    asm.mov('r1', 'r6').mov('r2', headerBytes).mov('r3', 'r7').mov('r4', packet.info.valueSize).mov('r5', 0);
    asm.call(way === 'load' ? 26 : 9); // bpf_skb_load_bytes, bpf_skb_store_bytes
    if (way === 'load') {
      asm.load('u32', 'r3', 'r7', packetAt.stages).mov('r1', 'r6');
      asm.loadMap('r2', { fd: programs.fd.number, name: 'programs' }).call(12);
    }
    return asm.label('out').mov('r0', result).exit();
  }
}

function programs(
  kernel: Kernel,
  messages: readonly DataplaneMessage[],
  options?: PolicyOptions,
): { ipSets: IpSetMaps; policies: PolicyPrograms; tell: (message: DataplaneMessage) => void } {
  const ipSets = new IpSetMaps();
  const policies = new PolicyPrograms(kernel.maps, ipSets, options);
  const tell = (message: DataplaneMessage) => {
    ipSets.onMessage(message);
    policies.onMessage(message);
  };
  messages.forEach(tell);
  return { ipSets, policies, tell };
}

function indexOf({ state }: WantedPolicy): number {
  assert.equal(state.kind, 'loaded', JSON.stringify(state));
  return state.kind === 'loaded' ? state.index : 0;
}

const addresses = [
  ...fullPlan.pods.flatMap((pod) => pod.addresses),
  ...fullPlan.outside,
  ...fullPlan.host.links.flatMap((link) => link.addresses),
];

function packetFor(random: Random, family: 4 | 6): Packet {
  const own = addresses.filter((address) => familyOf(address) === family);
  return {
    ipVersion: family,
    src: random.pick(own),
    dst: random.pick(own),
    ...random.maybe(0.2, () => ({ dstBeforeNat: random.pick(own) })),
    ...generateHead(random, family),
  };
}

const counts = { packets: 0, allow: 0, deny: 0, undecided: 0 };

function check(
  kernel: Kernel,
  policies: PolicyPrograms,
  state: DataplaneState,
  { key, judge }: PolicyCase,
  index: number,
  packet: Packet,
): void {
  const want = judge(packet);
  const ran = kernel.run(packetOf(packet, [index, programIndex.admit]));
  const comment = policies.ruleName(ran.packet.getBigUint64(packetAt.rules, true))?.comment;
  const about = JSON.stringify({ packet, want, retval: ran.retval, comment, key });
  assert.equal(ran.retval, want.outcome === 'deny' ? verdicts.denied : verdicts.allowed, about);
  assert.ok(isRightRule(state, want, comment, packet, key), about);
  counts.packets++;
  counts[want.outcome]++;
}

function runCluster(kernel: Kernel, number: number): void {
  const random = new Random(seed * 100_003 + number);
  const messages = messagesFor('n1', generateCluster(random, fullPlan).resources);
  const state = DataplaneState.from(messages);
  const limits = { ...usualLimits, instructions: random.pick([24_000, 24_000, 350]), depth: 30 };
  const { policies } = programs(kernel, messages, { limits });
  const all = [...casesOf(state, 4), ...casesOf(state, 6)];
  const cases = random
    .some(all, Math.min(2, all.length), 3)
    .map((each) => ({ each, wanted: policies.want(each.key) }));
  policies.sync();
  for (const { each, wanted } of cases) {
    for (let i = 0; i < packetsPerProgram; i++) {
      check(kernel, policies, state, each, indexOf(wanted), packetFor(random, each.key.family));
    }
    policies.unwant(wanted);
  }
  policies.release();
}

rootTest("500 generated policy sets in the kernel give the evaluator's verdicts", (rig) => {
  const kernel = new Kernel(rig);
  for (let i = 0; i < clusterCount; i++) {
    if (onlyCase !== undefined && Number(onlyCase) !== i) continue;
    try {
      runCluster(kernel, i);
    } catch (error) {
      throw new Error(`repeat with MUSLIN_SEED=${seed} MUSLIN_CASE=${i}`, { cause: error });
    }
  }
  process.stderr.write(`eBPF policy: ${JSON.stringify(counts)}\n`);
  if (onlyCase === undefined)
    assert.ok(Math.min(counts.allow, counts.deny, counts.undecided) > counts.packets / 20);
});

const set = 's:a' as IpSetId;
const id = 'GlobalNetworkPolicy/p' as KeyPath;
const key: PolicyKey = {
  list: { tiers: [resolvedTier('default', 'deny', [id])], profiles: [] },
  family: 4,
  point: 'workload',
  direction: 'ingress',
};

function policyFor(action: 'allow' | 'deny', field: 'src' | 'dst' = 'src'): DataplaneMessage {
  return {
    kind: 'policy-update',
    id,
    policy: resolvedPolicy('default', [resolvedRule(action, { [field]: { sets: [set] } })]),
  };
}

function setOf(...members: string[]): DataplaneMessage {
  return { kind: 'ipset-update', id: set, set: netSet(...members) };
}

const packet = {
  ipVersion: 4,
  protocol: 6,
  src: '10.0.0.1',
  dst: '10.0.0.2',
  srcPort: 1,
  dstPort: 80,
} as unknown as Packet;

rootTest(
  'a second sync changes nothing; a change loads a new program, and the old one stays until released',
  (rig) => {
    const kernel = new Kernel(rig);
    const { policies, tell } = programs(kernel, [setOf('10.0.0.1/32'), policyFor('allow')]);
    const wanted = policies.want(key);
    assert.equal(policies.want(key), wanted, 'one for both');
    assert.equal(policies.sync().changed, 2); // a row, a program
    assert.equal(policies.release(), 0);
    const first = indexOf(wanted);
    assert.deepEqual(policies.sync(), { changed: 0, failed: [] });
    tell(policyFor('allow'));
    assert.deepEqual(policies.sync(), { changed: 0, failed: [] }, 'the same policy is no change');
    tell(policyFor('deny'));
    assert.equal(policies.sync().changed, 1);
    const second = indexOf(wanted);
    assert.notEqual(second, first);
    assert.equal(kernel.run(packetOf(packet, [first, programIndex.admit])).retval, verdicts.allowed);
    assert.equal(kernel.run(packetOf(packet, [second, programIndex.admit])).retval, verdicts.denied);
    assert.equal(policies.release(), 1);
    assert.equal(kernel.maps.programs.programId(first), null);
    policies.unwant(wanted);
    assert.equal(policies.sync().changed + policies.release(), 0, 'somebody else wants it still');
    policies.unwant(wanted);
    assert.equal(policies.release(), 2);
    assert.deepEqual([...kernel.maps.sets.entries()], []);
  },
);

rootTest('a set that wins its first network is asked for networks', (rig) => {
  const kernel = new Kernel(rig);
  const { policies, tell } = programs(kernel, [setOf('10.0.0.9/32'), policyFor('allow')]);
  const wanted = policies.want(key);
  const verdict = () => {
    policies.sync();
    policies.release();
    return kernel.run(packetOf(packet, [indexOf(wanted), programIndex.admit])).retval;
  };
  assert.equal(verdict(), verdicts.denied);
  tell({ kind: 'ipset-delta', id: set, add: ['10.0.0.0/29'], remove: [] });
  assert.equal(verdict(), verdicts.allowed);
  tell({ kind: 'ipset-delta', id: set, add: [], remove: ['10.0.0.0/29'] });
  assert.equal(verdict(), verdicts.denied);
});

rootTest('what strangers take out is put back; what an agent before left goes once it is replaced', (rig) => {
  const kernel = new Kernel(rig);
  const before = programs(kernel, [setOf('10.0.0.1/32'), policyFor('allow')]).policies;
  const old = before.want(key);
  before.sync();
  const { policies } = programs(kernel, [setOf('10.0.0.1/32'), policyFor('allow')]);
  const wanted = policies.want(key);
  assert.equal(policies.sync().changed, 1, 'the row is there already, the program is loaded anew');
  assert.notEqual(indexOf(wanted), indexOf(old));
  assert.equal(policies.release(), 1);
  assert.equal(kernel.maps.programs.programId(indexOf(old)), null);

  kernel.maps.programs.delete(new Uint8Array(Uint32Array.of(indexOf(wanted)).buffer));
  for (const [row] of [...kernel.maps.sets.entries()]) kernel.maps.sets.delete(row.slice());
  assert.equal(policies.sync().changed, 0, 'nothing told it');
  policies.queueResync();
  assert.equal(policies.sync().changed, 2);
  assert.equal(kernel.run(packetOf(packet, [indexOf(wanted), programIndex.admit])).retval, verdicts.allowed);
});

rootTest('a full map refuses the policies that need the set, by name, and no others', (rig) => {
  const kernel = new Kernel(rig, { rows: 2 });
  const { policies, tell } = programs(kernel, [
    setOf('10.0.0.1/32', '10.0.0.2/32', '10.0.0.3/32'),
    policyFor('allow'),
  ]);
  const wanted = policies.want(key);
  const other = policies.want({ ...key, list: { tiers: [], profiles: [] } });
  const { failed } = policies.sync();
  assert.equal(failed.length, 1);
  assert.ok(wanted.state.kind === 'refused');
  assert.match(
    wanted.state.reason,
    /IP set s:a \(test\).* of 3 members.*map sets has room for 2 rows, want 3/,
  );
  assert.equal(other.state.kind, 'loaded');
  tell({ kind: 'ipset-delta', id: set, add: [], remove: ['10.0.0.3/32'] });
  assert.deepEqual(policies.sync().failed, []);
  assert.equal(wanted.state.kind as string, 'loaded');
});

rootTest('what the verifier refuses names the rule and ends with the reason', (rig) => {
  const kernel = new Kernel(rig, { packet: 32 }); // so short that ports are outside
  const messages: DataplaneMessage[] = [
    setOf(),
    {
      kind: 'policy-update',
      id,
      policy: resolvedPolicy('default', [
        resolvedRule('allow', { protocol: 6, dst: { ports: [{ first: 80, last: 80 }] } }),
      ]),
    },
  ];
  const { policies } = programs(kernel, messages);
  const wanted = policies.want(key);
  policies.sync();
  assert.ok(wanted.state.kind === 'refused');
  assert.match(wanted.state.reason, /rule "GlobalNetworkPolicy\/p ingress rule 0"/);
  assert.match(wanted.state.reason, /invalid access to map value/);
});

rootTest('a policy that was not sent, and a set, refuse their lists until they come', (rig) => {
  const kernel = new Kernel(rig);
  const { policies, tell } = programs(kernel, []);
  const wanted = policies.want(key);
  const reason = () => {
    policies.sync();
    return wanted.state.kind === 'refused' ? wanted.state.reason : wanted.state.kind;
  };
  assert.match(reason(), /policy GlobalNetworkPolicy\/p: it is named by an endpoint, but was not sent/);
  tell(policyFor('allow'));
  assert.match(reason(), /IP set s:a: got none: it was not sent/);
  tell(setOf('10.0.0.1/32'));
  assert.equal(reason(), 'loaded');
});

rootTest('what an earlier stage let in, no later host policy looks at', (rig) => {
  const kernel = new Kernel(rig);
  const { policies } = programs(kernel, [setOf('10.0.0.1/32'), policyFor('deny')]);
  const wanted = policies.want({ ...key, point: 'normal' });
  policies.sync();
  const run = (flags: number) => kernel.run(packetOf(packet, [indexOf(wanted), programIndex.admit], flags));
  assert.equal(run(0).retval, verdicts.denied);
  assert.equal(run(packetFlags.hostAcceptedOut).retval, verdicts.denied);
  assert.equal(run(packetFlags.hostAcceptedIn).retval, verdicts.allowed);
  assert.equal(run(packetFlags.hostAcceptedIn).packet.getBigUint64(packetAt.rules, true), 0n);
});

rootTest('stages follow each other; a stage without program refuses', (rig) => {
  const kernel = new Kernel(rig);
  const { policies } = programs(kernel, [setOf('10.0.0.1/32'), policyFor('allow')]);
  const wanted = policies.want(key);
  policies.sync();
  const index = indexOf(wanted);
  const ran = kernel.run(packetOf(packet, [index, index, index, programIndex.admit]));
  assert.equal(ran.retval, verdicts.allowed);
  assert.equal(ran.packet.getUint32(packetAt.next, true), 3);
  assert.equal(kernel.run(packetOf(packet, [index, 500])).retval, 2);
});

const port = (number: number) => ({ ports: [{ first: number, last: number }] });
const thousand = Array.from({ length: 1000 }, (_, i) => i);
const manySets = thousand.map(
  (i): DataplaneMessage => ({
    kind: 'ipset-update',
    id: `s:${i}` as IpSetId,
    set: netSet(`10.0.${i >> 8}.${i & 255}/32`),
  }),
);

/** Loaded, and the rule that each packet meets. */
function rulesMet(
  rig: Rig,
  messages: readonly DataplaneMessage[],
  ids: readonly string[],
  packets: readonly Packet[],
) {
  const kernel = new Kernel(rig);
  const { policies } = programs(kernel, messages);
  const list = { tiers: [resolvedTier('default', 'deny', ids)], profiles: [] };
  const wanted = policies.want({ ...key, list });
  policies.sync();
  return packets.map((each) => {
    const ran = kernel.run(packetOf(each, [indexOf(wanted), programIndex.admit]));
    return policies.ruleName(ran.packet.getBigUint64(packetAt.rules, true))?.comment.replace(/^.*\//, '');
  });
}

rootTest('a thousand policies on one endpoint, each with a port, a set and a net of its own', (rig) => {
  const ids = thousand.map((i) => `GlobalNetworkPolicy/p${i}`);
  const messages = thousand.map((i): DataplaneMessage => {
    const rules = [
      resolvedRule('allow', { protocol: 6, src: { sets: [`s:${i}`] }, dst: port(2000 + (i % 50)) }),
      resolvedRule('deny', { src: { nets: [`192.0.${i >> 8}.${i & 255}/32`] } }),
      resolvedRule('allow', { protocol: 17, dst: { sets: [`s:${i}`] } }),
    ];
    return { kind: 'policy-update', id: ids[i] as KeyPath, policy: resolvedPolicy('default', rules) };
  });
  const met = rulesMet(rig, [...manySets, ...messages], ids, [
    { ...packet, src: '10.0.3.231' as Packet['src'], dstPort: 2049 },
    { ...packet, src: '192.0.3.9' as Packet['src'] },
    { ...packet, protocol: 17, dst: '10.0.1.244' as Packet['dst'] },
    packet,
  ]);
  assert.deepEqual(met, [
    'p999 ingress rule 0',
    'p777 ingress rule 1',
    'p500 ingress rule 2',
    'end of tier default ingress',
  ]);
});

rootTest('five thousand rules on one endpoint that have to be asked one by one', (rig) => {
  const rules = Array.from({ length: 5000 }, (_, i) =>
    resolvedRule(i % 2 ? 'allow' : 'deny', {
      protocol: 6,
      src: { nets: [`10.${i >> 8}.${i & 255}.0/24`], ports: [{ first: i + 1, last: i + 1 }] },
    }),
  );
  const policy = resolvedPolicy('default', rules);
  const met = rulesMet(
    rig,
    [{ kind: 'policy-update', id, policy }],
    [id],
    [0, 2500, 4999].map((i) => ({
      ...packet,
      src: `10.${i >> 8}.${i & 255}.7` as Packet['src'],
      srcPort: i + 1,
    })),
  );
  assert.deepEqual(
    met,
    [0, 2500, 4999].map((i) => `p ingress rule ${i}`),
  );
});

rootTest('the same policies load for XDP, into an array of their own', (rig) => {
  const kernel = new Kernel(rig);
  const array = {
    name: 'xdp',
    type: 'PROG_ARRAY',
    keySize: 4,
    valueSize: 4,
    maxEntries: 64,
    flags: 0,
  } as const;
  const maps = { ...kernel.maps, programs: rig.use(BpfMap.create(array)) };
  const ipSets = new IpSetMaps();
  const policies = new PolicyPrograms(maps, ipSets, { hook: 'xdp' });
  for (const message of [setOf('10.0.0.1/32'), policyFor('deny')]) {
    ipSets.onMessage(message);
    policies.onMessage(message);
  }
  const wanted = policies.want({ ...key, point: 'untracked' });
  policies.sync();
  assert.notEqual(maps.programs.programId(indexOf(wanted)), null);
  // the array takes programs of the first one's type alone
  using classifier = loadClassifier({
    name: 'c',
    instructions: new Assembler().mov('r0', 0).exit().assemble(),
  });
  assert.throws(() => maps.programs.setProgram(60, classifier), /EINVAL/);
});
