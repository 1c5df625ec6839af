// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import { parseAddress } from '../lib/address.ts';
import type { KeyPath } from '../lib/brand.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import { DataplaneState } from './dataplane-state.ts';
import { evaluate, type Verdict } from './evaluate.ts';
import type { Packet } from './packet-match.ts';

const id = 'e' as KeyPath;
const packet: Packet = {
  ipVersion: 4,
  protocol: 6,
  src: parseAddress('10.0.0.1'),
  dst: parseAddress('10.0.0.2'),
  srcPort: 40000,
  dstPort: 80,
};
const sixth: Packet = { ...packet, ipVersion: 6, src: parseAddress('fd00::1'), dst: parseAddress('fd00::2') };
const ping: Packet = {
  ipVersion: 4,
  protocol: 1,
  src: packet.src,
  dst: packet.dst,
  icmpType: 8,
  icmpCode: 0,
};
const sets = {
  's:src': netSet('10.0.0.0/31', '192.0.2.0/24'),
  's:other': netSet('10.9.0.0/16'),
  'n:http': portSet('10.0.0.2,tcp:80'),
  'n:dns': portSet('10.0.0.2,udp:53', '10.0.0.2,tcp:53'),
};

const eighty = { first: 80, last: 80 };
const high = { first: 1024, last: 65535 };

/** Condition, whether it matches, and the packet if not the usual one. */
const conditions: readonly (readonly [
  Partial<Omit<ResolvedRule, 'src' | 'dst'>> & Ends,
  boolean,
  Packet?,
])[] = [
  [{}, true],
  [{ ipVersion: 4 }, true],
  [{ ipVersion: 6 }, false],
  [{ ipVersion: 6 }, true, sixth],
  [{ protocol: 6 }, true],
  [{ protocol: 17 }, false],
  [{ notProtocol: 6 }, false],
  [{ notProtocol: 17 }, true],
  [{ icmp: { type: 8 } }, false],
  [{ icmp: { type: 8 } }, true, ping],
  [{ icmp: { type: 8, code: 0 } }, true, ping],
  [{ icmp: { type: 8, code: 1 } }, false, ping],
  [{ icmp: { type: 0 } }, false, ping],
  [{ icmp: { type: 8 } }, false, { ...sixth, protocol: 1, icmpType: 8 }],
  [{ icmp: { type: 128 } }, true, { ...sixth, protocol: 58, icmpType: 128 }],
  [{ notIcmp: { type: 8 } }, false, ping],
  [{ notIcmp: { type: 8 } }, true],
  [{ notIcmp: { type: 8, code: 3 } }, true, ping],
  [{ src: { nets: ['10.0.0.0/24'] } }, true],
  [{ src: { nets: ['10.0.1.0/24', '10.0.0.1/32'] } }, true],
  [{ src: { nets: ['10.0.1.0/24'] } }, false],
  [{ src: { nets: ['10.0.0.0/24'] } }, false, sixth],
  [{ src: { notNets: ['10.0.0.0/24'] } }, false],
  [{ src: { notNets: ['10.0.1.0/24'] } }, true],
  [{ src: { notNets: ['10.0.0.0/24'] } }, true, sixth],
  [{ src: { nets: ['10.0.0.0/8'], notNets: ['10.0.0.1/32'] } }, false],
  [{ src: { sets: ['s:src'] } }, true],
  [{ src: { sets: ['s:src', 's:other'] } }, false],
  [{ dst: { sets: ['s:src'] } }, false],
  [{ src: { notSets: ['s:src'] } }, false],
  [{ dst: { notSets: ['s:src', 's:other'] } }, true],
  [{ dst: { ports: [eighty] } }, true],
  [{ dst: { ports: [high] } }, false],
  [{ src: { ports: [high] } }, true],
  [{ src: { ports: [eighty] } }, false],
  [{ dst: { ports: [{ first: 0, last: 65535 }] } }, false, ping],
  [{ dst: { portSets: ['n:http'] } }, true],
  [{ dst: { portSets: ['n:dns'] } }, false],
  [{ dst: { ports: [high], portSets: ['n:http'] } }, true],
  [{ dst: { ports: [eighty], portSets: ['n:dns'] } }, true],
  [{ dst: { portSets: ['n:http'] } }, false, { ...packet, protocol: 17 }],
  [{ dst: { notPorts: [eighty] } }, false],
  [{ dst: { notPorts: [high] } }, true],
  [{ dst: { notPorts: [eighty] } }, true, ping],
  [{ dst: { notPortSets: ['n:http'] } }, false],
  [{ dst: { notPortSets: ['n:dns'] } }, true],
  [{ dst: { ports: [eighty], notPortSets: ['n:http'] } }, false],
];
type Ends = { readonly src?: PeerFields; readonly dst?: PeerFields };

for (const [condition, matches, probe = packet] of conditions) {
  test(`${JSON.stringify(condition)} ${matches ? 'matches' : 'misses'} ${JSON.stringify(probe)}`, () => {
    const state = stateOf({
      ipSets: sets,
      policies: { p: resolvedPolicy('t', [resolvedRule('allow', condition)]) },
      endpoints: { e: resolvedEndpoint('ns/e', [], { tiers: [resolvedTier('t', 'deny', ['p'])] }) },
    });
    assert.equal(evaluate(state, id, 'ingress', probe).verdict, matches ? 'allow' : 'deny');
  });
}

const open = { missing: false, ingress: [resolvedRule('allow')], egress: [resolvedRule('allow')] };
const missing = { missing: true, ingress: [], egress: [] };
const silent = { missing: false, ingress: [], egress: [] };

const walks: readonly (readonly [string, Partial<CompiledNode>, string])[] = [
  [
    'without tiers the profile decides',
    { endpoints: { e: resolvedEndpoint('e', [], { profiles: ['open'] }) } },
    'profile open allow(allow)',
  ],
  ['without anything it is denied', { endpoints: { e: resolvedEndpoint('e', []) } }, 'end deny'],
  [
    'profiles in order, a silent one is passed by',
    { endpoints: { e: resolvedEndpoint('e', [], { profiles: ['silent', 'open'] }) } },
    'profile silent no-match; profile open allow(allow)',
  ],
  [
    'a missing profile denies, also before one that allows',
    { endpoints: { e: resolvedEndpoint('e', [], { profiles: ['missing', 'open'] }) } },
    'profile missing deny',
  ],
  [
    'a profile that was not sent denies',
    { endpoints: { e: resolvedEndpoint('e', [], { profiles: ['x', 'open'] }) } },
    'profile x deny',
  ],
  [
    'an endpoint that is down is closed',
    { endpoints: { e: resolvedEndpoint('e', [], { profiles: ['open'], adminUp: false }) } },
    'gate admin-down',
  ],
  [
    'the end of a tier denies',
    tiers({ t: ['deny', [resolvedRule('log')]] }),
    'tier t deny by default-action p-t[log]',
  ],
  [
    'the end of a tier passes on',
    tiers({ t: ['pass', []] }),
    'tier t pass by default-action p-t[]; profile open allow(allow)',
  ],
  [
    'a pass rule leaves the tier, the next decides',
    tiers({
      t: ['deny', [resolvedRule('log'), resolvedRule('pass'), resolvedRule('deny')]],
      u: ['deny', [resolvedRule('allow')]],
    }),
    'tier t pass by rule p-t[log pass]; tier u allow by rule p-u[allow]',
  ],
  [
    'a deny rule ends it',
    tiers({ t: ['pass', [resolvedRule('deny')]], u: ['deny', [resolvedRule('allow')]] }),
    'tier t deny by rule p-t[deny]',
  ],
  [
    'a tier whose policies govern only the other direction takes no part',
    {
      policies: { p: resolvedPolicy('t', [], [resolvedRule('deny')]) },
      endpoints: {
        e: resolvedEndpoint('e', [], { profiles: ['open'], tiers: [resolvedTier('t', 'deny', [], ['p'])] }),
      },
    },
    'profile open allow(allow)',
  ],
];

for (const [promise, compiled, expected] of walks) {
  test(promise, () => {
    const state = stateOf({ ...compiled, profiles: { open, missing, silent } });
    assert.equal(traceText(evaluate(state, id, 'ingress', packet)), expected);
  });
}

function tiers(byName: { [tier: string]: ['deny' | 'pass', ResolvedRule[]] }): Partial<CompiledNode> {
  const entries = Object.entries(byName);
  return {
    policies: Object.fromEntries(
      entries.map(([name, [, rules]]) => [`p-${name}`, resolvedPolicy(name, rules)]),
    ),
    endpoints: {
      e: resolvedEndpoint('e', [], {
        profiles: ['open'],
        tiers: entries.map(([name, [action]]) => resolvedTier(name, action, [`p-${name}`])),
      }),
    },
  };
}

function traceText({ verdict, trace }: Verdict): string {
  const last = trace.at(-1);
  assert.equal(last?.outcome, verdict, 'the last step decided');
  return trace
    .map((step) => {
      if (step.step === 'gate') return `gate ${step.reason}`;
      if (step.step === 'end' || step.step === 'failsafe') return `${step.step} ${step.outcome}`;
      const hits = (rules: readonly { action: string }[]) => rules.map(({ action }) => action).join(' ');
      if (step.step === 'profile') {
        return `profile ${step.profile} ${step.outcome}${step.rules.length > 0 ? `(${hits(step.rules)})` : ''}`;
      }
      const asked = step.policies.map(({ policy, rules }) => `${policy}[${hits(rules)}]`).join(' ');
      return `tier ${step.tier} ${step.outcome} by ${step.decidedBy} ${asked}`;
    })
    .join('; ');
}

test('an endpoint sends from its own addresses alone', () => {
  const state = stateOf({
    endpoints: { e: resolvedEndpoint('e', ['10.0.0.1'], { profiles: ['open'] }) },
    profiles: { open },
  });
  assert.equal(evaluate(state, id, 'egress', packet).verdict, 'allow');
  const forged = { ...packet, src: parseAddress('10.0.0.9') };
  assert.deepEqual(evaluate(state, id, 'egress', forged), {
    verdict: 'deny',
    trace: [{ step: 'gate', outcome: 'deny', reason: 'foreign-source' }],
  });
  assert.equal(evaluate(state, id, 'ingress', forged).verdict, 'allow');
});

test('the trace is stable JSON with the place of each rule', () => {
  const origin = { file: 'policy.yaml', line: 12 };
  const state = stateOf({
    policies: { p: resolvedPolicy('t', [resolvedRule('log'), resolvedRule('allow', { origin })]) },
    endpoints: { e: resolvedEndpoint('e', [], { tiers: [resolvedTier('t', 'deny', ['p'])] }) },
  });
  assert.deepEqual(JSON.parse(JSON.stringify(evaluate(state, id, 'ingress', packet))), {
    verdict: 'allow',
    trace: [
      {
        step: 'tier',
        tier: 't',
        outcome: 'allow',
        decidedBy: 'rule',
        policies: [
          {
            policy: 'p',
            rules: [
              { index: 0, action: 'log' },
              { index: 1, action: 'allow', origin },
            ],
          },
        ],
      },
    ],
  });
});

test('what was not sent is an error, not a guess', () => {
  const withSet = stateOf({
    policies: { p: resolvedPolicy('t', [resolvedRule('allow', { src: { sets: ['s:gone'] } })]) },
    endpoints: { e: resolvedEndpoint('e', [], { tiers: [resolvedTier('t', 'deny', ['p'])] }) },
  });
  assert.throws(() => evaluate(withSet, id, 'ingress', packet), InvalidError);
  const withoutPolicy = stateOf({
    endpoints: { e: resolvedEndpoint('e', [], { tiers: [resolvedTier('t', 'deny', ['p'])] }) },
  });
  assert.throws(() => evaluate(withoutPolicy, id, 'ingress', packet), InvalidError);
  assert.throws(() => evaluate(stateOf({}), id, 'ingress', packet), NotFoundError);
});

test('messages are applied in order', () => {
  const setId = 's:x' as Parameters<DataplaneState['ipSet']>[0];
  const state = DataplaneState.from([
    { kind: 'ipset-update', id: setId, set: netSet('10.0.0.0/24', '10.0.2.0/24') },
    { kind: 'ipset-delta', id: setId, add: ['10.0.1.1/32'], remove: ['10.0.0.0/24'] },
    { kind: 'profile-update', name: 'open', profile: open },
    { kind: 'endpoint-update', id, endpoint: resolvedEndpoint('e', [], { profiles: ['open'] }) },
    { kind: 'in-sync' },
  ]);
  assert.ok(state.isInSync);
  const has = ['10.0.0.1', '10.0.1.1', '10.0.2.9'].map((it) =>
    state.ipSet(setId).hasAddress(parseAddress(it)),
  );
  assert.deepEqual(has, [false, true, true]);
  assert.equal(evaluate(state, id, 'ingress', packet).verdict, 'allow');
  state.apply({ kind: 'profile-remove', name: 'open' });
  assert.equal(evaluate(state, id, 'ingress', packet).verdict, 'deny');
  state.apply({ kind: 'endpoint-remove', id });
  state.apply({ kind: 'ipset-remove', id: setId });
  assert.throws(() => state.ipSet(setId), InvalidError);
});
