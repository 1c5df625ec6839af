// SPDX-License-Identifier: Apache-2.0
/**
 * Every kind of resource comes, changes, goes and comes again in a cluster where it matters, by every expansion: what the
 * node then holds is what a node that starts now is sent. Kinds that the graph does not read change nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expansions } from '../../test/support/expand.ts';
import { MockDataplane } from '../../test/support/mock-dataplane.ts';
import type { DataplaneMessage } from '../contract/dataplane.ts';
import { builtinUpdates } from '../model/builtin.ts';
import { keyOf, kinds, rowOfManifest } from '../model/kinds.ts';
import type { Resource, ResourceKind, Update } from '../model/types.ts';
import { updatesOf } from '../model/updates.ts';
import { compileFor } from './compile.ts';
import { buildGraph } from './graph.ts';

const v3 = 'projectcalico.org/v3';

function made(
  apiVersion: string,
  kind: string,
  name: string,
  rest: object = {},
  metadata: object = {},
): Resource {
  const namespace = rowOfManifest(apiVersion, kind)?.namespaced ? { namespace: 'web' } : {};
  return { apiVersion, kind, metadata: { name, ...namespace, ...metadata }, ...rest };
}

const calico = (kind: string, name: string, spec: object, metadata: object = {}) =>
  made(v3, kind, name, { spec }, metadata);
const address = (ip: string) => ({ phase: 'Running', podIP: ip, podIPs: [{ ip }] });
const pod = (name: string, ip: string, labels: object, node = 'n1') =>
  made('v1', 'Pod', name, { spec: { nodeName: node, containers: [] }, status: address(ip) }, { labels });
const allowFrom = (source: object) => ({ selector: 'all()', ingress: [{ action: 'Allow', source }] });
const slice = (ip: string) =>
  made(
    'discovery.k8s.io/v1',
    'EndpointSlice',
    'x',
    { addressType: 'IPv4', endpoints: [{ addresses: [ip] }], ports: [{ port: 80 }] },
    { labels: { 'kubernetes.io/service-name': 's' } },
  );
const cluster = (priority: number) => ({
  tier: 'Admin',
  priority,
  subject: { namespaces: {} },
  ingress: [{ action: priority === 1 ? 'Deny' : 'Pass', from: [{ namespaces: {} }] }],
});

/** Something of everything, so that whatever comes beside it has an effect. */
const base: readonly Resource[] = [
  pod('base', '10.0.0.1', { app: 'a' }),
  pod('far', '10.9.0.1', { app: 'a' }, 'n2'),
  made('v1', 'Node', 'n2', { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.2' }] } }),
  calico('HostEndpoint', 'base', { node: 'n1', interfaceName: '*', profiles: ['pro'] }),
  calico('GlobalNetworkPolicy', 'plain', { selector: 'all()' }),
  calico('GlobalNetworkPolicy', 'base', {
    tier: 'x',
    selector: 'all()',
    ingress: [
      { action: 'Allow', source: { selector: 'has(set)' } },
      { action: 'Allow', source: { services: { name: 's', namespace: 'web' } } },
      { action: 'Allow', source: { namespaceSelector: 'team == "red"' } },
      { action: 'Allow', source: { serviceAccounts: { selector: 'role == "db"' } } },
    ],
  }),
];

const setLabels = { labels: { set: 'yes' } };

/** Two forms of each kind; null: the graph does not read it. */
const variants: { readonly [K in ResourceKind]: readonly [Resource, Resource] | null } = {
  Namespace: [
    made('v1', 'Namespace', 'web', {}, { labels: { team: 'red' } }),
    made('v1', 'Namespace', 'web', {}, { labels: { team: 'blue' } }),
  ],
  ServiceAccount: [
    made('v1', 'ServiceAccount', 'default', {}, { labels: { role: 'db' } }),
    made('v1', 'ServiceAccount', 'default', {}, { labels: { role: 'web' } }),
  ],
  Pod: [pod('x', '10.0.0.7', { app: 'a' }), pod('x', '10.0.0.8', { set: 'yes' }, 'n2')],
  Node: [
    made('v1', 'Node', 'n2', { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.3' }] } }),
    made('v1', 'Node', 'n2', { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.4' }] } }),
  ],
  Service: null,
  EndpointSlice: [slice('10.9.9.1'), slice('10.9.9.2')],
  KubernetesNetworkPolicy: [
    made('networking.k8s.io/v1', 'NetworkPolicy', 'x', { spec: { podSelector: {}, ingress: [] } }),
    made('networking.k8s.io/v1', 'NetworkPolicy', 'x', {
      spec: { podSelector: { matchLabels: { app: 'a' } }, ingress: [{}] },
    }),
  ],
  ClusterNetworkPolicy: [
    made('policy.networking.k8s.io/v1alpha2', 'ClusterNetworkPolicy', 'x', { spec: cluster(1) }),
    made('policy.networking.k8s.io/v1alpha2', 'ClusterNetworkPolicy', 'x', { spec: cluster(2) }),
  ],
  NetworkPolicy: [
    calico('NetworkPolicy', 'x', allowFrom({ selector: 'app == "a"' })),
    calico('NetworkPolicy', 'x', { ...allowFrom({ nets: ['10.0.0.0/8'] }), order: 5 }),
  ],
  GlobalNetworkPolicy: [
    calico('GlobalNetworkPolicy', 'x', { ...allowFrom({}), doNotTrack: true, applyOnForward: true }),
    calico('GlobalNetworkPolicy', 'x', { ...allowFrom({}), preDNAT: true, applyOnForward: true }),
  ],
  StagedNetworkPolicy: [
    calico('StagedNetworkPolicy', 'x', allowFrom({ selector: 'app == "a"' })),
    calico('StagedNetworkPolicy', 'x', { stagedAction: 'Ignore', ...allowFrom({}) }),
  ],
  StagedGlobalNetworkPolicy: [
    calico('StagedGlobalNetworkPolicy', 'base', { tier: 'x', ...allowFrom({}) }),
    calico('StagedGlobalNetworkPolicy', 'base', { tier: 'x', stagedAction: 'Delete' }),
  ],
  StagedKubernetesNetworkPolicy: [
    calico('StagedKubernetesNetworkPolicy', 'x', { podSelector: {} }),
    calico('StagedKubernetesNetworkPolicy', 'x', { podSelector: {}, egress: [{}] }),
  ],
  Tier: [calico('Tier', 'x', { order: 1, defaultAction: 'Pass' }), calico('Tier', 'x', { order: 1 })],
  NetworkSet: [
    calico('NetworkSet', 'x', { nets: ['192.0.2.0/24'] }, setLabels),
    calico('NetworkSet', 'x', { nets: ['192.0.2.0/24', 'fd00::/8'] }, setLabels),
  ],
  GlobalNetworkSet: [
    calico('GlobalNetworkSet', 'x', { nets: ['192.0.2.0/24'] }, setLabels),
    calico('GlobalNetworkSet', 'x', { nets: ['198.51.100.0/24'] }, setLabels),
  ],
  HostEndpoint: [
    calico('HostEndpoint', 'x', { node: 'n1', interfaceName: 'eth0' }),
    calico('HostEndpoint', 'x', { node: 'n2', expectedIPs: ['192.0.2.9'] }, setLabels),
  ],
  Profile: [
    calico('Profile', 'pro', { ingress: [{ action: 'Allow' }], labelsToApply: { set: 'yes' } }),
    calico('Profile', 'pro', { egress: [{ action: 'Deny' }] }),
  ],
  FelixConfiguration: [
    calico('FelixConfiguration', 'default', { vxlanPort: 4790 }),
    calico('FelixConfiguration', 'default', { defaultEndpointToHostAction: 'Accept' }),
  ],
  CalicoWorkloadEndpoint: [
    calico('WorkloadEndpoint', 'n1-vm-x-eth0', vm('10.0.0.20')),
    calico('WorkloadEndpoint', 'n1-vm-x-eth0', vm('10.0.0.21')),
  ],
  CalicoNode: [
    calico('Node', 'n2', { bgp: { ipv4Address: '192.0.2.7/24' } }),
    calico('Node', 'n2', { bgp: { ipv4Address: '192.0.2.8/24' } }),
  ],
  IPPool: null,
  IPReservation: null,
  IPAMConfiguration: null,
  IPAMBlock: null,
  IPAMHandle: null,
  BlockAffinity: null,
  BGPConfiguration: null,
  BGPPeer: null,
  BGPFilter: null,
  CalicoNodeStatus: null,
  ClusterInformation: null,
  KubeControllersConfiguration: null,
  LiveMigration: null,
};

function vm(ip: string): object {
  return {
    orchestrator: 'vm',
    node: 'n1',
    workload: 'x',
    endpoint: 'eth0',
    interfaceName: 'tapx',
    ipNetworks: [`${ip}/32`],
    profiles: ['pro'],
  };
}

interface ClusterState {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, Update>;
}

/** The later of two resources with one key counts. */
function clusterState(name: string, resources: readonly Resource[]): ClusterState {
  const inputs = new Map(builtinUpdates().map((update) => [`${update.kind} ${update.path}`, update]));
  for (const resource of resources) {
    const { updates, faults } = updatesOf(keyOf(resource), resource);
    assert.deepEqual(faults, [], JSON.stringify(resource));
    for (const update of updates) inputs.set(`${update.kind} ${update.path}`, update);
  }
  return { name, inputs };
}

const empty = clusterState('nothing', []);

for (const { kind } of kinds) {
  const forms = variants[kind];
  if (!forms) continue;
  test(`${kind} comes, changes, goes and comes again`, () => {
    const [first, second] = forms;
    const states = [
      empty,
      clusterState('alone', [first]),
      clusterState('in a cluster', [...base, first]),
      clusterState('changed', [...base, second]),
      clusterState('gone', base),
      clusterState('back', [...base, first]),
      empty,
    ];
    assertMatters(states);
    for (const expansion of expansions) walk(expansion.name, expansion.expand(states, empty));
  });
}

test('kinds that the graph does not read say nothing to it', () => {
  for (const { kind, apiVersion, writtenKind } of kinds) {
    if (variants[kind] || kind === 'IPPool') continue;
    const { updates } = updatesOf(keyOf(made(apiVersion, writtenKind, 'x')), null);
    assert.deepEqual(updates, [], kind);
  }
});

/** Each form leads to another state of the data plane than none, and than the other: else a test of it proves nothing. */
function assertMatters(states: readonly ClusterState[]): void {
  const texts = ['in a cluster', 'changed', 'gone'].map((name) => {
    const state = states.find((candidate) => candidate.name === name);
    return JSON.stringify(compileFor('n1', [...(state?.inputs.values() ?? [])]));
  });
  assert.equal(new Set(texts).size, texts.length);
}

function walk(
  name: string,
  steps: readonly { readonly state: ClusterState; readonly batches: readonly (readonly Update[])[] }[],
): void {
  const graph = buildGraph({ node: 'n1' });
  graph.onUpdates(builtinUpdates());
  graph.onStatus('in-sync');
  const dataplane = new MockDataplane();
  const flush = () => {
    const messages: DataplaneMessage[] = [];
    graph.flush((message) => messages.push(message));
    dataplane.onFlush(messages);
  };
  flush();
  for (const { state, batches } of steps) {
    for (const batch of batches) {
      graph.onUpdates(batch);
      flush();
    }
    const fresh = new MockDataplane();
    fresh.onFlush(compileFor('n1', [...state.inputs.values()]));
    assert.deepEqual(dataplane.picture(), fresh.picture(), `${name}, at '${state.name}'`);
    assert.deepEqual(dataplane.config, fresh.config, `${name}, at '${state.name}'`);
  }
}
