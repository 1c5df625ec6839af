// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowed, gnp, type Json, np, type Sent } from '../../../test/support/oracle-cluster.ts';
import type { Resource } from '../types.ts';

function slice(
  path: string,
  service: string,
  addresses: readonly string[],
  ports: readonly Json[],
): Resource {
  const [namespace = '', name = ''] = path.split('/');
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: addresses.map((address, i) => ({ addresses: [address], conditions: { ready: i === 0 } })),
    ports,
  };
}

const tcp80 = { name: 'http', protocol: 'TCP', port: 80 };
const slices = [
  slice('red/web-1', 'web', ['192.0.2.1', '192.0.2.2'], [tcp80]),
  slice('red/web-2', 'web', ['192.0.2.3'], [{ port: 8080 }, { protocol: 'UDP', port: 53 }]),
  slice('red/other-1', 'other', ['192.0.2.4'], [tcp80]),
  slice('blue/web-1', 'web', ['192.0.2.5'], [tcp80]),
];
const outside = [1, 2, 3, 4, 5].map((n) => `192.0.2.${n}`);
const services = (name: string, namespace?: string): Json => ({
  services: namespace ? { name, namespace } : { name },
});

function reached(services: Json, sent: Sent = {}, extra: readonly Resource[] = slices, head: Json = {}) {
  const rule = { action: 'Allow', destination: services, ...head };
  const policy = np('red', 'p', { selector: "app == 'a'", egress: [rule] });
  return outside.filter((to) => allowed([...extra, policy], 'a', to, sent));
}

test('oracle: 2.9.5 services: as destination its endpoints’ addresses on their own ports, ready or not', () => {
  assert.deepEqual(reached(services('web')), ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(reached(services('web'), { port: 8080 }), ['192.0.2.3'], 'a slice’s ports are its own');
  assert.deepEqual(reached(services('web'), { protocol: 17, port: 53 }), ['192.0.2.3']);
  assert.deepEqual(reached(services('web'), { protocol: 17 }), []);
  assert.deepEqual(reached(services('web'), { icmp: [8, 0] }), []);
  assert.deepEqual(reached(services('web'), {}, slices, { protocol: 'UDP' }), [], 'beside the protocol');
});

test('oracle: 2.9.5 services: by namespace, the policy’s own where none is written; no other service’s slices', () => {
  assert.deepEqual(reached(services('web', 'blue')), ['192.0.2.5']);
  assert.deepEqual(reached(services('other')), ['192.0.2.4']);
  assert.deepEqual(reached(services('none')), []);
  const global = gnp('p', {
    selector: "app == 'a'",
    egress: [{ action: 'Allow', destination: services('web', 'red') }],
  });
  const open = outside.filter((to) => allowed([...slices, global], 'a', to));
  assert.deepEqual(open, ['192.0.2.1', '192.0.2.2']);
});

test('oracle: 2.9.5 services: as source its addresses, whatever the port', () => {
  const from = (source: Json, sent: Sent = {}) => {
    const policy = np('red', 'p', { selector: "app == 'b'", ingress: [{ action: 'Allow', source }] });
    return outside.filter((sender) => allowed([...slices, policy], sender, 'b', sent));
  };
  assert.deepEqual(from(services('web')), ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  assert.deepEqual(from(services('web'), { icmp: [8, 0] }), ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  assert.deepEqual(from({ ...services('web'), ports: ['1:100'] }), []);
});

test('oracle: 2.9.5 services: a port without number and an address that is none open nothing', () => {
  const odd = [slice('red/odd', 'odd', ['192.0.2.1', 'db.example.org'], [{ name: 'any', port: null }])];
  assert.deepEqual(reached(services('odd'), {}, odd), []);
  const unnamed = {
    ...slice('red/x', 'web', ['192.0.2.1'], [tcp80]),
    metadata: { name: 'x', namespace: 'red' },
  };
  assert.deepEqual(reached(services('web'), {}, [unnamed]), []);
});

test('oracle: 2.9.5 services: for both families', () => {
  const six = slice('red/web-6', 'web', ['2001:DB8:0::1'], [tcp80]);
  const policy = np('red', 'p', {
    selector: "app == 'a'",
    egress: [{ action: 'Allow', destination: services('web') }],
  });
  const open = ['2001:db8::1', '2001:db8::2'].filter((to) => allowed([six, policy], 'fd00::1', to));
  assert.deepEqual(open, ['2001:db8::1']);
});
