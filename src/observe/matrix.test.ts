// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  netSet,
  type PeerFields,
  portSet,
  resolvedEndpoint,
  resolvedPolicy,
  resolvedRule,
  resolvedTier,
  stateOf,
} from '../../test/support/compiled.ts';
import type { CompiledNode } from '../contract/compiled.ts';
import type { ResolvedRule } from '../contract/dataplane.ts';
import type { DataplaneState } from './dataplane-state.ts';
import { decidersOf } from './decider.ts';
import { type Explanation, explain } from './explain.ts';
import { matrixTables, probeName, verdictMatrix } from './matrix.ts';
import type { MatrixProbe } from './rule-rows.ts';
import { withStaged } from './tier-view.ts';

const addresses = ['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.0.1.2', 'fd00::1', 'fd00::2'];
const net = fc.constantFrom(
  '10.0.0.0/24',
  '10.0.0.0/16',
  '10.0.0.1/32',
  '10.0.1.0/31',
  'fd00::/64',
  'fd00::2/128',
);
const netSets = ['s:1', 's:2'];
const portSets = ['n:1', 'n:2'];
const range = fc.constantFrom({ first: 80, last: 80 }, { first: 50, last: 60 }, { first: 0, last: 65535 });
const some = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(fc.constant<T[]>([]), fc.array(arbitrary, { maxLength: 2 }));
const icmp = fc.record({ type: fc.constantFrom(8, 128), code: fc.constant(0) }, { requiredKeys: ['type'] });

const peer: fc.Arbitrary<PeerFields> = fc.record(
  {
    nets: some(net),
    notNets: some(net),
    sets: some(fc.constantFrom(...netSets)),
    notSets: some(fc.constantFrom(...netSets)),
    ports: some(range),
    portSets: some(fc.constantFrom(...portSets)),
    notPorts: some(range),
    notPortSets: some(fc.constantFrom(...portSets)),
  },
  { requiredKeys: [] },
);
const rule: fc.Arbitrary<ResolvedRule> = fc
  .record(
    {
      action: fc.constantFrom('allow' as const, 'deny' as const, 'pass' as const, 'log' as const),
      ipVersion: fc.constantFrom(4 as const, 6 as const),
      protocol: fc.constantFrom(1, 6, 17, 58),
      notProtocol: fc.constantFrom(6, 132),
      icmp,
      notIcmp: icmp,
      src: peer,
      dst: peer,
    },
    { requiredKeys: ['action'] },
  )
  .map(({ action, ...fields }) => resolvedRule(action, fields));
const rules = fc.array(rule, { maxLength: 3 });

const policyNames = ['p1', 'p2', 'p3'];
const policies = fc.tuple(...policyNames.map(() => fc.tuple(rules, rules)));
const profiles = fc.tuple(rules, rules);
const endpoint = fc.record({
  addresses: fc.uniqueArray(fc.constantFrom(...addresses), { maxLength: 3 }),
  adminUp: fc.constantFrom(true, true, true, false),
  tiers: fc.array(
    fc.record({
      defaultAction: fc.constantFrom('deny' as const, 'pass' as const),
      ingress: fc.subarray(policyNames),
      egress: fc.subarray(policyNames),
    }),
    { maxLength: 2 },
  ),
  profiles: fc.subarray(['prof', 'missing', 'unsent']),
});

const cluster: fc.Arbitrary<DataplaneState> = fc
  .record({
    policies,
    profile: profiles,
    endpoints: fc.array(endpoint, { maxLength: 40 }),
    members: fc.tuple(some(net), some(net)),
    ports: fc.tuple(
      ...portSets.map(() => fc.subarray(['10.0.0.1,tcp:80', '10.0.1.1,udp:53', 'fd00::1,tcp:80'])),
    ),
  })
  .map((it) => {
    const compiled: Partial<CompiledNode> = {
      ipSets: {
        's:1': netSet(...new Set(it.members[0])),
        's:2': netSet(...new Set(it.members[1])),
        'n:1': portSet(...(it.ports[0] ?? [])),
        'n:2': portSet(...(it.ports[1] ?? [])),
      },
      policies: Object.fromEntries(
        policyNames.map((name, i) => [
          name,
          resolvedPolicy('t', it.policies[i]?.[0] ?? [], it.policies[i]?.[1]),
        ]),
      ),
      profiles: {
        prof: { missing: false, ingress: it.profile[0], egress: it.profile[1] },
        missing: { missing: true, ingress: [], egress: [] },
      },
      endpoints: Object.fromEntries(
        it.endpoints.map(({ addresses: own, tiers, ...rest }, i) => [
          `e${i}`,
          resolvedEndpoint(`ns/e${i}`, own, {
            ...rest,
            tiers: tiers.map((tier) => resolvedTier('t', tier.defaultAction, tier.ingress, tier.egress)),
          }),
        ]),
      ),
    };
    return stateOf(compiled);
  });

const probes: readonly MatrixProbe[] = [
  { protocol: 6, port: 80 },
  { protocol: 17, port: 53 },
  { protocol: 6 },
  { protocol: 1, icmpType: 8, icmpCode: 0 },
  { protocol: 58, icmpType: 128 },
  { protocol: 89, port: 80 },
  { protocol: 4 },
  { protocol: 17, port: 4789 },
  { protocol: 58, icmpType: 134 },
];

for (const ipVersion of [4, 6] as const) {
  test(`the matrix says of each pair what evaluate says, IPv${ipVersion}`, () => {
    fc.assert(
      fc.property(cluster, (state) => {
        const matrix = verdictMatrix(state, { probes, ipVersion });
        for (const [p, probe] of probes.entries()) {
          for (const [i, from] of matrix.endpoints.entries()) {
            for (const [j, to] of matrix.endpoints.entries()) {
              const expected = slow(state, from, to, probe, ipVersion);
              const pair = `${probeName(probe)} ${from} -> ${to}`;
              assert.equal(matrix.allowed(p, i, j), expected?.allowed ?? from === to, pair);
              if (expected) assert.deepEqual(matrix.deciders(p, i, j), decidersOf(expected), pair);
            }
          }
        }
      }),
      { numRuns: 120 },
    );
  });
}

type EndpointId = Parameters<DataplaneState['endpoints']['get']>[0];

/** Null: an end lacks the family. */
function slow(
  state: DataplaneState,
  from: EndpointId,
  to: EndpointId,
  { port, ...probe }: MatrixProbe,
  ipVersion: 4 | 6,
): Explanation | null {
  const has = (id: EndpointId) =>
    state.endpoints.get(id)?.addresses.some((it) => it.includes(':') === (ipVersion === 6));
  if (!has(from) || !has(to)) return null;
  const [source, destination] = [from, to].map((id) => ({ kind: 'endpoint' as const, state, id }));
  assert.ok(source && destination);
  const dstPort = port === undefined ? {} : { dstPort: port };
  return explain(source, destination, { ...probe, ...dstPort, ipVersion });
}

test('tables hold every pair by name', () => {
  const state = stateOf({
    endpoints: {
      a: resolvedEndpoint('ns/a', ['10.0.0.1'], { profiles: ['open'] }),
      b: resolvedEndpoint('ns/b', ['10.0.0.2'], {
        profiles: ['open'],
        tiers: [resolvedTier('t', 'deny', ['p'])],
      }),
    },
    policies: { p: resolvedPolicy('t', []) },
    profiles: { open: { missing: false, ingress: [resolvedRule('allow')], egress: [resolvedRule('allow')] } },
  });
  const matrix = verdictMatrix(state, { probes: [{ protocol: 6, port: 80 }, { protocol: 1 }] });
  const table = { 'ns/a': { 'ns/a': true, 'ns/b': false }, 'ns/b': { 'ns/a': true, 'ns/b': true } };
  assert.deepEqual(matrixTables(state, matrix), { 'TCP/80': table, ICMP: table });
});

test('on request the lists count that would hold with staged policies in force', () => {
  const tier = { ...resolvedTier('t', 'deny', ['deny']), pending: { ingress: [], egress: [] } };
  const open = { missing: false, ingress: [resolvedRule('allow')], egress: [resolvedRule('allow')] };
  const state = stateOf({
    endpoints: {
      a: resolvedEndpoint('ns/a', ['10.0.0.1'], { profiles: ['open'] }),
      b: resolvedEndpoint('ns/b', ['10.0.0.2'], { profiles: ['open'], tiers: [tier] }),
    },
    policies: { deny: resolvedPolicy('t', [resolvedRule('deny')]) },
    profiles: { open },
  });
  const options = { probes: [{ protocol: 1 }] };
  assert.equal(verdictMatrix(state, options).allowed(0, 0, 1), false);
  assert.equal(verdictMatrix(state, { ...options, view: withStaged }).allowed(0, 0, 1), true);
});

test('each pair is decided by the rule that matches it', () => {
  const open = { missing: false, ingress: [resolvedRule('allow')], egress: [resolvedRule('allow')] };
  const from = (address: string) => ({ src: { nets: [`${address}/32`] } });
  const names = ['a', 'b', 'c', 'd'];
  const state = stateOf({
    endpoints: Object.fromEntries(
      names.map((name, i) => [
        name,
        resolvedEndpoint(`ns/${name}`, [`10.0.0.${i + 1}`], {
          profiles: ['open'],
          tiers: name === 'd' ? [resolvedTier('t', 'deny', ['p'])] : [],
        }),
      ]),
    ),
    policies: {
      p: resolvedPolicy('t', [
        resolvedRule('log'),
        resolvedRule('deny', from('10.0.0.1')),
        resolvedRule('allow', from('10.0.0.2')),
      ]),
    },
    profiles: { open },
  });
  const matrix = verdictMatrix(state, { probes: [{ protocol: 6, port: 80 }] });
  const ingress = [0, 1, 2].map(
    (i) => matrix.deciders(0, i, 3).find((each) => each.direction === 'ingress')?.by,
  );
  assert.deepEqual(ingress, [
    { at: 'rule', tier: 't', policy: 'p', rule: 1 },
    { at: 'rule', tier: 't', policy: 'p', rule: 2 },
    { at: 'end-of-tier', tier: 't', policies: ['p'] },
  ]);
  assert.deepEqual(matrix.deciders(0, 3, 3), []);
});
