// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  resolvedEndpoint,
  resolvedPolicy,
  resolvedRule,
  resolvedTier,
  stateOf,
} from '../../test/support/compiled.ts';
import { defaultDataplaneConfig } from '../contract/config.ts';
import type { ResolvedHostEndpoint } from '../contract/dataplane.ts';
import { parseAddress } from '../lib/address.ts';
import type { IfName, KeyPath } from '../lib/brand.ts';
import { NotFoundError } from '../lib/errors.ts';
import type { DataplaneState } from './dataplane-state.ts';
import { type Crossing, type CrossingEnd, evaluateAtNode, evaluateStage } from './evaluate-host.ts';
import { hostEndpointAt } from './host-link.ts';
import type { Packet } from './packet-match.ts';
import { withStaged } from './tier-view.ts';

const eth0 = 'eth0' as KeyPath;
const bare: ResolvedHostEndpoint = {
  name: 'n1-eth0',
  ifName: 'eth0' as IfName,
  addresses: [],
  tiers: [],
  forward: [],
  untracked: [],
  preDnat: [],
  profiles: [],
};
const policies = {
  allow: resolvedPolicy('t', [resolvedRule('allow')], [resolvedRule('allow')]),
  deny: resolvedPolicy('t', [resolvedRule('deny')], [resolvedRule('deny')]),
  pass: resolvedPolicy('t', [resolvedRule('pass')], [resolvedRule('pass')]),
  silent: resolvedPolicy('t', [], []),
  to9: resolvedPolicy('t', [resolvedRule('allow', { dst: { nets: ['10.9.0.0/16'] } })]),
};
const profiles = {
  open: { missing: false, ingress: [resolvedRule('allow')], egress: [resolvedRule('allow')] },
};
const both = (policy: string) => [resolvedTier('t', 'deny', [policy], [policy])];

function hostState(
  fields: Partial<ResolvedHostEndpoint>,
  config: Partial<DataplaneState['config']> = {},
): DataplaneState {
  return stateOf({
    policies,
    profiles,
    endpoints: { w: resolvedEndpoint('ns/w', ['10.0.0.1'], { profiles: ['open'] }) },
    hostEndpoints: { [eth0]: { ...bare, ...fields } },
    config: { ...defaultDataplaneConfig, ...config },
  });
}

const beyond: CrossingEnd = { at: 'beyond', endpoint: eth0 };
const host: CrossingEnd = { at: 'host' };
const workload: CrossingEnd = { at: 'workload', id: 'w' as KeyPath };
const http: Packet = {
  ipVersion: 4,
  protocol: 6,
  src: parseAddress('192.0.2.1'),
  dst: parseAddress('172.16.0.1'),
  srcPort: 40000,
  dstPort: 80,
};

/** `allowed`, then stage by stage. */
function told(state: DataplaneState, from: CrossingEnd, to: CrossingEnd, packet: Packet = http): string {
  const { allowed, stages } = evaluateAtNode(state, { from, to }, packet);
  const steps = stages.map(({ stage, direction, verdict, trace }) => {
    const last = trace.at(-1)?.step;
    return `${stage} ${direction} ${verdict}${last === 'failsafe' ? ' by failsafe' : ''}`;
  });
  return [String(allowed), ...steps].join(', ');
}

test('a host endpoint without policy drops what ends and starts at the host, and lets pass what is forwarded', () => {
  const state = hostState({});
  assert.equal(told(state, beyond, host), 'false, normal ingress deny');
  assert.equal(told(state, host, beyond), 'false, normal egress deny');
  assert.equal(told(state, beyond, beyond), 'true');
  assert.equal(told(hostState({ profiles: ['open'] }), beyond, host), 'true, normal ingress allow');
  assert.equal(told(hostState({ profiles: ['none'] }), beyond, host), 'false, normal ingress deny');
});

test('what an early stage accepts, no later one of its direction looks at; what it passes, all do', () => {
  const later = { tiers: both('deny'), forward: both('deny') };
  assert.equal(
    told(hostState({ ...later, untracked: both('allow') }), beyond, host),
    'true, untracked ingress allow',
  );
  const dnat = { ...later, preDnat: [resolvedTier('t', 'deny', ['allow'])] };
  assert.equal(told(hostState(dnat), beyond, host), 'true, pre-dnat ingress allow');
  assert.equal(
    told(hostState({ ...dnat, untracked: both('pass') }), beyond, beyond),
    'false, untracked ingress continue, pre-dnat ingress allow, forward egress deny',
  );
  assert.equal(
    told(hostState({ ...later, untracked: both('deny') }), beyond, host),
    'false, untracked ingress deny',
  );
});

test('the end of a tier drops in the normal and forward stages alone', () => {
  const silent = { untracked: both('silent'), preDnat: [resolvedTier('t', 'deny', ['silent'])] };
  assert.equal(
    told(hostState({ ...silent, profiles: ['open'] }), beyond, host),
    'true, untracked ingress continue, pre-dnat ingress continue, normal ingress allow',
  );
  assert.equal(told(hostState({ forward: both('silent') }), beyond, beyond), 'false, forward ingress deny');
});

test('failsafe ports are open before policy, replies of theirs where nothing is tracked', () => {
  const closed = { tiers: both('deny'), untracked: both('deny') };
  const ssh = { ...http, dstPort: 22 };
  assert.equal(
    told(hostState(closed), beyond, host, ssh),
    'true, untracked ingress continue by failsafe, normal ingress allow by failsafe',
  );
  assert.equal(
    told(hostState({ forward: both('deny') }), beyond, beyond, ssh),
    'false, forward ingress deny',
  );
  const reply = { ...http, srcPort: 22, dstPort: 40000 };
  assert.match(
    told(hostState(closed), host, beyond, reply),
    /untracked egress continue by failsafe, normal egress deny/,
  );
  const only = (net: string) => ({ failsafeInbound: [{ protocol: 6, port: 80, net: net as never }] });
  assert.match(told(hostState(closed, only('192.0.2.0/24')), beyond, host), /^true/);
  assert.match(told(hostState(closed, only('198.51.100.0/24')), beyond, host), /^false/);
});

test('early stages see the destination as it was sent, later ones as it became', () => {
  const sent = { ...http, dst: parseAddress('10.0.0.1'), dstBeforeNat: parseAddress('10.9.0.1') };
  const to9 = [resolvedTier('t', 'deny', ['to9'])];
  assert.equal(told(hostState({ preDnat: to9 }), beyond, workload, sent), 'true, pre-dnat ingress allow');
  assert.equal(told(hostState({ forward: to9 }), beyond, workload, sent), 'false, forward ingress deny');
});

test('between a host and its workloads its endpoints have no say; the node has', () => {
  const closed = { tiers: both('deny'), forward: both('deny') };
  const gateOf = (from: CrossingEnd, to: CrossingEnd, packet: Packet, config = {}) => {
    const { allowed, gate, egress } = evaluateAtNode(hostState(closed, config), { from, to }, packet);
    return `${allowed} ${gate?.reason} ${gate?.verdict} ${egress?.verdict}`;
  };
  const out = { ...http, src: parseAddress('10.0.0.1') };
  assert.equal(gateOf(host, workload, http), 'true host-to-workload allow undefined');
  assert.equal(gateOf(workload, host, out), 'false endpoint-to-host deny allow');
  assert.equal(
    gateOf(workload, host, out, { endpointToHost: 'accept' }),
    'true endpoint-to-host allow allow',
  );
  const solicit = { ...out, ipVersion: 6 as const, protocol: 58, icmpType: 135 };
  assert.equal(gateOf(workload, host, solicit), 'true neighbour-discovery allow undefined');
  const advertise = { ...solicit, icmpType: 134 };
  assert.equal(
    gateOf(workload, host, advertise, { endpointToHost: 'accept' }),
    'false endpoint-to-host allow deny',
    'a router is no workload',
  );
  assert.equal(told(hostState(closed), beyond, host, { ...advertise, src: http.src }), 'true');
  assert.equal(told(hostState(closed), beyond, host, { ...solicit, src: http.src }), 'true');
  const forwarded = told(hostState(closed), beyond, workload, { ...solicit, src: http.src });
  assert.equal(forwarded, 'false, forward ingress deny', 'routers never pass it on');
});

test('workloads send neither encapsulated packets nor router messages', () => {
  const state = hostState({ profiles: ['open'] });
  const reason = (packet: Partial<Packet>, from: DataplaneState = state) => {
    const sent = { ...http, src: parseAddress('10.0.0.1'), ...packet };
    const last = evaluateAtNode(from, { from: workload, to: beyond }, sent).egress?.trace.at(-1);
    return last?.step === 'gate' ? last.reason : last?.step;
  };
  assert.equal(reason({ protocol: 17, dstPort: 4789 }), 'encapsulated');
  assert.equal(reason({ protocol: 4 }), 'encapsulated');
  assert.equal(reason({ protocol: 17, dstPort: 4788 }), 'profile');
  assert.equal(reason({ protocol: 4 }, hostState({}, { ipipFromWorkloads: true })), 'profile');
  assert.equal(reason({ ipVersion: 6, protocol: 58, icmpType: 134 }), 'router-message');
});

test('staged policies count where they are asked for', () => {
  const tier = {
    ...resolvedTier('t', 'deny', ['allow']),
    pending: { ingress: ['deny' as KeyPath], egress: [] },
  };
  const state = hostState({ tiers: [tier], forward: [tier] });
  const crossing: Crossing = { from: beyond, to: host };
  assert.equal(evaluateAtNode(state, crossing, http).allowed, true);
  assert.equal(evaluateAtNode(state, crossing, http, withStaged).allowed, false);
});

test('the endpoint of a link: the first by id that names it or expects its address, else that of all others', () => {
  const link = { name: 'eth1' as IfName, addresses: [parseAddress('172.17.0.1')] };
  const found = (endpoints: { [id: string]: Partial<ResolvedHostEndpoint> }) => {
    const hostEndpoints = Object.fromEntries(
      Object.entries(endpoints).map(([id, fields]) => [id, { ...bare, ...fields }]),
    );
    return hostEndpointAt(stateOf({ hostEndpoints }), link);
  };
  const byName = { ifName: 'eth1' as IfName };
  const byAddress = { ifName: null, addresses: link.addresses };
  assert.equal(found({ z: byName, a: { ifName: '*' } }), 'z');
  assert.equal(found({ z: byName, b: byAddress }), 'b');
  assert.equal(found({ a: {}, b: { ifName: '*' } }), 'b');
  assert.equal(found({ a: { ifName: 'eth0' as IfName, addresses: link.addresses } }), null);
});

test('an endpoint that was not sent is an error; one list alone can be asked', () => {
  const gone: CrossingEnd = { at: 'beyond', endpoint: 'gone' as KeyPath };
  assert.throws(() => evaluateAtNode(hostState({}), { from: gone, to: host }, http), NotFoundError);
  const list = {
    tiers: both('silent').map((tier) => ({ ...tier, defaultAction: 'pass' as const })),
    profiles: [],
  };
  assert.equal(evaluateStage(hostState({}), list, ['untracked', 'ingress'], http).verdict, 'continue');
});
