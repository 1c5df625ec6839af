// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError } from '../../lib/errors.ts';
import { kinds } from '../../model/kinds.ts';
import type { ResourceKey, ResourceKind } from '../../model/types.ts';
import { isIpamKind } from './ipam-layout.ts';
import { keyAt, pathsOf, rangesOf } from './layout.ts';

const places: readonly (readonly [string, ResourceKind, string | null, string])[] = [
  ['/calico/resources/v3/projectcalico.org/networkpolicies/ns1/web', 'NetworkPolicy', 'ns1', 'web'],
  [
    '/calico/resources/v3/projectcalico.org/networkpolicies/ns1/default.web',
    'NetworkPolicy',
    'ns1',
    'default.web',
  ],
  [
    '/calico/resources/v3/projectcalico.org/globalnetworkpolicies/security.a',
    'GlobalNetworkPolicy',
    null,
    'security.a',
  ],
  ['/calico/resources/v3/projectcalico.org/nodes/node1', 'CalicoNode', null, 'node1'],
  [
    '/calico/resources/v3/projectcalico.org/workloadendpoints/ns1/node1-k8s-a-eth0',
    'CalicoWorkloadEndpoint',
    'ns1',
    'node1-k8s-a-eth0',
  ],
  ['/calico/resources/v3/projectcalico.org/bgpfilters/f', 'BGPFilter', null, 'f'],
  ['/calico/resources/v3/kubernetes.io/pods/ns1/a', 'Pod', 'ns1', 'a'],
  ['/calico/resources/v3/kubernetes.io/nodes/node1', 'Node', null, 'node1'],
  ['/calico/resources/v3/networking.k8s.io/networkpolicies/ns1/web', 'KubernetesNetworkPolicy', 'ns1', 'web'],
  ['/calico/resources/v3/discovery.k8s.io/endpointslices/ns1/web-1', 'EndpointSlice', 'ns1', 'web-1'],
  ['/calico/ipam/v2/config', 'IPAMConfiguration', null, 'default'],
  ['/calico/ipam/v2/assignment/ipv4/block/10.65.0.0-26', 'IPAMBlock', null, '10-65-0-0-26'],
  [
    '/calico/ipam/v2/assignment/ipv6/block/fd80:24e2:f998:72d6::-122',
    'IPAMBlock',
    null,
    'fd80-24e2-f998-72d6---122',
  ],
  ['/calico/ipam/v2/handle/k8s-pod-network.1A2b', 'IPAMHandle', null, 'k8s-pod-network.1A2b'],
  ['/calico/ipam/v2/host/node-1/ipv4/block/10.65.0.0-26', 'BlockAffinity', null, 'node-1-10-65-0-0-26'],
  ['/calico/ipam/v2/host/node-a/ipv6/block/fd00::-122', 'BlockAffinity', null, 'node-a-fd00---122'],
  [
    '/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.1.0.0-26',
    'BlockAffinity',
    null,
    'load-balancer-10-1-0-0-26',
  ],
];

for (const [path, kind, namespace, name] of places) {
  test(`${path} is ${kind} ${name}`, () => {
    const key: ResourceKey = { kind, name, ...(namespace === null ? {} : { namespace }) };
    assert.deepEqual(keyAt(path), key);
    assert.ok(pathsOf(key).includes(path), pathsOf(key).join());
    const inRange = rangesOf(kind).some(({ start, end }) => path === start || (path > start && path < end));
    assert.ok(inRange);
  });
}

test('every kind has a place of its own, and is found at it', () => {
  for (const { kind, namespaced } of kinds.filter((row) => !isIpamKind(row.kind))) {
    const key: ResourceKey = { kind, name: 'n', ...(namespaced ? { namespace: 'a' } : {}) };
    assert.deepEqual(pathsOf(key).map(keyAt), [key]);
  }
});

const foreign = [
  '/calico/v1/config/LogSeverity',
  '/calico/felix/v2/no-region/host/node1/status',
  '/calico/resources/v3/projectcalico.org/tiers',
  '/calico/resources/v3/projectcalico.org/tiers/',
  '/calico/resources/v3/projectcalico.org/tiers/a/b',
  '/calico/resources/v3/projectcalico.org/networkpolicies/a',
  '/calico/resources/v3/projectcalico.org/networkpolicies//a',
  '/calico/resources/v3/projectcalico.org/ipamblocks/10-65-0-0-26',
  '/calico/resources/v3/projectcalico.org/unheardof/a',
  '/calico/resources/v3/kubernetes.io/tiers/a',
  '/calico/ipam/v2/assignment/ipv6/block/10.65.0.0-26',
  '/calico/ipam/v2/assignment/ipv4/block/10.65.0.1-26',
  '/calico/ipam/v2/assignment/ipv4/block/10.65.0.0',
  '/calico/ipam/v2/assignment/ipv4/block/-',
  '/calico/ipam/v2/handle/a/b',
  '/calico/ipam/v2/host/node1',
  `/calico/ipam/v2/host/${'n'.repeat(250)}/ipv4/block/10.65.0.0-26`,
];

for (const path of foreign) {
  test(`${path.slice(0, 80)} is nothing of ours`, () => assert.equal(keyAt(path), null));
}

test('a name that does not say whose block it is means each place that it may mean', () => {
  const paths = pathsOf({ kind: 'BlockAffinity', name: 'node-a-fd00---122' });
  assert.deepEqual(paths.filter((path) => path.includes('/host/')).toSorted(), [
    '/calico/ipam/v2/host/node-a/ipv6/block/fd00::-122',
    '/calico/ipam/v2/host/node/ipv6/block/a:fd00::-122',
  ]);
});

const unplaced: readonly ResourceKey[] = [
  { kind: 'Tier', name: '' },
  { kind: 'Tier', name: 'a/b' },
  { kind: 'NetworkPolicy', namespace: '', name: 'a' },
  { kind: 'IPAMConfiguration', name: 'mine' },
  { kind: 'IPAMBlock', name: 'mine' },
  { kind: 'IPAMBlock', name: '10-65-0-1-26' },
  { kind: 'IPAMHandle', name: '' },
  { kind: 'BlockAffinity', name: '10-65-0-0-26' },
];

for (const key of unplaced) {
  test(`${key.kind} ${JSON.stringify(key.name)} has no place`, () => {
    assert.throws(() => pathsOf(key), InvalidError);
  });
}
