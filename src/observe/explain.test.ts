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
import { parseAddress } from '../lib/address.ts';
import type { IfName, KeyPath } from '../lib/brand.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import { decidersOf } from './decider.ts';
import { explain, type NodeView, type Party } from './explain.ts';

const open = { missing: false, ingress: [resolvedRule('allow')], egress: [resolvedRule('allow')] };
const here = stateOf({
  profiles: { open },
  endpoints: { a: resolvedEndpoint('ns/a', ['fd00::1', '10.0.0.1'], { profiles: ['open'] }) },
});
const there = stateOf({
  profiles: { open },
  policies: {
    p: resolvedPolicy('t', [
      resolvedRule('allow', { protocol: 6, dst: { ports: [{ first: 80, last: 80 }] } }),
    ]),
  },
  endpoints: {
    b: resolvedEndpoint('ns/b', ['10.0.0.2'], {
      profiles: ['open'],
      tiers: [resolvedTier('t', 'deny', ['p'])],
    }),
    shut: resolvedEndpoint('ns/shut', ['10.0.0.3'], { profiles: [] }),
  },
});
const a: Party = { kind: 'endpoint', state: here, id: 'a' as KeyPath };
const b: Party = { kind: 'endpoint', state: there, id: 'b' as KeyPath };
const shut: Party = { kind: 'endpoint', state: there, id: 'shut' as KeyPath };
const outside: Party = { kind: 'address', address: parseAddress('192.0.2.1') };
const http = { protocol: 6, dstPort: 80 };

test('both ends must allow, each by the state of its own node', () => {
  const { allowed, packet, egress, ingress } = explain(a, b, http);
  assert.deepEqual(packet, { ipVersion: 4, src: '10.0.0.1', dst: '10.0.0.2', ...http });
  assert.deepEqual([allowed, egress?.verdict, ingress?.verdict], [true, 'allow', 'allow']);
  assert.deepEqual([egress?.name, ingress?.name], ['ns/a', 'ns/b']);
  assert.equal(explain(a, b, { ...http, dstPort: 81 }).allowed, false);
});

test('a refused sender is told what the receiver would have said', () => {
  const { allowed, egress, ingress } = explain(shut, b, http);
  assert.deepEqual([allowed, egress?.verdict, ingress?.verdict], [false, 'deny', 'allow']);
});

test('nobody judges an outside address', () => {
  assert.deepEqual([explain(outside, b, http).egress, explain(outside, b, http).allowed], [null, true]);
  assert.deepEqual([explain(b, outside, http).ingress, explain(b, outside, http).allowed], [null, true]);
  assert.equal(explain(outside, shut, http).allowed, false);
});

test('an endpoint reaches itself, whatever its policy', () => {
  assert.deepEqual(explain(shut, shut, http), {
    allowed: true,
    packet: { ipVersion: 4, src: '10.0.0.3', dst: '10.0.0.3', ...http },
    sameEndpoint: true,
    egress: null,
    ingress: null,
    host: [],
    gate: null,
  });
});

test('ends without a common family, and endpoints that are not there, are errors', () => {
  assert.throws(() => explain(a, b, { ...http, ipVersion: 6 }), InvalidError);
  assert.throws(() => explain({ kind: 'address', address: parseAddress('fd00::9') }, b, http), InvalidError);
  assert.throws(() => explain({ ...a, id: 'gone' as KeyPath }, b, http), NotFoundError);
  assert.throws(() => explain(b, { ...a, id: 'gone' as KeyPath }, http), NotFoundError);
});

test('an address asked for is the one that the packet has, also when the pod has others', () => {
  const six = { ...a, address: parseAddress('fd00::1') };
  assert.equal(explain(a, b, http).packet.src, '10.0.0.1');
  assert.throws(() => explain(six, b, http), InvalidError);
  assert.throws(() => explain(b, six, http), InvalidError);
});

/** Node n1 with `a`, n2 with `b`; both uplinks have a host endpoint. */
function nodes(): { n1: NodeView; n2: NodeView } {
  const tcp = resolvedRule('allow', { protocol: 6 });
  const lists = [resolvedTier('t', 'deny', ['p'], ['p'])];
  const view = (name: string, address: string, endpoints: Parameters<typeof stateOf>[0]['endpoints']) => ({
    name,
    addresses: [parseAddress(address)],
    uplink: 'up' as KeyPath,
    state: stateOf({
      profiles: { open },
      policies: { p: resolvedPolicy('t', [tcp], [tcp]) },
      ...(endpoints ? { endpoints } : {}),
      hostEndpoints: {
        up: {
          name: `${name}-up`,
          ifName: 'eth0' as IfName,
          addresses: [],
          tiers: lists,
          forward: lists,
          untracked: [],
          preDnat: [],
          profiles: [],
        },
      },
    }),
  });
  const endpoint = (address: string) => resolvedEndpoint('ns/x', [address], { profiles: ['open'] });
  return {
    n1: view('n1', '172.16.0.1', { a: endpoint('10.0.0.1'), a2: endpoint('10.0.0.9') }),
    n2: view('n2', '172.16.0.2', { b: endpoint('10.0.0.2') }),
  };
}

test('between nodes a packet meets the endpoint of each uplink, on one node none', () => {
  const { n1, n2 } = nodes();
  const from: Party = { kind: 'endpoint', state: n1.state, id: 'a' as KeyPath, node: n1 };
  const to: Party = { kind: 'endpoint', state: n2.state, id: 'b' as KeyPath, node: n2 };
  const told = (source: Party, destination: Party, protocol = 6) => {
    const { allowed, host, gate } = explain(source, destination, { protocol });
    const stages = host.map(
      ({ node, stage, direction, verdict }) => `${node} ${stage} ${direction} ${verdict}`,
    );
    return [String(allowed), ...stages, ...(gate ? [`${gate.node} ${gate.reason}`] : [])];
  };
  assert.deepEqual(told(from, to), ['true', 'n1 forward egress allow', 'n2 forward ingress allow']);
  assert.deepEqual(told(from, to, 47), ['false', 'n1 forward egress deny', 'n2 forward ingress deny']);
  assert.deepEqual(told(from, { ...from, id: 'a2' as KeyPath }), ['true']);
  assert.deepEqual(told(from, outside), ['true', 'n1 forward egress allow']);
  const [host1, host2]: Party[] = [
    { kind: 'host', node: n1 },
    { kind: 'host', node: n2 },
  ];
  assert.ok(host1 && host2);
  assert.deepEqual(told(host1, host2), ['true', 'n1 normal egress allow', 'n2 normal ingress allow']);
  assert.deepEqual(told(host1, host1), ['true']);
  assert.deepEqual(told(host1, from), ['true', 'n1 host-to-workload']);
  assert.deepEqual(told(from, host1), ['false', 'n1 endpoint-to-host']);
  assert.deepEqual(told(host1, to), ['true', 'n1 normal egress allow', 'n2 forward ingress allow']);
});

test('with staged policies in force: told only where one would change what is asked', () => {
  const tier = { ...resolvedTier('t', 'deny', ['p']), pending: { ingress: ['s' as KeyPath], egress: [] } };
  const allow = resolvedPolicy('t', [resolvedRule('allow')]);
  const state = stateOf({
    profiles: { open },
    policies: { p: allow, s: { ...allow, kind: 'StagedNetworkPolicy', ingress: [resolvedRule('deny')] } },
    endpoints: {
      x: resolvedEndpoint('ns/x', ['10.0.0.1'], { profiles: ['open'] }),
      y: resolvedEndpoint('ns/y', ['10.0.0.2'], { profiles: ['open'], tiers: [tier] }),
    },
  });
  const [x, y] = ['x', 'y'].map((id) => ({ kind: 'endpoint', state, id }) as Party);
  assert.ok(x && y);
  const { allowed, pending } = explain(x, y, http);
  assert.deepEqual([allowed, pending?.allowed], [true, false]);
  assert.ok(pending);
  assert.deepEqual(decidersOf(pending), [
    {
      verdict: 'deny',
      endpoint: 'y',
      direction: 'ingress',
      by: { at: 'rule', tier: 't', policy: 's', rule: 0 },
    },
  ]);
  assert.equal(explain(y, x, http).pending, undefined);
});
