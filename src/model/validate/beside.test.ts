// SPDX-License-Identifier: Apache-2.0
/** The checks that no schema carries: between fields, against names, of what Kubernetes' own kinds hold for us. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberAt } from '../json.ts';
import { validateResource } from './resource.ts';

type Loose = { [key: string]: unknown };

function v3(kind: string, spec: Loose, name = 'x', labels: Loose = {}): Loose {
  return { apiVersion: 'projectcalico.org/v3', kind, metadata: { name, labels }, spec };
}

function check(table: readonly [string, Loose, readonly string[]][]): void {
  for (const [name, value, paths] of table) {
    const { faults } = validateResource(value);
    assert.deepEqual(
      faults.map((fault) => fault.path),
      paths,
      `${name}: ${JSON.stringify(faults)}`,
    );
    for (const { message } of faults) assert.match(message, /got .*want |has no namespace/s);
  }
}

const profile = (rule: Loose) => v3('Profile', { egress: [{ action: 'Allow', ...rule }] });
const staged = (kind: string, spec: Loose) => v3(kind, { stagedAction: 'Delete', ...spec });

test('rules are checked against the place that they stand in, in every kind that has them', () => {
  check([
    [
      'service of an egress source',
      profile({ source: { services: { name: 'a', namespace: 'b' } } }),
      ['spec.egress[0].source.services'],
    ],
    [
      'service without namespace',
      profile({ destination: { services: { name: 'a' } } }),
      ['spec.egress[0].destination.services.namespace'],
    ],
    ['http in egress', profile({ http: {} }), ['spec.egress[0].http']],
    [
      'ports without protocol',
      profile({ destination: { notPorts: [1] } }),
      ['spec.egress[0].destination.notPorts'],
    ],
    [
      'families',
      profile({ source: { nets: ['10.0.0.0/8', 'fd00::/8'] } }),
      ['spec.egress[0].source.nets[1]'],
    ],
    [
      'http path',
      v3('StagedNetworkPolicy', {
        ingress: [
          { action: 'Allow', http: { paths: [{ exact: 'a' }, { prefix: '/a?b' }, { prefix: '/a' }] } },
        ],
      }),
      ['spec.ingress[0].http.paths[0].exact', 'spec.ingress[0].http.paths[1].prefix'],
    ],
  ]);
});

test('what is staged for deletion says nothing else', () => {
  check([
    ['bare', staged('StagedNetworkPolicy', { tier: 'a', ingress: [], selector: '' }), []],
    ['order', staged('StagedNetworkPolicy', { order: 0 }), ['spec.order']],
    [
      'rules',
      staged('StagedGlobalNetworkPolicy', { ingress: [{ action: 'Deny' }], doNotTrack: false }),
      ['spec.ingress'],
    ],
    ['empty selector', staged('StagedKubernetesNetworkPolicy', { podSelector: {} }), []],
    [
      'selector',
      staged('StagedKubernetesNetworkPolicy', { podSelector: { matchLabels: { a: 'b' } } }),
      ['spec.podSelector'],
    ],
    ['set', v3('StagedNetworkPolicy', { order: 1, stagedAction: 'Set' }), []],
  ]);
});

test('names and labels that mean something else are refused', () => {
  check([
    ['one of a kind', v3('IPAMConfiguration', {}, 'mine'), ['metadata.name']],
    ['one of a kind', v3('ClusterInformation', {}, 'mine'), ['metadata.name']],
    ['one of a kind', v3('KubeControllersConfiguration', { controllers: {} }, 'mine'), ['metadata.name']],
    [
      'tier label',
      v3('StagedNetworkPolicy', {}, 'x', { 'projectcalico.org/tier': 'y' }),
      ['metadata.labels.projectcalico.org/tier'],
    ],
    [
      'namespace',
      { ...v3('HostEndpoint', { node: 'n', interfaceName: '*' }), metadata: { name: 'x', namespace: 'y' } },
      ['metadata.namespace'],
    ],
    ['node settings', v3('FelixConfiguration', { vxlanMTU: 1400 }, 'node.a.b'), []],
  ]);
});

test('settings are checked between their fields', () => {
  const nat = (internalIP: string) => ({ internalIP, externalIP: '198.51.100.1' });
  const templates = [
    { generateName: 'a', interfacePattern: 'e' },
    { generateName: 'a', interfacePattern: 'f' },
  ];
  check([
    ['strict', v3('IPAMConfiguration', { maxBlocksPerHost: 2 }, 'default'), ['spec.maxBlocksPerHost']],
    ['strict', v3('IPAMConfiguration', { maxBlocksPerHost: 2, strictAffinity: true }, 'default'), []],
    [
      'community',
      v3(
        'BGPConfiguration',
        { prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities: ['1:2', 'b'] }] },
        'default',
      ),
      ['spec.prefixAdvertisements[0].communities[1]'],
    ],
    ['gateway', v3('BGPPeer', { peerIP: '[fd00::1]:179', reachableBy: '192.0.2.1' }), ['spec.reachableBy']],
    ['gateway', v3('BGPPeer', { peerIP: '192.0.2.9:179', reachableBy: '192.0.2.1' }), []],
    ['tables', v3('FelixConfiguration', { routeTableRanges: [{ min: 1, max: 65535 }] }), []],
    [
      'tables',
      v3('FelixConfiguration', {
        routeTableRanges: [
          { min: 1, max: 65535 },
          { min: 9, max: 9 },
        ],
      }),
      ['spec.routeTableRanges'],
    ],
    ['exclude', v3('FelixConfiguration', { interfaceExclude: 'kube-ipvs0,/^veth/' }), []],
    ['exclude', v3('FelixConfiguration', { interfaceExclude: 'a,/(/' }), ['spec.interfaceExclude']],
    [
      'templates',
      v3(
        'KubeControllersConfiguration',
        { controllers: { node: { hostEndpoint: { templates } } } },
        'default',
      ),
      ['spec.controllers.node.hostEndpoint.templates[1].generateName'],
    ],
    ['network', v3('WorkloadEndpoint', { ipNetworks: ['10.0.0.0/24'] }), ['spec.ipNetworks[0]']],
    [
      'NAT',
      v3('WorkloadEndpoint', { ipNetworks: ['10.0.0.1'], ipNATs: [nat('10.0.0.1'), nat('10.0.0.2')] }),
      ['spec.ipNATs[1].internalIP'],
    ],
  ]);
});

test('services and slices are read openly, and what is read is checked', () => {
  const service = (spec: Loose, name = 's') => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec,
  });
  const slice = (more: Loose) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's-abc', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    endpoints: [],
    ...more,
  });
  check([
    [
      'service',
      service({
        clusterIP: 'None',
        clusterIPs: ['10.0.0.1', 'fd00::1'],
        selector: { a: 'b' },
        ports: [{ name: 'http', port: 80, targetPort: 'http', appProtocol: 'x' }],
        anything: { else: [1] },
      }),
      [],
    ],
    ['address', service({ clusterIP: '10.0.0' }), ['spec.clusterIP']],
    [
      'port',
      service({ ports: [{ port: 0 }, { targetPort: 70000 }] }),
      ['spec.ports[0].port', 'spec.ports[1].targetPort', 'spec.ports[1].port'],
    ],
    ['name', service({}, 'a.b'), ['metadata.name']],
    ['type', service({ type: 'Nodeport' }), ['spec.type']],
    ['slice', slice({ endpoints: [{ addresses: ['10.0.0.1'], zone: 'z' }], ports: [{ port: 80 }, {}] }), []],
    ['family', slice({ endpoints: [{ addresses: ['fd00::1'] }] }), ['endpoints[0].addresses[0]']],
    ['names', slice({ addressType: 'FQDN', endpoints: [{ addresses: ['a.example'] }] }), []],
    ['nothing', slice({ addressType: null, endpoints: null }), ['addressType', 'endpoints']],
    [
      'ready',
      slice({ endpoints: [{ addresses: [], conditions: { ready: 'yes' } }] }),
      ['endpoints[0].conditions.ready'],
    ],
  ]);
});

test('defaults of a schema are filled in where its object is written, and again change nothing', () => {
  const table: [Loose, Loose][] = [
    [
      v3('IPAMConfiguration', {}, 'default'),
      { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 },
    ],
    [
      v3('BGPConfiguration', {}, 'default'),
      { logSeverityScreen: 'Info', serviceLoadBalancerAggregation: 'Enabled' },
    ],
    [
      v3('BlockAffinity', { node: 'n', cidr: '10.0.0.0/26', state: '' }),
      { node: 'n', cidr: '10.0.0.0/26', state: '', deleted: false },
    ],
    [
      v3(
        'KubeControllersConfiguration',
        { controllers: { loadBalancer: {}, policyMigration: {} } },
        'default',
      ),
      {
        healthChecks: 'Enabled',
        controllers: { loadBalancer: { assignIPs: 'AllServices' }, policyMigration: { enabled: 'Enabled' } },
      },
    ],
    [v3('FelixConfiguration', {}), {}],
    [v3('StagedNetworkPolicy', {}), { stagedAction: 'Set', tier: 'default', types: ['Ingress'] }],
    [
      v3('StagedGlobalNetworkPolicy', { stagedAction: 'Delete' }),
      { stagedAction: 'Delete', tier: 'default' },
    ],
    [v3('StagedKubernetesNetworkPolicy', {}), { stagedAction: 'Set', policyTypes: ['Ingress'] }],
    [
      v3('StagedKubernetesNetworkPolicy', { egress: [{}] }),
      { stagedAction: 'Set', egress: [{}], policyTypes: ['Ingress', 'Egress'] },
    ],
    [v3('StagedKubernetesNetworkPolicy', { stagedAction: 'Delete' }), { stagedAction: 'Delete' }],
    [
      v3('IPPool', { cidr: '10.0.0.0/16', blockSize: 0 }),
      {
        cidr: '10.0.0.0/16',
        blockSize: 26,
        ipipMode: 'Never',
        vxlanMode: 'Never',
        nodeSelector: 'all()',
        allowedUses: ['Workload', 'Tunnel'],
        assignmentMode: 'Automatic',
      },
    ],
  ];
  for (const [value, spec] of table) {
    const { resource, faults } = validateResource(value);
    assert.deepEqual(faults, []);
    assert.deepEqual(resource?.spec, spec);
    assert.deepEqual(validateResource(resource).resource, resource);
  }
});

// Calico's library goes by the number of rules, its admission policy by the presence of the field: with kubectl on native
// CRDs the first of these governs egress too, and denies it.
test('an empty list of egress rules does not govern egress', () => {
  const types = (spec: Loose) =>
    memberAt(validateResource(v3('GlobalNetworkPolicy', spec)).resource, 'spec', 'types');
  assert.deepEqual(types({ ingress: [{ action: 'Allow' }], egress: [] }), ['Ingress']);
  assert.deepEqual(types({ ingress: [{ action: 'Allow' }], egress: [], types: ['Ingress', 'Egress'] }), [
    'Ingress',
    'Egress',
  ]);
});
