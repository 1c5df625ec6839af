// SPDX-License-Identifier: Apache-2.0
/** Every CEL rule of every schema: an object that it lets through, and one that it alone refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isObject, member } from '../json.ts';
import { kindRow } from '../kinds.ts';
import { type SchemaKind, schemas } from '../schema/catalogue.ts';
import type { Schema } from '../schema/schema.ts';
import { compileRule } from './cel/rule.ts';
import { validateResource } from './resource.ts';

type Loose = { [key: string]: unknown };
type Spec = Loose | { spec: Loose; name: string };

function resource(kind: SchemaKind, written: Spec): Loose {
  const { apiVersion, writtenKind } = kindRow(kind);
  const { spec, name } =
    'name' in written && isObject(written.spec) ? written : { spec: written, name: 'default' };
  return { apiVersion, kind: writtenKind, metadata: { name }, spec };
}

const allow = (rule: Loose): Loose => ({ ingress: [{ action: 'Allow', ...rule }] });
const source = (entity: Loose): Loose => allow({ source: entity });
const service = { services: { name: 's' } };
const pod = { podSelector: {} };
const from = (peer: Loose): Loose => ({ ...pod, ingress: [{ from: [peer] }] });
const select = (requirement: Loose): Loose => ({
  podSelector: { matchExpressions: [{ key: 'a', ...requirement }] },
});
const cluster = (rules: Loose): Loose => ({
  tier: 'Admin',
  priority: 1,
  subject: { namespaces: {} },
  ...rules,
});
const pool = (more: Loose): Loose => ({ cidr: '10.0.0.0/16', ...more });
const services = (more: Loose): Loose => pool({ allowedUses: ['LoadBalancer'], ...more });
const exporting = (rule: Loose): Loose => ({ exportV4: [{ action: 'Accept', ...rule }] });
const template = (more: Loose): Loose => ({
  controllers: { node: { hostEndpoint: { templates: [{ generateName: 'a', ...more }] } } },
});

/** What is let through, each by one rule or more that another object below fails. */
const good: [SchemaKind, Spec][] = [
  ['NetworkPolicy', allow({ protocol: 'tcp', http: { paths: [{ exact: '/a' }] } })],
  ['NetworkPolicy', allow({ protocol: 'ICMP', icmp: { type: 8, code: 0 }, ipVersion: 4 })],
  ['NetworkPolicy', allow({ protocol: 58, notICMP: { type: 1 }, ipVersion: 6 })],
  ['NetworkPolicy', allow({ notProtocol: 'ICMPv6', ipVersion: 6 })],
  ['NetworkPolicy', source(service)],
  ['NetworkPolicy', { egress: [{ action: 'Deny', destination: { ...service, ports: [] } }] }],
  ['GlobalNetworkPolicy', { preDNAT: true, applyOnForward: true, types: ['Ingress'], egress: [] }],
  ['KubernetesNetworkPolicy', select({ operator: 'In', values: ['b'] })],
  ['KubernetesNetworkPolicy', select({ operator: 'Exists', values: [] })],
  ['KubernetesNetworkPolicy', from({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } })],
  ['KubernetesNetworkPolicy', { ...pod, egress: [{ ports: [{ port: 80, endPort: 80 }] }] }],
  ['ClusterNetworkPolicy', cluster({ egress: [{ action: 'Deny', to: [{ networks: ['10.0.0.1/8'] }] }] })],
  [
    'ClusterNetworkPolicy',
    cluster({
      ingress: [
        {
          action: 'Deny',
          from: [{ namespaces: {} }],
          protocols: [{ tcp: { destinationPort: { range: { start: 1, end: 2 } } } }],
        },
      ],
    }),
  ],
  ['Tier', { name: 'default', spec: { order: 1_000_000, defaultAction: 'Deny' } }],
  ['Tier', { name: 'kube-admin', spec: { order: 1_000, defaultAction: 'Pass' } }],
  ['Tier', { name: 'kube-baseline', spec: { order: 10_000_000, defaultAction: 'Pass' } }],
  ['HostEndpoint', { node: 'n', expectedIPs: ['192.0.2.1'] }],
  ['FelixConfiguration', { name: 'x', spec: { nodeSelector: 'all()' } }],
  ['FelixConfiguration', { routeTableRange: { min: 1, max: 250 } }],
  ['FelixConfiguration', { routeTableRanges: [{ min: 300, max: 300 }] }],
  ['FelixConfiguration', { natOutgoingAddress: '192.0.2.1', deviceRouteSourceAddress: '' }],
  ['FelixConfiguration', { deviceRouteSourceAddress: '192.0.2.1' }],
  ['FelixConfiguration', { deviceRouteSourceAddressIPv6: '2001:db8::1' }],
  ['IPPool', pool({ ipipMode: 'Always', vxlanMode: 'Never', blockSize: 20 })],
  ['IPPool', { cidr: 'fd00::/112', blockSize: 116, allowedUses: ['Tunnel'], namespaceSelector: '' }],
  ['IPPool', { cidr: '10.0.0.0/28', disabled: true }],
  ['IPPool', services({ nodeSelector: 'all()', disableBGPExport: false, ipipMode: 'Never' })],
  ['IPAMConfiguration', { strictAffinity: true, autoAllocateBlocks: false }],
  ['BGPConfiguration', { asNumber: 64512, nodeToNodeMeshEnabled: true, nodeMeshMaxRestartTime: '90s' }],
  ['BGPConfiguration', { nodeMeshPassword: { secretKeyRef: { key: 'a' } } }],
  ['BGPConfiguration', { name: 'node.a', spec: { listenPort: 1179 } }],
  [
    'BGPConfiguration',
    {
      communities: [{ name: 'a', value: '1:2' }],
      prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities: ['a', '3:4', '1:2:3'] }],
    },
  ],
  ['BGPPeer', { node: 'n', nodeSelector: '', peerIP: '192.0.2.1', reachableBy: '192.0.2.2', asNumber: 1 }],
  ['BGPPeer', { nodeSelector: 'all()', peerSelector: 'has(rr)', nextHopMode: 'Self' }],
  ['BGPPeer', { localWorkloadSelector: 'has(bgp)', asNumber: 65000 }],
  ['BGPFilter', exporting({ cidr: '10.0.0.0/8', matchOperator: 'In', prefixLength: { min: 16 } })],
  ['BGPFilter', exporting({ operations: [{ setPriority: { value: 1 } }] })],
  ['KubeControllersConfiguration', template({ interfacePattern: 'eth.*' })],
  [
    'CalicoWorkloadEndpoint',
    {
      ipNetworks: ['192.0.2.1/32'],
      ipNATs: [{ internalIP: '192.0.2.1', externalIP: '198.51.100.1' }],
      ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
    },
  ],
];

/** What is refused for one reason, and where it is told. */
const bad: [SchemaKind, Spec, string | string[]][] = [
  ['NetworkPolicy', allow({ protocol: 'UDP', http: {} }), 'ingress[0].http'],
  ['NetworkPolicy', { ingress: [{ action: 'Deny', http: {} }] }, 'ingress[0].http'],
  [
    'NetworkPolicy',
    { egress: [{ action: 'Deny', protocol: 'TCP', destination: { ...service, ports: [80] } }] },
    'egress[0].destination.services',
  ],
  ['NetworkPolicy', allow({ icmp: { type: 8 } }), 'ingress[0].icmp'],
  ['NetworkPolicy', allow({ protocol: 'TCP', notICMP: { type: 8 } }), 'ingress[0].notICMP'],
  ['NetworkPolicy', allow({ protocol: 1, ipVersion: 6 }), 'ingress[0].ipVersion'],
  ['NetworkPolicy', allow({ protocol: 'icmpv6', ipVersion: 4 }), 'ingress[0].ipVersion'],
  ['NetworkPolicy', allow({ notProtocol: 'ICMP', ipVersion: 6 }), 'ingress[0].ipVersion'],
  ['NetworkPolicy', allow({ notProtocol: 58, ipVersion: 4 }), 'ingress[0].ipVersion'],
  ['NetworkPolicy', allow({ protocol: 'ICMP', icmp: { code: 0 } }), 'ingress[0].icmp.code'],
  ['NetworkPolicy', source({ services: { namespace: 'n' } }), 'ingress[0].source.services.name'],
  ['NetworkPolicy', source({ ...service, selector: 'all()' }), 'ingress[0].source.services'],
  ['NetworkPolicy', source({ ...service, notSelector: 'all()' }), 'ingress[0].source.services'],
  ['NetworkPolicy', source({ ...service, namespaceSelector: 'all()' }), 'ingress[0].source.services'],
  ['NetworkPolicy', source({ ...service, nets: ['10.0.0.0/8'] }), 'ingress[0].source.services'],
  ['NetworkPolicy', source({ ...service, notNets: ['10.0.0.0/8'] }), 'ingress[0].source.services'],
  ['NetworkPolicy', source({ ...service, serviceAccounts: {} }), 'ingress[0].source.services'],
  ['NetworkPolicy', allow({ http: { paths: [{ exact: '/', prefix: '/' }] } }), 'ingress[0].http.paths[0]'],
  ['GlobalNetworkPolicy', { preDNAT: true, doNotTrack: true, applyOnForward: true }, 'preDNAT'],
  ['GlobalNetworkPolicy', { preDNAT: true, applyOnForward: true, egress: [{ action: 'Deny' }] }, 'egress'],
  ['GlobalNetworkPolicy', { preDNAT: true, applyOnForward: true, types: ['Egress'] }, 'types'],
  ['StagedGlobalNetworkPolicy', { doNotTrack: true }, 'applyOnForward'],
  [
    'StagedKubernetesNetworkPolicy',
    select({ operator: 'NotIn', values: [] }),
    'podSelector.matchExpressions[0].values',
  ],
  [
    'KubernetesNetworkPolicy',
    select({ operator: 'DoesNotExist', values: ['a'] }),
    'podSelector.matchExpressions[0].values',
  ],
  [
    'KubernetesNetworkPolicy',
    from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }),
    'ingress[0].from[0]',
  ],
  [
    'KubernetesNetworkPolicy',
    { ...pod, egress: [{ ports: [{ port: 'http', endPort: 80 }] }] },
    'egress[0].ports[0].endPort',
  ],
  [
    'ClusterNetworkPolicy',
    cluster({
      ingress: [
        {
          action: 'Pass',
          from: [{ namespaces: {} }],
          protocols: [{ udp: { destinationPort: { range: { start: 2, end: 2 } } } }],
        },
      ],
    }),
    'ingress[0].protocols[0].udp.destinationPort.range.end',
  ],
  [
    'ClusterNetworkPolicy',
    cluster({ egress: [{ action: 'Deny', to: [{ networks: ['10.0.0.1'] }] }] }),
    'egress[0].to[0].networks[0]',
  ],
  ['Tier', { name: 'default', spec: { order: 5 } }, 'order'],
  ['Tier', { name: 'default', spec: { defaultAction: 'Pass' } }, 'defaultAction'],
  ['Tier', { name: 'kube-admin', spec: { order: 5 } }, 'order'],
  ['Tier', { name: 'kube-admin', spec: { defaultAction: 'Deny' } }, 'defaultAction'],
  ['Tier', { name: 'kube-baseline', spec: { order: 5 } }, 'order'],
  ['Tier', { name: 'kube-baseline', spec: { defaultAction: 'Deny' } }, 'defaultAction'],
  ['HostEndpoint', { interfaceName: 'eth0' }, 'node'],
  ['HostEndpoint', { node: 'n', interfaceName: '', expectedIPs: [] }, ''],
  ['FelixConfiguration', { name: 'node.a', spec: { nodeSelector: 'all()' } }, 'nodeSelector'],
  ['FelixConfiguration', { routeTableRange: { min: 1, max: 2 }, routeTableRanges: [] }, 'routeTableRange'],
  ['FelixConfiguration', { natOutgoingAddress: '2001:db8::1' }, 'natOutgoingAddress'],
  ['FelixConfiguration', { deviceRouteSourceAddress: '10.0.0' }, 'deviceRouteSourceAddress'],
  ['FelixConfiguration', { deviceRouteSourceAddressIPv6: '192.0.2.1' }, 'deviceRouteSourceAddressIPv6'],
  ['FelixConfiguration', { routeTableRange: { min: 1, max: 251 } }, 'routeTableRange'],
  ['FelixConfiguration', { routeTableRanges: [{ min: 2, max: 1 }] }, 'routeTableRanges[0].max'],
  ['IPPool', pool({ blockSize: 33 }), 'blockSize'],
  ['IPPool', { cidr: 'fd00::/64', blockSize: 64 }, 'blockSize'],
  ['IPPool', { cidr: '10.0.0.0/27' }, 'cidr'],
  ['IPPool', pool({ ipipMode: 'Always', vxlanMode: 'CrossSubnet' }), 'vxlanMode'],
  ['IPPool', { cidr: 'fd00::/64', ipipMode: 'Always' }, 'ipipMode'],
  ['IPPool', pool({ allowedUses: ['Tunnel'], namespaceSelector: 'all()' }), 'namespaceSelector'],
  ['IPPool', pool({ allowedUses: ['LoadBalancer', 'Workload'] }), 'allowedUses'],
  ['IPPool', services({ ipipMode: 'Always' }), 'ipipMode'],
  ['IPPool', services({ vxlanMode: 'Always' }), 'vxlanMode'],
  ['IPPool', services({ disableBGPExport: true }), 'disableBGPExport'],
  ['IPPool', services({ nodeSelector: 'has(a)' }), 'nodeSelector'],
  ['IPPool', { cidr: '169.254.8.0/24' }, 'cidr'],
  ['IPPool', { cidr: 'fe00::/8' }, 'cidr'],
  ['IPAMConfiguration', { strictAffinity: false, autoAllocateBlocks: false }, 'strictAffinity'],
  ['BGPConfiguration', { name: 'node.a', spec: { nodeToNodeMeshEnabled: true } }, 'nodeToNodeMeshEnabled'],
  ['BGPConfiguration', { name: 'node.a', spec: { asNumber: 1 } }, 'asNumber'],
  ['BGPConfiguration', { name: 'node.a', spec: { nodeMeshPassword: {} } }, 'nodeMeshPassword'],
  ['BGPConfiguration', { name: 'node.a', spec: { nodeMeshMaxRestartTime: '1s' } }, 'nodeMeshMaxRestartTime'],
  ['BGPConfiguration', { nodeToNodeMeshEnabled: false, nodeMeshPassword: {} }, 'nodeMeshPassword'],
  [
    'BGPConfiguration',
    { nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: '1s' },
    'nodeMeshMaxRestartTime',
  ],
  ['BGPConfiguration', { communities: [{ name: 'a', value: '1:2' }] }, 'communities'],
  ['BGPPeer', { node: 'n', nodeSelector: 'all()' }, 'nodeSelector'],
  ['BGPPeer', { peerIP: '192.0.2.1', peerSelector: 'all()' }, 'peerSelector'],
  ['BGPPeer', { asNumber: 1, peerSelector: 'all()' }, 'asNumber'],
  ['BGPPeer', { localWorkloadSelector: 'all()', asNumber: 1, peerIP: '192.0.2.1' }, 'peerIP'],
  ['BGPPeer', { localWorkloadSelector: 'all()', asNumber: 0 }, 'asNumber'],
  // no AS number suits both
  [
    'BGPPeer',
    { localWorkloadSelector: 'all()', asNumber: 1, peerSelector: 'all()' },
    ['asNumber', 'peerSelector'],
  ],
  ['BGPPeer', { reachableBy: '192.0.2.1' }, 'reachableBy'],
  ['BGPPeer', { keepOriginalNextHop: true, nextHopMode: 'Auto' }, 'keepOriginalNextHop'],
  ['BGPFilter', exporting({ cidr: '10.0.0.0/8' }), 'exportV4[0].matchOperator'],
  ['BGPFilter', exporting({ prefixLength: { min: 1 } }), 'exportV4[0].prefixLength'],
  [
    'BGPFilter',
    { importV6: [{ action: 'Reject', operations: [{ setPriority: { value: 1 } }] }] },
    'importV6[0].operations',
  ],
  ['BGPFilter', exporting({ operations: [{}] }), 'exportV4[0].operations[0]'],
  ['KubeControllersConfiguration', template({}), 'controllers.node.hostEndpoint.templates[0]'],
  [
    'CalicoWorkloadEndpoint',
    { ipNetworks: ['192.0.2.1/32'], ipNATs: [{ internalIP: '192.0.2.1', externalIP: 'fd00::1' }] },
    'ipNATs[0].externalIP',
  ],
  ['CalicoWorkloadEndpoint', { ports: [{ protocol: 'TCP', port: 80 }] }, 'ports[0]'],
];

/** Updates: what was stored, what is wanted, where it is told; null where it may be. */
const updates: [SchemaKind, Loose, Loose, string | null][] = [
  ['IPPool', pool({ natOutgoing: true }), pool({}), null],
  ['IPPool', pool({}), { cidr: '10.1.0.0/16' }, 'cidr'],
  ['IPPool', pool({ blockSize: 24 }), pool({ blockSize: 25 }), 'blockSize'],
  ['IPPool', pool({ blockSize: 24 }), pool({}), 'blockSize'],
  ['IPPool', pool({ allowedUses: ['Workload'] }), services({}), 'allowedUses'],
  ['IPPool', services({}), pool({}), 'allowedUses'],
  ['CalicoNodeStatus', { node: 'a', classes: ['BGP'] }, { node: 'b', classes: ['BGP'] }, 'node'],
  ['CalicoNodeStatus', { node: 'a', classes: ['BGP'] }, { node: 'a', classes: ['Agent'] }, null],
];

/** All rules with every value that they judge in `value`. */
function* judged(
  schema: Schema,
  value: unknown,
  old: unknown = undefined,
): Generator<{ rule: string; holds: boolean }> {
  if (value === undefined) return;
  for (const { rule } of schema['x-kubernetes-validations'] ?? []) {
    const { isTransition, holds } = compileRule(rule);
    if (isTransition === (old !== undefined)) yield { rule, holds: holds(value, old) };
  }
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const before = old === undefined ? undefined : (member(old, name) ?? null);
    if (before !== null) yield* judged(child, member(value, name), before);
  }
  if (schema.items && Array.isArray(value)) for (const item of value) yield* judged(schema.items, item);
}

test('what the rules want is let through', () => {
  for (const [kind, spec] of good)
    assert.deepEqual(validateResource(resource(kind, spec)).faults, [], JSON.stringify(spec));
});

test('what a rule forbids is told once, at its field', () => {
  for (const [kind, spec, field] of bad) {
    const { faults } = validateResource(resource(kind, spec));
    assert.deepEqual(
      faults.map((fault) => fault.path),
      [field].flat().map((name) => (name === '' ? 'spec' : `spec.${name}`)),
      `${kind} ${JSON.stringify(spec)}: ${JSON.stringify(faults)}`,
    );
    assert.match(faults[0]?.message ?? '', /^got .*want /s);
  }
});

test('an update may not change what the object was made with', () => {
  for (const [kind, before, after, field] of updates) {
    const old = validateResource(resource(kind, before)).resource;
    assert.ok(old);
    const { faults } = validateResource(resource(kind, after), { old });
    assert.deepEqual(
      faults.map((fault) => fault.path),
      field === null ? [] : [`spec.${field}`],
      JSON.stringify(after),
    );
    assert.deepEqual(validateResource(old, { old }).faults, [], 'nothing changed');
  }
});

test('no rule is without an object that holds and one that fails', () => {
  const seen = new Map<string, Set<boolean>>();
  const note = (schema: Schema, value: unknown, old?: unknown) => {
    for (const { rule, holds } of judged(schema, value, old))
      seen.set(rule, (seen.get(rule) ?? new Set()).add(holds));
  };
  for (const [kind, spec] of [...good, ...bad]) note(schemas[kind], resource(kind, spec));
  const filled = (kind: SchemaKind, spec: Loose) => validateResource(resource(kind, spec)).resource;
  for (const [kind, before, after] of updates) note(schemas[kind], filled(kind, after), filled(kind, before));
  const uncovered = [...allRules()].filter((rule) => seen.get(rule)?.size !== 2);
  assert.deepEqual(uncovered, []);
});

function allRules(): Set<string> {
  const rules = new Set<string>();
  const walk = (schema: Schema): void => {
    for (const { rule } of schema['x-kubernetes-validations'] ?? []) rules.add(rule);
    for (const child of Object.values(schema.properties ?? {})) walk(child);
    for (const child of [schema.items, schema.additionalProperties]) if (child) walk(child);
  };
  for (const schema of Object.values(schemas)) walk(schema);
  return rules;
}
