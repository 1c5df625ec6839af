// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberAt } from '../model/json.ts';
import type { Resource } from '../model/types.ts';
import { allocated, Taken } from './allocation.ts';

const service = (spec: { readonly [field: string]: unknown }): Resource => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'default' },
  spec,
});
const spec = (given: Resource | string | null) =>
  given === null || typeof given === 'string' ? given : given.spec;
const ports = [{ port: 80 }];

test('a service gets the next free address of IPv4, above the part for those who choose', () => {
  const taken = new Taken([service({ clusterIP: '10.96.1.0' }), service({ clusterIP: 'None' })]);
  const first = allocated(service({ ports }), taken);
  assert.deepEqual(spec(first), { ports, clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'] });
  assert.deepEqual(spec(allocated(service({ ports }), taken)), {
    ports,
    clusterIP: '10.96.1.2',
    clusterIPs: ['10.96.1.2'],
  });
  assert.equal(allocated(first as Resource, taken), null);
});

test('families as asked for: one, the other, both in either order, the second to a first that is there', () => {
  const ips = (fields: { readonly [field: string]: unknown }) => {
    const given = allocated(service(fields), new Taken([]));
    return (spec(given) as { clusterIPs?: string[] } | null)?.clusterIPs ?? given;
  };
  assert.deepEqual(ips({ ipFamilies: ['IPv6'] }), ['fd96::100']);
  assert.deepEqual(ips({ ipFamilyPolicy: 'PreferDualStack' }), ['10.96.1.0', 'fd96::100']);
  assert.deepEqual(ips({ ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6', 'IPv4'] }), [
    'fd96::100',
    '10.96.1.0',
  ]);
  assert.deepEqual(ips({ ipFamilyPolicy: 'RequireDualStack', clusterIP: 'fd96::5' }), [
    'fd96::5',
    '10.96.1.0',
  ]);
  assert.equal(ips({ clusterIP: '10.96.0.10' }), null);
  assert.equal(ips({ clusterIP: 'None' }), null);
  assert.equal(ips({ type: 'ExternalName' }), null);
});

test('node ports where the type has them, also for a load balancer unless it wants none', () => {
  const clusterIP = '10.96.0.1';
  const nodePorts = (fields: { readonly [field: string]: unknown }) => {
    const given = spec(
      allocated(service({ clusterIP, ...fields }), new Taken([service({ ports: [{ nodePort: 30086 }] })])),
    );
    return (given as { ports?: { nodePort?: number }[] } | null)?.ports?.map(({ nodePort }) => nodePort);
  };
  assert.deepEqual(
    nodePorts({ type: 'NodePort', ports: [{ port: 80 }, { port: 81, nodePort: 30001 }, { port: 82 }] }),
    [30087, 30001, 30088],
  );
  assert.deepEqual(nodePorts({ type: 'LoadBalancer', ports }), [30087]);
  assert.equal(nodePorts({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports }), undefined);
  assert.equal(nodePorts({ ports }), undefined);
});

test('a health check port for load balancers with policy Local', () => {
  const wanting = {
    type: 'LoadBalancer',
    clusterIP: '10.96.0.1',
    externalTrafficPolicy: 'Local',
    ports: [{ port: 80, nodePort: 30086 }],
  };
  const given = allocated(service(wanting), new Taken([service(wanting)]));
  assert.deepEqual(spec(given), { ...wanting, healthCheckNodePort: 30087 });
  assert.equal(allocated(given as Resource, new Taken([])), null);
});

test('when nothing is left it is said, after the part for those who choose was used too', () => {
  const taken = new Taken([]);
  const given = Array.from({ length: 65_534 }, () =>
    String(memberAt(allocated(service({}), taken), 'spec', 'clusterIP')),
  );
  assert.deepEqual([new Set(given).size, given.at(-1)], [65_534, '10.96.0.255']);
  assert.equal(allocated(service({}), taken), 'no free address in 10.96.0.0/16');
  for (let i = 0; i < 2768; i++) allocated(service({ type: 'NodePort', clusterIP: 'fd96::1', ports }), taken);
  assert.match(
    String(allocated(service({ type: 'NodePort', clusterIP: 'fd96::1', ports }), taken)),
    /no free node port/,
  );
});
