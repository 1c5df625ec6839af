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
import type { KeyPath } from '../lib/brand.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import { explain, type Party } from './explain.ts';

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
