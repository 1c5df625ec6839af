// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { netSet, resolvedPolicy, resolvedRule, resolvedTier } from '../../../test/support/compiled.ts';
import { firstSlot, PolicyRig, packetOf } from '../../../test/support/policy-rig.ts';
import type { DataplaneMessage, ResolvedRule } from '../../contract/dataplane.ts';
import type { IpSetId, KeyPath } from '../../lib/brand.ts';
import { evaluatePolicy } from '../../observe/evaluate.ts';
import type { Packet } from '../../observe/packet-match.ts';
import { rule } from '../../rules/chain.ts';
import { compilePolicy } from './compile.ts';
import { usualLimits } from './compile-parts.ts';
import { packetAt, programIndex } from './layout.ts';
import type { PolicyKey } from './policy-book.ts';

/** One tier with these policies, ingress, IPv4. */
function rigOf(policies: readonly (readonly ResolvedRule[])[], sets: readonly (readonly string[])[] = []) {
  const ids = policies.map((_, i) => `GlobalNetworkPolicy/p${i}` as KeyPath);
  const messages: DataplaneMessage[] = [
    ...sets.map((members, i) => ({ kind: 'ipset-update', id: setId(i), set: netSet(...members) }) as const),
    ...policies.map(
      (rules, i) =>
        ({
          kind: 'policy-update',
          id: `GlobalNetworkPolicy/p${i}` as KeyPath,
          policy: resolvedPolicy('default', rules),
        }) as const,
    ),
  ];
  const key: PolicyKey = {
    list: { tiers: [resolvedTier('default', 'deny', ids)], profiles: [] },
    family: 4,
    point: 'workload',
    direction: 'ingress',
  };
  return { rig: new PolicyRig(messages), key };
}

function setId(i: number): IpSetId {
  return `s:${i}` as IpSetId;
}

function packet(src: string, dstPort: number, protocol = 6): Packet {
  return { ipVersion: 4, protocol, src, dst: '10.9.9.9', srcPort: 1, dstPort } as unknown as Packet;
}

function runner({ rig, key }: ReturnType<typeof rigOf>, limits = usualLimits) {
  const compiled = rig.compile(key, limits);
  const parts = rig.assemble(compiled);
  const run = (each: Packet) => {
    const bytes = packetOf(each, [firstSlot, programIndex.admit]);
    const view = new DataView(bytes.buffer);
    const ran = rig.run(parts, bytes);
    const name = (at: number) => compiled.rules.get(view.getBigUint64(at, true))?.comment;
    const logged = view.getUint32(packetAt.logCount, true);
    return {
      ...ran,
      rule: name(packetAt.rules),
      logs: Array.from({ length: Math.min(4, logged) }, (_, i) => name(packetAt.logs + 8 * i)),
      logged,
    };
  };
  return { compiled, parts, run };
}

const port = (first: number, last = first) => ({ ports: [{ first, last }] });

test('a thousand rules with a set each, whatever their actions, cost one lookup and name the rule', () => {
  const actions = ['allow', 'deny', 'allow'] as const;
  const rules = Array.from({ length: 1000 }, (_, i) =>
    resolvedRule(actions[i % 3] ?? 'allow', { src: { sets: [setId(i)] } }),
  );
  const sets = rules.map((_, i) => [`10.0.${i >> 8}.${i & 255}/32`, '10.7.7.7/32']);
  const { run, parts, compiled } = runner(rigOf([rules], sets));
  assert.deepEqual([parts.length, compiled.lookups.size], [1, 1]);
  for (const i of [0, 1, 500, 998, 999]) {
    const ran = run(packet(`10.0.${i >> 8}.${i & 255}`, 80));
    assert.equal(ran.rule, `GlobalNetworkPolicy/p0 ingress rule ${i}`);
    assert.equal(ran.slot, i % 3 === 1 ? programIndex.drop : programIndex.admit);
    assert.equal(ran.lookups, 2, 'the packet, and the set');
    assert.ok(ran.steps < 80, `${ran.steps} steps`);
  }
  assert.equal(
    run(packet('10.7.7.7', 80)).rule,
    'GlobalNetworkPolicy/p0 ingress rule 0',
    'the first that holds it',
  );
  assert.equal(run(packet('10.8.0.1', 80)).rule, 'end of tier default ingress');
});

test('a run crosses policies, and holds nets beside sets; pass and log keep their places', () => {
  const rules = (action: ResolvedRule['action'], i: number) => [
    resolvedRule(action, { src: { sets: [setId(i)] } }),
    resolvedRule(action, { src: { nets: [`10.1.${i}.0/24`] } }),
  ];
  const made = rigOf(
    [
      rules('allow', 0),
      rules('deny', 1),
      rules('pass', 2),
      rules('log', 3),
      rules('allow', 4),
      rules('deny', 3),
    ],
    [['10.0.0.0/32'], ['10.0.0.1/32'], ['10.0.0.2/32'], ['10.0.0.3/32'], ['10.0.0.4/32']],
  );
  const { run } = runner(made);
  const rows = (src: string) => {
    const { rule: by, logs, lookups } = run(packet(src, 80));
    return [by?.replace('GlobalNetworkPolicy/', ''), logs.length, lookups];
  };
  assert.deepEqual(rows('10.0.0.0'), ['p0 ingress rule 0', 0, 2]);
  assert.deepEqual(rows('10.1.1.9'), ['p1 ingress rule 1', 0, 3]);
  assert.deepEqual(rows('10.0.0.2'), ['no profile allowed ingress', 0, 2]);
  assert.deepEqual(rows('10.0.0.3').slice(0, 2), ['p5 ingress rule 0', 1]);
  assert.deepEqual(rows('10.0.0.4').slice(0, 2), ['p4 ingress rule 0', 0]);
});

test('a set of thousands of members is in no run: all programs share its rows', () => {
  const large = Array.from({ length: 4096 }, (_, i) => `10.64.${i >> 8}.${i & 255}/32`);
  const rules = [0, 1, 2, 3, 4].map((i) => resolvedRule('allow', { src: { sets: [setId(i)] } }));
  const made = rigOf([rules], [['10.0.0.0/32'], ['10.0.0.1/32'], large, ['10.0.0.3/32'], ['10.0.0.4/32']]);
  const { run, compiled } = runner(made);
  assert.deepEqual([...compiled.lookups.values()].map(({ sources }) => sources.length).sort(), [1, 2, 2]);
  for (const [src, i] of [
    ['10.0.0.1', 1],
    ['10.64.3.3', 2],
    ['10.0.0.4', 4],
  ] as const) {
    assert.equal(run(packet(src, 80)).rule, `GlobalNetworkPolicy/p0 ingress rule ${i}`);
  }
});

test('more than four rules may log: the last four are told', () => {
  const rules = Array.from({ length: 6 }, () => resolvedRule('log'));
  const { run } = runner(rigOf([rules]));
  const { logs, logged } = run(packet('10.0.0.1', 80));
  assert.equal(logged, 6);
  assert.deepEqual(
    logs,
    [4, 5, 2, 3].map((i) => `GlobalNetworkPolicy/p0 ingress rule ${i}`),
  );
});

test('ranges that overlap inside a policy are told apart in the cell of a tier', () => {
  const allow = (ports: object) => resolvedRule('allow', { protocol: 6, dst: ports });
  const policies = Array.from({ length: 4 }, (_, i) => [
    allow(port(80 + i, 90)),
    resolvedRule('deny', { protocol: 6, dst: port(85, 100 + i) }),
    allow(port(95, 110)),
    allow(port(120)),
    resolvedRule('deny', { protocol: 6, dst: port(60, 70) }),
  ]);
  const made = rigOf(policies);
  const { run } = runner(made);
  for (let each = 55; each < 125; each++) {
    const want = evaluatePolicy(made.rig.state, made.key.list, 'ingress', packet('10.0.0.1', each)).verdict;
    assert.equal(
      run(packet('10.0.0.1', each)).slot === programIndex.admit ? 'allow' : 'deny',
      want,
      `port ${each}`,
    );
  }
});

test('a thousand ports cost the logarithm of what one costs', () => {
  const rules = Array.from({ length: 1000 }, (_, i) =>
    resolvedRule(i % 2 ? 'allow' : 'deny', { protocol: 6, dst: port(1000 + 2 * i) }),
  );
  const { run } = runner(rigOf([rules]));
  const { rule: by, steps } = run(packet('10.0.0.1', 1000 + 2 * 777));
  assert.equal(by, 'GlobalNetworkPolicy/p0 ingress rule 777');
  assert.ok(steps < 60, `${steps} steps`);
  assert.equal(run(packet('10.0.0.1', 1001)).rule, 'end of tier default ingress');
  assert.equal(run(packet('10.0.0.1', 1000, 17)).rule, 'end of tier default ingress');
});

test('many nets in one rule are looked up, wanted or not; a net of everything is not asked', () => {
  const nets = Array.from({ length: 40 }, (_, i) => `10.${i}.0.0/${16 + (i % 4)}`);
  const { run, compiled } = runner(
    rigOf([
      [
        resolvedRule('deny', { src: { notNets: nets } }),
        resolvedRule('deny', { src: { notNets: ['0.0.0.0/0'] } }),
        resolvedRule('allow', { src: { nets: ['192.0.2.0/24', '0.0.0.0/0'] } }),
      ],
    ]),
  );
  assert.equal(compiled.lookups.size, 1);
  assert.equal(run(packet('10.3.1.1', 80)).rule, 'GlobalNetworkPolicy/p0 ingress rule 2');
  assert.equal(run(packet('10.3.128.1', 80)).rule, 'GlobalNetworkPolicy/p0 ingress rule 0');
});

test('a policy too long for one program is cut; one too deep, and a rule too big, say so', () => {
  const rules = Array.from({ length: 60 }, (_, i) =>
    resolvedRule('allow', { src: { nets: [`10.0.${i}.0/24`] }, dst: { nets: [`10.9.${i}.0/24`] } }),
  );
  const made = rigOf([rules]);
  const limits = { ...usualLimits, instructions: 300 };
  const { run, parts } = runner(made, limits);
  assert.ok(parts.length > 3);
  assert.equal(run({ ...packet('10.0.59.1', 80), dst: '10.9.59.1' } as Packet).slot, programIndex.admit);
  assert.equal(run(packet('10.0.59.1', 80)).tailCalls, parts.length);
  assert.throws(
    () => made.rig.compile(made.key, { ...limits, depth: 3 }),
    /got \d+ programs of 300 instructions one behind the other, want at most 3/,
  );
  assert.throws(
    () => made.rig.compile(made.key, { ...limits, instructions: 126 }),
    /got a rule of \d+ instructions, want at most/,
  );
});

test('many lookups are spread over programs as far as a packet has tail calls', () => {
  const rules = Array.from({ length: 900 }, (_, i) =>
    resolvedRule('allow', { src: { sets: [setId(i)] }, dst: { sets: [setId(899 - i)] } }),
  );
  const made = rigOf(
    [rules],
    rules.map((_, i) => [`10.9.${i >> 8}.${i & 255}/32`]),
  );
  const partsFor = (limits: Partial<typeof usualLimits>) =>
    made.rig.compile(made.key, { ...usualLimits, ...limits }).parts.length;
  assert.equal(partsFor({}), 8); // 1,800 lookups
  assert.equal(partsFor({ depth: 4 }), 4);
  assert.equal(partsFor({ lookups: 100 }), 18);
});

test('a listing shows each instruction beside its rule', () => {
  const { rig, key } = rigOf([[resolvedRule('allow', { protocol: 6, dst: port(80) })]]);
  const compiled = rig.compile(key);
  const blocks = compiled.listing(rig.bindingOf(compiled));
  const titles = blocks.map(({ rule: title }) => title);
  assert.ok(titles.includes('GlobalNetworkPolicy/p0 ingress rule 0'), titles.join(', '));
  assert.ok(titles.includes('end of tier default ingress'), titles.join(', '));
  const lines = blocks.flatMap(({ instructions }) => instructions);
  assert.ok(lines.some((line) => /0x50\b/.test(line)));
});

test("programs of equal policies are equal, and name the hook's own refusal", () => {
  const made = () => rigOf([[resolvedRule('allow')]]);
  const [first, second] = [made(), made()].map(({ rig, key }) => ({ rig, compiled: rig.compile(key) }));
  assert.ok(first && second);
  const bytes = ({ rig, compiled }: typeof first, hook: 'classifier' | 'xdp') =>
    Buffer.concat([...compiled.assemble({ ...rig.bindingOf(compiled), hook })]).toString('hex');
  assert.equal(bytes(first, 'classifier'), bytes(second, 'classifier'));
  assert.ok(bytes(first, 'classifier').endsWith('b7000000020000009500000000000000'));
  assert.ok(bytes(first, 'xdp').endsWith('b7000000010000009500000000000000'));
});

test('what no packet can be asked is refused by name', () => {
  const steps = [rule([{ kind: 'interface', side: 'src', name: 'eth0' }], { kind: 'drop' }, 'no')];
  const source = {
    family: 4,
    point: 'workload',
    direction: 'ingress',
    chains: [],
    hasNets: () => false,
    isLarge: () => false,
  } as const;
  assert.throws(() => compilePolicy({ ...source, steps }), /got match interface/);
  assert.throws(
    () => compilePolicy({ ...source, steps: [rule([], { kind: 'untrack' })] }),
    /got action untrack/,
  );
});
