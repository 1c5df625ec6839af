// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { UnsupportedError } from '../../lib/errors.ts';
import type { Resource } from '../types.ts';
import { originAnnotation } from '../types.ts';
import { validateResource } from '../validate/resource.ts';
import { convertKubernetes } from './convert.ts';
import { podAddresses, podEndpoint, workloadInterfaceName } from './pod.ts';

type Loose = { [field: string]: unknown };

function policy(spec: Loose, metadata: Loose = {}): Resource {
  const kind = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };
  const { resource, faults } = validateResource({
    ...kind,
    metadata: { name: 'p', namespace: 'n', ...metadata },
    spec,
  });
  assert.deepEqual(faults, []);
  assert.ok(resource);
  return resource;
}

function specOf(resource: Resource): Loose {
  return resource.spec as Loose;
}

function pod(spec: Loose, status: Loose = { podIP: '10.0.0.1' }, metadata: Loose = {}): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', ...metadata },
    spec: { nodeName: 'node1', ...spec },
    status,
  };
}

test('a namespace becomes a profile that allows both ways and passes its labels on', () => {
  const namespace: Resource = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'n', labels: { a: 'b' } },
  };
  const allow = [{ action: 'Allow', source: {}, destination: {} }];
  assert.deepEqual(convertKubernetes(namespace), {
    apiVersion: 'projectcalico.org/v3',
    kind: 'Profile',
    metadata: { name: 'kns.n' },
    spec: {
      ingress: allow,
      egress: allow,
      labelsToApply: { 'pcns.a': 'b', 'pcns.projectcalico.org/name': 'n' },
    },
  });
});

test('a service account becomes a profile of labels without rules', () => {
  const account: Resource = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 's', namespace: 'n', labels: { a: 'b' } },
  };
  assert.deepEqual(convertKubernetes(account), {
    apiVersion: 'projectcalico.org/v3',
    kind: 'Profile',
    metadata: { name: 'ksa.n.s' },
    spec: { labelsToApply: { 'pcsa.a': 'b', 'pcsa.projectcalico.org/name': 's' } },
  });
});

test('the policy of a Kubernetes policy has its name, place and selector', () => {
  const converted = convertKubernetes(
    policy({
      podSelector: {
        matchLabels: { b: '2', a: '1' },
        matchExpressions: [
          { key: 'c', operator: 'In', values: ['x', 'y'] },
          { key: 'd', operator: 'NotIn', values: ['x'] },
          { key: 'e', operator: 'Exists' },
          { key: 'f', operator: 'DoesNotExist' },
        ],
      },
    }),
  );
  assert.deepEqual(converted, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name: 'knp.default.p', namespace: 'n' },
    spec: {
      tier: 'default',
      order: 1000,
      selector:
        "projectcalico.org/orchestrator == 'k8s' && a == '1' && b == '2' && c in { 'x', 'y' } && d not in { 'x' } && has(e) && ! has(f)",
      types: ['Ingress'],
    },
  });
});

test('one rule for each protocol and peer, ports joined', () => {
  const spec = specOf(
    convertKubernetes(
      policy({
        podSelector: {},
        ingress: [
          {
            from: [
              { podSelector: {} },
              { namespaceSelector: {} },
              { namespaceSelector: { matchLabels: { a: 'b' } }, podSelector: { matchLabels: { c: 'd' } } },
              { ipBlock: { cidr: '10.1.2.3/8', except: ['10.1.0.0/16'] } },
            ],
            ports: [
              { protocol: 'UDP', port: 53 },
              { port: 82 },
              { port: 80, endPort: 81 },
              { port: 'http' },
              { port: 90 },
              { protocol: 'SCTP' },
              { protocol: 'SCTP', port: 7 },
            ],
          },
        ],
      }),
    ),
  );
  const rules = spec.ingress as { protocol: string; source: Loose; destination: Loose }[];
  assert.equal(rules.length, 12);
  assert.deepEqual(
    rules.filter((_, i) => i % 4 === 0).map(({ protocol, destination }) => [protocol, destination.ports]),
    [
      ['SCTP', undefined],
      ['TCP', ['http', '80:82', 90]],
      ['UDP', [53]],
    ],
  );
  const pods = "projectcalico.org/orchestrator == 'k8s'";
  assert.deepEqual(
    rules.slice(0, 4).map(({ source }) => source),
    [
      { selector: pods },
      { selector: pods, namespaceSelector: 'all()' },
      { selector: `${pods} && c == 'd'`, namespaceSelector: "a == 'b'" },
      { nets: ['10.0.0.0/8'], notNets: ['10.1.0.0/16'] },
    ],
  );
});

test('no peers means anyone, no ports any packet, in both directions', () => {
  const spec = specOf(
    convertKubernetes(
      policy({
        podSelector: {},
        ingress: [{}],
        egress: [{ to: [], ports: [{ port: 53, protocol: 'UDP' }] }],
      }),
    ),
  );
  assert.deepEqual(spec.ingress, [{ action: 'Allow', source: {}, destination: {} }]);
  assert.deepEqual(spec.egress, [
    { action: 'Allow', protocol: 'UDP', source: {}, destination: { ports: [53] } },
  ]);
  assert.deepEqual(spec.types, ['Ingress', 'Egress']);
});

test('what comes out is a valid v3 policy', () => {
  const converted = convertKubernetes(
    policy({ podSelector: {}, ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 'a' }] }] }),
  );
  assert.deepEqual(validateResource(converted).faults, []);
});

test('each converted rule stands where the rule stands that it came from', () => {
  const origin = { file: 'p.yaml', line: 1, rules: { ingress: [10, 20], egress: [] } };
  const converted = convertKubernetes(
    policy(
      { podSelector: {}, ingress: [{ ports: [{ port: 1 }, { protocol: 'UDP', port: 1 }] }, {}] },
      { annotations: { [originAnnotation]: JSON.stringify(origin), other: 'x' } },
    ),
  );
  const { annotations } = converted.metadata;
  assert.deepEqual(Object.keys(annotations ?? {}), [originAnnotation]);
  assert.deepEqual(JSON.parse(annotations?.[originAnnotation] ?? '').rules, {
    ingress: [10, 10, 20],
    egress: [],
  });
});

test('a pod becomes an endpoint', () => {
  const endpoint = podEndpoint(
    pod(
      {
        serviceAccountName: 's',
        containers: [
          {
            ports: [
              { name: 'http', containerPort: 80 },
              { containerPort: 81 },
              { name: 'dns', containerPort: 53, protocol: 'UDP' },
            ],
          },
        ],
        initContainers: [
          { restartPolicy: 'Always', ports: [{ name: 'side', containerPort: 9 }] },
          { ports: [{ name: 'gone', containerPort: 9 }] },
        ],
      },
      { podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00::1' }] },
      { labels: { a: 'b', 'pcns.x': 'y', 'pcsa.x': 'y', 'projectcalico.org/namespace': 'forged' } },
    ),
  );
  assert.deepEqual(endpoint, {
    name: 'n/p',
    node: 'node1',
    ifName: `cali${createHash('sha1').update('n.p').digest('hex').slice(0, 11)}`,
    addresses: ['10.0.0.1', 'fd00::1'],
    labels: {
      a: 'b',
      'projectcalico.org/namespace': 'n',
      'projectcalico.org/orchestrator': 'k8s',
      'projectcalico.org/serviceaccount': 's',
    },
    profiles: ['kns.n', 'ksa.n.s'],
    ports: [
      { name: 'http', protocol: 6, port: 80 },
      { name: 'dns', protocol: 17, port: 53 },
      { name: 'side', protocol: 6, port: 9 },
    ],
    adminUp: true,
  });
  assert.equal(workloadInterfaceName('n', 'p').length, 15);
});

test('a pod without node, address or network of its own has no endpoint', () => {
  const table: [string, Resource][] = [
    ['not placed', pod({ nodeName: '' })],
    ['no address', pod({}, {})],
    ['host network', pod({ hostNetwork: true })],
    ['succeeded', pod({}, { podIP: '10.0.0.1', phase: 'Succeeded' })],
    ['failed', pod({}, { podIP: '10.0.0.1', phase: 'Failed' })],
    [
      'address given back',
      pod(
        {},
        { podIP: '10.0.0.1' },
        { deletionTimestamp: 'now', annotations: { 'cni.projectcalico.org/podIP': '' } },
      ),
    ],
  ];
  for (const [name, resource] of table) {
    assert.equal(podEndpoint(resource), null, name);
    assert.throws(() => convertKubernetes(resource), UnsupportedError, name);
  }
  assert.ok(podEndpoint(pod({}, { podIP: '10.0.0.1' }, { deletionTimestamp: 'now' })), 'still ending');
});

test('addresses come from the status, or from what the CNI plug-in wrote before it', () => {
  const annotated = (annotations: Loose, status: Loose = {}) =>
    podAddresses(pod({}, status, { annotations }));
  const singular = 'cni.projectcalico.org/podIP';
  assert.deepEqual(annotated({ [singular]: '10.0.0.1/32' }), ['10.0.0.1']);
  assert.deepEqual(annotated({ [singular]: '10.0.0.1/32', [`${singular}s`]: '10.0.0.1/32,fd00::1/128' }), [
    '10.0.0.1',
    'fd00::1',
  ]);
  assert.deepEqual(annotated({ [singular]: '10.0.0.1/32' }, { podIP: '10.0.0.2' }), ['10.0.0.2']);
});

test('a workload endpoint doubles the dashes inside the parts of its name', () => {
  const converted = convertKubernetes(pod({ nodeName: 'node-1' }, { podIP: '10.0.0.1' }, { name: 'web-0' }));
  assert.equal(converted.kind, 'WorkloadEndpoint');
  assert.equal(converted.metadata.name, 'node--1-k8s-web--0-eth0');
  assert.deepEqual(specOf(converted).ipNetworks, ['10.0.0.1/32']);
});

test('a Node has no v3 object, and v3 resources come back as they are', () => {
  assert.throws(
    () => convertKubernetes({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'x' } }),
    UnsupportedError,
  );
  const tier: Resource = { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name: 'x' } };
  assert.equal(convertKubernetes(tier), tier);
});
