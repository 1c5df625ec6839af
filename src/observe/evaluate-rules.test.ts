// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError } from '../lib/errors.ts';
import { evaluateRules } from './evaluate-rules.ts';

const packet = { protocol: 'TCP', src: '10.0.0.1', dst: '10.0.0.2', srcPort: 1, dstPort: 80 };
const origin = { file: 'p.yaml', line: 3 };
const policy = {
  policies: {
    p: {
      ingress: [
        { action: 'log' },
        {
          action: 'allow',
          protocol: 6,
          src: { sets: ['s:1'] },
          dst: { ports: [{ first: 80, last: 80 }] },
          origin,
        },
      ],
      egress: [{ action: 'deny', icmp: { type: 8 } }],
    },
  },
  profiles: { open: { ingress: [{ action: 'allow' }], egress: [{ action: 'allow' }] } },
  endpoints: {
    e: { tiers: [{ name: 't', defaultAction: 'pass', ingress: ['p'], egress: ['p'] }], profiles: ['open'] },
  },
};
const ipSets = { 's:1': { type: 'net', members: ['10.0.0.1/32'] } };
const request = { kind: 'workload', ipVersion: 4, policy, ipSets, packet };

test('the verdict comes with every rule that matched', () => {
  const inTier = { tier: 't', policy: 'p', direction: 'ingress' };
  assert.deepEqual(evaluateRules(request), {
    verdict: 'allow',
    hits: [
      { ...inTier, index: 0, action: 'log' },
      { ...inTier, index: 1, action: 'allow', origin },
    ],
  });
  assert.deepEqual(evaluateRules({ ...request, packet: { ...packet, protocol: 17 } }), {
    verdict: 'allow',
    hits: [
      { ...inTier, index: 0, action: 'log' },
      { profile: 'open', direction: 'ingress', index: 0, action: 'allow' },
    ],
  });
});

test('egress on request', () => {
  const ping = { protocol: 'ICMP', src: '10.0.0.1', dst: '10.0.0.2', icmpType: 8, icmpCode: 0 };
  assert.deepEqual(evaluateRules({ ...request, direction: 'egress', packet: ping }), {
    verdict: 'deny',
    hits: [{ tier: 't', policy: 'p', direction: 'egress', index: 0, action: 'deny' }],
  });
});

test('a host reaches its own workloads', () => {
  const bare = { ...request, policy: { endpoints: { e: {} } } };
  assert.deepEqual(evaluateRules(bare), { verdict: 'deny', hits: [] });
  assert.deepEqual(evaluateRules({ ...bare, packet: { ...packet, fromHost: true } }), {
    verdict: 'allow',
    hits: [],
  });
});

const hostPolicy = {
  policies: {
    deny: { ingress: [{ action: 'deny' }], egress: [{ action: 'deny' }] },
    silent: { ingress: [], egress: [] },
    before: { ingress: [{ action: 'allow', dst: { nets: ['192.0.2.0/24'] } }], egress: [] },
  },
  profiles: policy.profiles,
};
const tierOf = (name: string) => [{ name: 't', defaultAction: 'deny', ingress: [name], egress: [name] }];

/** `allow`, then the stages of the rules that matched. */
function atHost(endpoint: object, packetFields: object = {}, fields: object = {}): string {
  const answer = evaluateRules({
    kind: 'host',
    ipVersion: 4,
    policy: { ...hostPolicy, hostEndpoints: { h: endpoint } },
    packet: { ...packet, ...packetFields },
    ...fields,
  });
  return [answer.verdict, ...answer.hits.map(({ stage, direction }) => `${stage} ${direction}`)].join(', ');
}

test('a host endpoint: its tiers, then its profiles', () => {
  assert.equal(atHost({ tiers: tierOf('deny'), profiles: ['open'] }), 'deny, normal ingress');
  assert.equal(atHost({ tiers: tierOf('silent'), profiles: ['open'] }), 'deny');
  assert.equal(atHost({ profiles: ['open'] }), 'allow, normal ingress');
  assert.equal(atHost({ tiers: tierOf('deny') }, { fromHost: true }), 'deny, normal egress');
  const elsewhere = { policy: { ...hostPolicy, endpoints: { h: { profiles: ['open'] } } } };
  assert.equal(atHost({}, {}, elsewhere), 'allow, normal ingress');
});

test('what says that it is forwarded meets forward policy alone, if there is such a list', () => {
  const endpoint = { tiers: tierOf('deny'), forward: [] };
  assert.equal(atHost(endpoint, { toHost: true }), 'deny, normal ingress');
  assert.equal(atHost(endpoint, { toHost: false }), 'allow');
  assert.equal(atHost({ tiers: tierOf('deny') }, { toHost: false }), 'deny, normal ingress');
});

test('before destination NAT the packet has the destination that it was sent to', () => {
  const endpoint = { tiers: tierOf('deny'), preDnat: tierOf('before') };
  assert.equal(atHost(endpoint), 'deny, normal ingress');
  assert.equal(atHost(endpoint, { dstBeforeNat: '192.0.2.7' }), 'allow, pre-dnat ingress');
  assert.equal(atHost(endpoint, { dstBeforeNat: '192.0.2.7', fromHost: true }), 'deny, normal egress');
});

test('untracked policy drops by rule alone, and passes what it does not decide', () => {
  const untracked = { kind: 'untracked' };
  assert.equal(atHost({ untracked: tierOf('deny') }, {}, untracked), 'deny, untracked ingress');
  assert.equal(atHost({ untracked: tierOf('silent'), tiers: tierOf('deny') }, {}, untracked), 'pass');
  assert.equal(
    atHost({ tiers: tierOf('before') }, { dst: '192.0.2.1' }, untracked),
    'allow, untracked ingress',
  );
});

test('failsafe ports are open where the request says which they are', () => {
  const closed = { tiers: tierOf('deny'), untracked: tierOf('deny') };
  const config = { failsafeInbound: [{ protocol: 'TCP', port: 80, net: '10.0.0.0/24' }] };
  assert.equal(atHost(closed, {}, { config }), 'allow');
  assert.equal(atHost(closed, { dstPort: 22 }), 'deny, normal ingress');
  assert.equal(atHost(closed, { dstPort: 22 }, { config: {} }), 'allow');
  assert.equal(atHost(closed, { src: '10.0.1.1' }, { config }), 'deny, normal ingress');
  assert.equal(atHost(closed, {}, { config, kind: 'untracked' }), 'pass');
  assert.throws(() => atHost(closed, {}, { config: { failsafeInbound: [{ protocol: 6 }] } }), /port/);
});

test('every fault is reported at once', () => {
  const broken = {
    kind: 'pod',
    ipVersion: 5,
    policy: {
      policies: {
        p: {
          ingress: [{ action: 'permit', protocol: 'XYZ', src: { nets: ['ten'], ports: [{ first: -1 }] } }],
        },
      },
      endpoints: { a: {}, b: {} },
    },
    ipSets: { s: { type: 'net', members: [7] } },
    packet: { protocol: 6, src: 'fd00::1', dst: '10.0.0.2' },
  };
  assert.throws(
    () => evaluateRules(broken),
    (error) => {
      assert.ok(error instanceof InvalidError);
      assert.deepEqual(error.faults.map(({ path }) => path).sort(), [
        'endpoint',
        'ipSets.s.members[0]',
        'ipVersion',
        'kind',
        'packet.src',
        'policy.policies.p.ingress[0].action',
        'policy.policies.p.ingress[0].protocol',
        'policy.policies.p.ingress[0].src.nets[0]',
        'policy.policies.p.ingress[0].src.ports[0].first',
        'policy.policies.p.ingress[0].src.ports[0].last',
      ]);
      return true;
    },
  );
  assert.throws(() => evaluateRules(null), InvalidError);
  assert.throws(() => evaluateRules({ ...request, ipSets: {} }), /s:1/);
});
