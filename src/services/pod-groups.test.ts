// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesNode, ServiceRig, service, slice } from '../../test/support/services.ts';
import type { Resource } from '../model/types.ts';

interface PodShort {
  readonly node?: string;
  readonly labels?: { readonly [key: string]: string };
  readonly phase?: string;
  readonly ready?: string;
  readonly ips?: readonly string[];
  readonly ports?: readonly { readonly [field: string]: unknown }[];
  readonly deleted?: boolean;
}

function pod(name: string, short: PodShort = {}): Resource {
  const {
    node = 'here',
    labels = { app: 'web' },
    phase = 'Running',
    ready,
    ips = ['10.65.0.1'],
    ports = [],
  } = short;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: 'shop',
      name,
      labels,
      ...(short.deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { nodeName: node, containers: [{ name: 'main', ports }] },
    status: {
      phase,
      podIPs: ips.map((ip) => ({ ip })),
      ...(ready === undefined ? {} : { conditions: [{ type: 'Ready', status: ready }] }),
    },
  };
}

const web = 'shop/web';
const selecting = { selector: { app: 'web' } };
const inside = (rig: ServiceRig, at = 0) =>
  rig.frontends(web)[at]?.inside.map(({ address, port, local }) => `${address}:${port}${local ? '*' : ''}`);

test('a service with a selector and no slice at all is answered by the running Pods that it selects', () => {
  const other = pod('other', { ips: ['10.65.0.9'], labels: { app: 'db' } });
  const rig = new ServiceRig([
    service(web, selecting),
    pod('a'),
    pod('b', { node: 'there', ips: ['10.65.0.2'] }),
    other,
  ]);
  assert.deepEqual(inside(rig), ['10.65.0.1:80*', '10.65.0.2:80']);
  rig.put(pod('b', { labels: { app: 'db' } }));
  assert.deepEqual(inside(rig), ['10.65.0.1:80*']);
  rig.remove(pod('a'));
  assert.deepEqual(inside(rig), []);
});

test('without selector, or with any slice, Pods do not count', () => {
  assert.deepEqual(inside(new ServiceRig([service(web), pod('a')])), []);
  const empty = slice('a', { of: web }, {});
  const rig = new ServiceRig([service(web, selecting), pod('a'), empty]);
  assert.deepEqual(inside(rig), []);
  rig.remove(empty);
  assert.deepEqual(inside(rig), ['10.65.0.1:80*']);
  rig.put({ ...empty, addressType: 'IPX' });
  assert.deepEqual(inside(rig), [], 'a slice that cannot be read is one');
});

test('a Pod is ready when it runs and no condition says otherwise', () => {
  const ready = (short: PodShort) =>
    inside(new ServiceRig([service(web, selecting), pod('a', short)]))?.length === 1;
  assert.ok(ready({}));
  assert.ok(ready({ ready: 'True' }));
  assert.ok(!ready({ ready: 'False' }));
  assert.ok(!ready({ phase: 'Pending' }));
  assert.ok(!ready({ phase: 'Succeeded' }));
  assert.ok(!ready({ ips: [] }));
});

test('publishNotReadyAddresses: Pods count before they are ready', () => {
  const early = service(web, { ...selecting, publishNotReadyAddresses: true });
  assert.deepEqual(inside(new ServiceRig([early, pod('a', { phase: 'Pending' })])), ['10.65.0.1:80*']);
  assert.deepEqual(inside(new ServiceRig([early, pod('a', { ready: 'False', deleted: true })])), [
    '10.65.0.1:80*',
  ]);
});

test('a Pod that is being deleted counts where no other is ready', () => {
  const ending = pod('a', { deleted: true });
  assert.deepEqual(inside(new ServiceRig([service(web, selecting), ending])), ['10.65.0.1:80*']);
  const rig = new ServiceRig([service(web, selecting), ending, pod('b', { ips: ['10.65.0.2'] })]);
  assert.deepEqual(inside(rig), ['10.65.0.2:80*']);
});

test("a target port by name is each Pod's own number", () => {
  const ports = [
    { port: 80, targetPort: 'http' },
    { port: 53, name: 'dns', protocol: 'UDP', targetPort: 5353 },
  ];
  const rig = new ServiceRig([
    service(web, { ...selecting, ports }),
    pod('a', { ports: [{ name: 'http', containerPort: 8080 }] }),
    pod('b', { ips: ['10.65.0.2'], ports: [{ name: 'http', containerPort: 8081 }] }),
    pod('c', { ips: ['10.65.0.3'], ports: [{ name: 'http', containerPort: 8082, protocol: 'UDP' }] }),
  ]);
  assert.deepEqual(inside(rig), ['10.65.0.1:8080*', '10.65.0.2:8081*']);
  assert.deepEqual(inside(rig, 1), ['10.65.0.1:5353*', '10.65.0.2:5353*', '10.65.0.3:5353*']);
});

test('an address of each family, the first of each', () => {
  const ips = ['10.65.0.1', 'fd65::1', '10.65.0.7'];
  const rig = new ServiceRig([
    service(web, { ...selecting, clusterIPs: ['10.96.0.1', 'fd96::1'] }),
    pod('a', { ips }),
  ]);
  assert.deepEqual([inside(rig), inside(rig, 1)], [['10.65.0.1:80*'], ['fd65::1:80*']]);
});

test('trafficDistribution: the zone, by both its names, or the node first', () => {
  const near = (trafficDistribution: string) =>
    inside(
      new ServiceRig([
        service(web, { ...selecting, trafficDistribution }),
        pod('a', { node: 'here' }),
        pod('b', { node: 'near', ips: ['10.65.0.2'] }),
        pod('c', { node: 'far', ips: ['10.65.0.3'] }),
        ...[
          ['here', 'west'],
          ['near', 'west'],
          ['far', 'east'],
        ].map(([node = '', zone = '']) => kubernetesNode(node, zone)),
      ]),
    )?.length;
  assert.deepEqual(['PreferClose', 'PreferSameZone', 'PreferSameNode', ''].map(near), [2, 2, 1, 3]);
});
