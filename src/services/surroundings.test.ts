// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesNode, ServiceRig } from '../../test/support/services.ts';
import type { Resource } from '../model/types.ts';

const calico = (kind: string, name: string, spec: { readonly [field: string]: unknown }): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name },
  spec,
});
const config = (resources: readonly Resource[], local = {}) => new ServiceRig(resources, local).told.config;
const felix = (spec: { readonly [field: string]: unknown }) => calico('FelixConfiguration', 'default', spec);

test('where nobody sets anything the configuration is what Felix has', () => {
  assert.deepEqual(config([]), {
    pools: [],
    nodesAreInside: false,
    nodeAddresses: [],
    externalServices: 'tunnel',
    dsrOptOut: [],
    connectTime: 'tcp',
    flowTimeouts: {
      tcpSynSent: 20,
      tcpEstablished: 3600,
      tcpFinsSeen: 120,
      tcpResetSeen: 40,
      udp: 60,
      icmp: 5,
      generic: 600,
    },
    natPorts: { first: 20_000, last: 29_999 },
  });
});

test('pools of workloads count, disabled ones too, those of load balancers alone do not', () => {
  const pools = [
    calico('IPPool', 'a', { cidr: '10.65.0.0/16', natOutgoing: true }),
    calico('IPPool', 'b', { cidr: '10.66.0.0/16', disabled: true }),
    calico('IPPool', 'c', { cidr: '198.51.100.0/24', allowedUses: ['LoadBalancer'] }),
    calico('IPPool', 'd', { cidr: 'nowhere' }),
  ];
  assert.deepEqual(config(pools)?.pools, [
    { cidr: '10.65.0.0/16', natOutgoing: true },
    { cidr: '10.66.0.0/16', natOutgoing: false },
  ]);
});

test('the addresses of all nodes, from both kinds of node and from what Calico writes to them', () => {
  const kube = kubernetesNode('here', 'west', ['172.30.0.1', 'fd30::1']);
  const annotated: Resource = {
    ...kubernetesNode('there', 'west'),
    metadata: { name: 'there', annotations: { 'projectcalico.org/IPv4Address': '172.30.0.2/24' } },
    status: {
      addresses: [
        { type: 'ExternalIP', address: '203.0.113.2' },
        { type: 'Hostname', address: 'there' },
      ],
    },
  };
  const own = calico('Node', 'bare', {
    bgp: { ipv4Address: '172.30.0.3/24', ipv6Address: 'fd30::3/64' },
    addresses: [{ address: '203.0.113.3' }],
  });
  assert.deepEqual(config([kube, annotated, own])?.nodeAddresses, [
    '172.30.0.1',
    '172.30.0.2',
    '172.30.0.3',
    '203.0.113.2',
    '203.0.113.3',
    'fd30::1',
    'fd30::3',
  ]);
});

test('settings are those of Felix, the strongest layer first', () => {
  const spec = {
    bpfExternalServiceMode: 'DSR',
    bpfDSROptoutCIDRs: ['192.0.2.0/24', '2001:db8::/32'],
    natOutgoingExclusions: 'IPPoolsAndHostIPs',
    bpfPSNATPorts: '30000:30100',
    bpfConntrackTimeouts: {
      tcpEstablished: '2h30m',
      udpTimeout: '1500ms',
      genericTimeout: 'Auto',
      icmpTimeout: '0s',
    },
  };
  const { flowTimeouts, ...read } = config([felix(spec)]) ?? assert.fail('nothing was said');
  assert.deepEqual(read, {
    pools: [],
    nodesAreInside: true,
    nodeAddresses: [],
    externalServices: 'dsr',
    dsrOptOut: ['192.0.2.0/24', '2001:db8::/32'],
    connectTime: 'tcp',
    natPorts: { first: 30_000, last: 30_100 },
  });
  assert.equal(flowTimeouts.tcpEstablished, 9000);
  assert.equal(flowTimeouts.udp, 2);
  assert.equal(flowTimeouts.generic, 600);
  assert.equal(flowTimeouts.icmp, 1);
  assert.equal(config([felix(spec)], { BPFExternalServiceMode: 'Tunnel' })?.externalServices, 'tunnel');
  assert.equal(config([felix({ bpfExternalServiceMode: 'Sideways' })])?.externalServices, 'tunnel');
  const selected = { nodeSelector: "topology.kubernetes.io/zone == 'west'", bpfExternalServiceMode: 'DSR' };
  const west = calico('FelixConfiguration', 'west', selected);
  assert.equal(config([west, kubernetesNode('here', 'west')])?.externalServices, 'dsr');
  assert.equal(config([west, kubernetesNode('here', 'east')])?.externalServices, 'tunnel');
});

test('connect-time balancing by its parameter, or by the older one where nobody sets that', () => {
  const mode = (spec: { readonly [field: string]: unknown }) => config([felix(spec)])?.connectTime;
  assert.equal(mode({ bpfConnectTimeLoadBalancing: 'Enabled' }), 'all');
  assert.equal(mode({ bpfConnectTimeLoadBalancing: 'Disabled' }), 'off');
  assert.equal(mode({ bpfConnectTimeLoadBalancingEnabled: true }), 'all');
  assert.equal(mode({ bpfConnectTimeLoadBalancingEnabled: false }), 'off');
  assert.equal(
    mode({ bpfConnectTimeLoadBalancing: 'TCP', bpfConnectTimeLoadBalancingEnabled: false }),
    'tcp',
  );
});
