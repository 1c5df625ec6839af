// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resource } from '../model/types.ts';
import { withKeptNumbers } from './kept-numbers.ts';

const service = (spec: { readonly [field: string]: unknown }): Resource => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'a' },
  spec,
});
const kept = (
  written: { readonly [field: string]: unknown },
  before: { readonly [field: string]: unknown },
) => withKeptNumbers(service(written), service(before)).spec;
const had = { clusterIP: '10.96.1.0', clusterIPs: ['10.96.1.0'] };

test('addresses stay where the manifest has none, and give way to those that it has', () => {
  assert.deepEqual(kept({}, had), had);
  assert.deepEqual(kept({ clusterIP: '10.96.1.0' }, had), had);
  assert.deepEqual(kept({ clusterIP: '10.96.0.9' }, had), { clusterIP: '10.96.0.9' });
  assert.deepEqual(kept({ clusterIP: 'None' }, had), { clusterIP: 'None' });
  assert.deepEqual(kept({ type: 'ExternalName' }, had), { type: 'ExternalName' });
  assert.deepEqual(kept({}, {}), {});
});

test('node ports stay by the name of their port, as long as type has them and no other port takes them', () => {
  const before = {
    type: 'NodePort',
    ports: [
      { port: 80, nodePort: 30086 },
      { name: 'b', port: 81, nodePort: 30087 },
    ],
  };
  const ports = (...list: object[]) =>
    (kept({ type: 'LoadBalancer', ports: list }, before) as { ports: object[] }).ports;
  assert.deepEqual(ports({ port: 8080 }), [{ port: 8080, nodePort: 30086 }]);
  assert.deepEqual(ports({ name: 'b', port: 81 }, { name: 'c', port: 82, nodePort: 30087 }), [
    { name: 'b', port: 81 },
    { name: 'c', port: 82, nodePort: 30087 },
  ]);
  assert.deepEqual(ports({ name: 'new', port: 1 }), [{ name: 'new', port: 1 }]);
  assert.deepEqual(kept({ type: 'ClusterIP', ports: [{ port: 80 }] }, before), {
    type: 'ClusterIP',
    ports: [{ port: 80 }],
  });
});

test('the health check port stays while the service has one', () => {
  const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
  assert.deepEqual(kept(local, { ...local, healthCheckNodePort: 30090 }), {
    ...local,
    healthCheckNodePort: 30090,
  });
  assert.deepEqual(kept({ type: 'ClusterIP' }, { ...local, healthCheckNodePort: 30090 }), {
    type: 'ClusterIP',
  });
});
