// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KindRow, kinds, rowOfManifest, rowOfName } from './kinds.ts';
import type { Resource } from './types.ts';

/** Kind: its names beside plural and singular; the columns of a list; those of a wide one beside them. */
const table: { readonly [kind: string]: readonly [string, string, string] } = {
  Namespace: ['ns', 'STATUS', 'LABELS'],
  ServiceAccount: ['sa', '', 'LABELS'],
  Pod: ['po', 'STATUS IP NODE', 'LABELS'],
  Node: ['no nos', 'ADDRESSES', 'LABELS'],
  Service: ['svc', 'TYPE CLUSTER-IP EXTERNAL-IP PORT(S)', 'SELECTOR'],
  EndpointSlice: ['endpointslices.discovery.k8s.io', 'ADDRESSTYPE PORTS ENDPOINTS', ''],
  KubernetesNetworkPolicy: ['netpol knp networkpolicies.networking.k8s.io', 'POD-SELECTOR', 'TYPES'],
  ClusterNetworkPolicy: ['kcnp clusternetworkpolicies.policy.networking.k8s.io', 'TIER PRIORITY', ''],
  NetworkPolicy: ['np cnp caliconetworkpolicy policy pol', 'TIER ORDER', 'SELECTOR TYPES'],
  GlobalNetworkPolicy: ['gnp gnps cgnp', 'TIER ORDER', 'SELECTOR TYPES'],
  StagedNetworkPolicy: ['snp scnp', 'TIER ORDER', 'SELECTOR TYPES ACTION'],
  StagedGlobalNetworkPolicy: ['sgnp', 'TIER ORDER', 'SELECTOR TYPES ACTION'],
  StagedKubernetesNetworkPolicy: ['sknp skpol', 'POD-SELECTOR', 'ACTION'],
  Tier: ['tiers.projectcalico.org', 'ORDER DEFAULTACTION', ''],
  NetworkSet: ['netset netsets', '', 'NETS'],
  GlobalNetworkSet: ['gns', '', 'NETS'],
  HostEndpoint: ['hep heps', 'NODE INTERFACE', 'IPS PROFILES'],
  Profile: ['pro pros', '', 'LABELSTOAPPLY'],
  FelixConfiguration: ['felixconfig felixconfigs', '', 'SELECTOR'],
  IPPool: ['ipp pool pools', 'CIDR SELECTOR', 'NAT IPIPMODE VXLANMODE DISABLED DISABLEBGPEXPORT'],
  IPReservation: ['reservation', '', 'CIDRS'],
  IPAMConfiguration: ['ipamconfig ipamconfigs', 'STRICTAFFINITY AUTOALLOCATEBLOCKS', 'MAXBLOCKSPERHOST'],
  IPAMBlock: ['ipamblocks.projectcalico.org', 'CIDR AFFINITY', ''],
  IPAMHandle: ['ipamhandles.projectcalico.org', 'ID', ''],
  BlockAffinity: ['affinity affinities', 'CIDR NODE TYPE', 'STATE'],
  BGPConfiguration: ['bgpconfig bgpconfigs', 'LOGSEVERITY MESHENABLED ASNUMBER', ''],
  BGPPeer: ['bgpp bgpps bp', 'PEERIP NODE ASN', 'PEERSELECTOR'],
  BGPFilter: ['bgpf bf', 'EXPORTV4 IMPORTV4 EXPORTV6 IMPORTV6', ''],
  CalicoNodeStatus: ['nodestatus nodestatuses', 'NODE', 'CLASSES'],
  ClusterInformation: [
    'clusterinfo clusterinfos',
    'CLUSTERGUID CLUSTERTYPE CALICOVERSION DATASTOREREADY',
    '',
  ],
  KubeControllersConfiguration: ['kcc kccs kubecontrollersconfig', '', ''],
  CalicoWorkloadEndpoint: ['wep weps', 'WORKLOAD NODE NETWORKS INTERFACE', 'PROFILES NATS'],
  CalicoNode: ['nodes.projectcalico.org', '', 'ASN IPV4 IPV6'],
  LiveMigration: ['livemigrations.projectcalico.org', '', ''],
};

test('each kind has its names and its columns', () => {
  assert.deepEqual(kinds.map((row) => row.kind).sort(), Object.keys(table).sort());
  for (const row of kinds) {
    const [names = '', usual, wide] = table[row.kind] ?? [];
    for (const name of [row.plural, row.singular, ...names.split(' ')])
      assert.equal(rowOfName(name), row, name);
    const titles = (isWide: boolean) =>
      row.columns.filter((column) => (column.wide ?? false) === isWide).map((column) => column.title);
    assert.equal(titles(false).join(' '), usual, row.kind);
    assert.equal(titles(true).join(' '), wide, row.kind);
    assert.equal(rowOfManifest(row.apiVersion, row.writtenKind), row);
  }
});

function cells(kind: string, more: object, labels: object = {}): string[] {
  const row = rowOfName(kind) as KindRow;
  const resource = { ...more, metadata: { name: 'x', labels } } as unknown as Resource;
  return row.columns.map((column) => column.cell(resource));
}

test('cells say what kubectl and calicoctl say', () => {
  assert.deepEqual(cells('svc', { spec: {} }), ['ClusterIP', '<none>', '<none>', '<none>', '<none>']);
  assert.deepEqual(
    cells('svc', {
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.0.0.1',
        ports: [{ port: 80 }, { port: 53, nodePort: 30053, protocol: 'UDP' }],
        selector: { a: 'b', c: 'd' },
      },
    }),
    ['LoadBalancer', '10.0.0.1', '<pending>', '80/TCP,53:30053/UDP', 'a=b,c=d'],
  );
  assert.deepEqual(
    cells('svc', { status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } })[2],
    '192.0.2.1',
  );
  assert.deepEqual(
    cells('endpointslice', {
      addressType: 'IPv4',
      ports: [{ port: 80 }, {}],
      endpoints: [{ addresses: ['10.0.0.1'] }, { addresses: ['10.0.0.2'] }],
    }),
    ['IPv4', '80,*', '10.0.0.1,10.0.0.2'],
  );
  assert.deepEqual(cells('bgpp', { spec: { peerIP: '192.0.2.1' } }), ['192.0.2.1', '(global)', '0', '']);
  assert.deepEqual(cells('bgpp', { spec: { nodeSelector: 'has(a)', asNumber: 7 } }), ['', 'has(a)', '7', '']);
  assert.deepEqual(cells('bgpconfig', { spec: { nodeToNodeMeshEnabled: false } }), ['', 'false', '-']);
  assert.deepEqual(cells('ipp', { spec: { cidr: '10.0.0.0/8' } }), [
    '10.0.0.0/8',
    'false',
    'Never',
    'Never',
    'false',
    'false',
    '',
  ]);
  assert.deepEqual(cells('hep', { spec: { node: 'n', expectedIPs: ['192.0.2.1', '::1'] } }), [
    'n',
    '',
    '192.0.2.1,::1',
    '',
  ]);
  assert.deepEqual(cells('netset', { spec: { nets: Array(20).fill('10.0.0.0/8') } })[0]?.length, 80);
  assert.deepEqual(
    cells('wep', { spec: { pod: 'p', ipNATs: [{ internalIP: '10.0.0.1', externalIP: '192.0.2.1' }] } }),
    ['p', '', '', '', '', '192.0.2.1->10.0.0.1'],
  );
  assert.deepEqual(cells('caliconode', { spec: { bgp: { asNumber: '1.1', ipv4Address: '192.0.2.1/24' } } }), [
    '1.1',
    '192.0.2.1/24',
    '',
  ]);
});
