// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { builtinUpdates } from './builtin.ts';
import { kinds } from './kinds.ts';
import type { ModelRule, PolicyValue, Resource, ResourceKey, Update } from './types.ts';
import { updatesOf } from './updates.ts';

type Loose = { [field: string]: unknown };

function v3(kind: string, spec: Loose, metadata: Loose = {}): Resource {
  return { apiVersion: 'projectcalico.org/v3', kind, metadata: { name: 'x', ...metadata }, spec };
}

function only(key: ResourceKey, resource: Resource | null): Update {
  const { updates } = updatesOf(key, resource);
  assert.equal(updates.length, 1);
  return updates[0] as Update;
}

const policyKey: ResourceKey = { kind: 'NetworkPolicy', namespace: 'n', name: 'x' };
const globalKey: ResourceKey = { kind: 'GlobalNetworkPolicy', name: 'x' };

function policyValue(spec: Loose, global = false): PolicyValue {
  const resource = global ? v3('GlobalNetworkPolicy', spec) : v3('NetworkPolicy', spec, { namespace: 'n' });
  const update = only(global ? globalKey : policyKey, resource);
  assert.ok(update.kind === 'Policy' && update.value, JSON.stringify(update));
  return update.value;
}

function ruleOf(rule: Loose, global = false): ModelRule {
  const value = policyValue({ ingress: [{ action: 'Allow', ...rule }] }, global);
  assert.ok(value.ingress[0]);
  return value.ingress[0];
}

test('a policy selects within its namespace, and by labels of namespaces and service accounts', () => {
  const here = 'projectcalico.org/namespace == "n"';
  const table: [Loose, boolean, string][] = [
    [{}, false, here],
    [{ selector: "a=='b'" }, false, `(a == "b" && ${here})`],
    [{ selector: 'has(a) || has(b)' }, false, `((has(a) || has(b)) && ${here})`],
    [{ serviceAccountSelector: 'has(s)' }, false, `(${here} && has(pcsa.s))`],
    [{ serviceAccountSelector: 'all()' }, false, `(${here} && all())`],
    [{ selector: 'has(a)', serviceAccountSelector: 'has(s)' }, false, `((has(a) && ${here}) && has(pcsa.s))`],
    [{}, true, 'all()'],
    [{ selector: 'all()' }, true, 'all()'],
    [{ namespaceSelector: 'a == "all()"' }, true, 'pcns.a == "all()"'],
    [{ namespaceSelector: 'all()' }, true, 'has(projectcalico.org/namespace)'],
    [{ selector: 'has(a)', namespaceSelector: 'has(b)' }, true, '(has(a) && has(pcns.b))'],
    [{ serviceAccountSelector: 'all()' }, true, 'has(projectcalico.org/serviceaccount)'],
  ];
  for (const [spec, global, selector] of table) {
    assert.equal(policyValue(spec, global).selector, selector, JSON.stringify(spec));
  }
});

test('a rule names endpoints of its own namespace unless it says which; addresses have no scope', () => {
  const here = 'projectcalico.org/namespace == "n"';
  const table: [Loose, boolean, string | undefined, string | undefined][] = [
    // source, global, selector, notSelector
    [{}, false, undefined, undefined],
    [{ nets: ['10.0.0.0/8'] }, false, undefined, undefined],
    [{ serviceAccounts: {} }, false, undefined, undefined],
    [{ selector: 'has(a)' }, false, `(${here} && has(a))`, undefined],
    [{ notSelector: 'has(a)' }, false, `(${here} && !has(a))`, undefined],
    [
      { selector: 'has(a)', notSelector: 'has(b) || has(c)' },
      false,
      `((${here} && has(a)) && !(has(b) || has(c)))`,
      undefined,
    ],
    [
      { serviceAccounts: { names: ['b', 'a'] } },
      false,
      `(${here} && projectcalico.org/serviceaccount in {"a", "b"})`,
      undefined,
    ],
    [
      { serviceAccounts: { names: ['a'], selector: 'has(s)' }, selector: 'has(a)' },
      false,
      `(${here} && ((has(pcsa.s) && projectcalico.org/serviceaccount in {"a"}) && has(a)))`,
      undefined,
    ],
    [{ namespaceSelector: 'has(b)' }, false, 'has(pcns.b)', undefined],
    [{ namespaceSelector: 'global()' }, false, '!has(projectcalico.org/namespace)', undefined],
    [
      { namespaceSelector: 'all()', selector: 'has(a)' },
      false,
      '(has(projectcalico.org/namespace) && has(a))',
      undefined,
    ],
    [{ selector: 'has(a)' }, true, 'has(a)', undefined],
    [{ notSelector: 'has(a)' }, true, undefined, 'has(a)'],
    [{ selector: 'has(a)', notSelector: 'has(b)' }, true, '(has(a) && !has(b))', undefined],
    [{ serviceAccounts: { selector: 'all()' } }, true, 'all()', undefined],
  ];
  for (const [source, global, selector, notSelector] of table) {
    const peer = ruleOf({ source }, global).source;
    assert.deepEqual([peer.selector, peer.notSelector], [selector, notSelector], JSON.stringify(source));
  }
});

test('a rule is parsed: protocols to numbers, ports to ranges and names, addresses to CIDRs', () => {
  const rule = ruleOf({
    action: 'Pass',
    ipVersion: 4,
    protocol: 'tcp',
    source: { nets: ['10.0.0.1', '10.0.0.0/8'], notNets: ['10.1.0.0/16'] },
    destination: { ports: [80, '1:2', 'http'], notPorts: ['dns', 53] },
  });
  assert.deepEqual(rule, {
    action: 'pass',
    ipVersion: 4,
    protocol: 6,
    source: {
      nets: ['10.0.0.1/32', '10.0.0.0/8'],
      notNets: ['10.1.0.0/16'],
      ports: [],
      namedPorts: [],
      notPorts: [],
      notNamedPorts: [],
    },
    destination: {
      nets: [],
      notNets: [],
      ports: [
        { first: 80, last: 80 },
        { first: 1, last: 2 },
      ],
      namedPorts: ['http'],
      notPorts: [{ first: 53, last: 53 }],
      notNamedPorts: ['dns'],
    },
  });
  const icmp = ruleOf({
    action: 'Deny',
    protocol: 'ICMP',
    notProtocol: 17,
    icmp: { type: 8, code: 0 },
    notICMP: { type: 3 },
  });
  assert.deepEqual(
    [icmp.protocol, icmp.notProtocol, icmp.icmp, icmp.notIcmp],
    [1, 17, { type: 8, code: 0 }, { type: 3 }],
  );
});

test('what a policy leaves out has a meaning at read time too', () => {
  const bare = policyValue({});
  assert.deepEqual(
    [bare.tier, bare.order, bare.types],
    ['default', Number.POSITIVE_INFINITY, { ingress: true, egress: false }],
  );
  const allow = { action: 'Allow' };
  assert.deepEqual(policyValue({ egress: [allow] }).types, { ingress: false, egress: true });
  assert.deepEqual(policyValue({ ingress: [allow], egress: [] }).types, { ingress: true, egress: false });
  assert.deepEqual(policyValue({ types: ['Ingress', 'Egress'], tier: 't', order: -1 }).types, {
    ingress: true,
    egress: true,
  });
});

test('a rule with http never opens anything, and says that it is not supported', () => {
  const spec = {
    tier: 'default',
    ingress: [
      { action: 'Allow', http: { methods: ['GET'] } },
      { action: 'Allow', protocol: 'TCP' },
    ],
  };
  const { updates, faults } = updatesOf(policyKey, v3('NetworkPolicy', spec, { namespace: 'n' }));
  const value = updates[0]?.value as PolicyValue;
  assert.deepEqual(
    value.ingress.map(({ action, protocol }) => [action, protocol]),
    [['allow', 6]],
  );
  assert.deepEqual(
    faults.map(({ path }) => path),
    ['spec.ingress[0].http'],
  );
  assert.match(faults[0]?.message ?? '', /not supported yet/);
});

test('a service in a rule is one of its own namespace unless it names another', () => {
  const spec = {
    egress: [
      { action: 'Allow', destination: { services: { name: 's' } } },
      { action: 'Deny', destination: { services: { name: 's', namespace: 'm' } } },
    ],
    ingress: [{ action: 'Allow', source: { services: { name: 's' } } }],
  };
  const value = only(policyKey, v3('NetworkPolicy', spec, { namespace: 'n' })).value as PolicyValue;
  assert.deepEqual(
    [...value.egress.map(({ destination }) => destination.service), value.ingress[0]?.source.service],
    [
      { name: 's', namespace: 'n' },
      { name: 's', namespace: 'm' },
      { name: 's', namespace: 'n' },
    ],
  );
});

test('what of a host endpoint traffic a policy is about', () => {
  const traffic = (fields: Loose) => policyValue(fields, true)?.hostTraffic;
  assert.deepEqual(
    [
      traffic({}),
      traffic({ applyOnForward: true }),
      traffic({ doNotTrack: true, applyOnForward: true }),
      traffic({ preDNAT: true, applyOnForward: true }),
    ],
    ['normal', 'normal-and-forward', 'untracked', 'pre-dnat'],
  );
  assert.equal(policyValue({ performanceHints: ['AssumeNeededOnEveryNode'] }, true)?.onEveryNode, true);
});

test('staged policies say what their author means to do', () => {
  const staged = (stagedAction: Loose) => {
    const key: ResourceKey = { kind: 'StagedNetworkPolicy', namespace: 'n', name: 'x' };
    const value = only(key, v3('StagedNetworkPolicy', stagedAction, { namespace: 'n' })).value;
    return (value as PolicyValue).staged;
  };
  assert.deepEqual(
    [{}, ...['Set', 'Delete', 'Learn', 'Ignore'].map((stagedAction) => ({ stagedAction }))].map(staged),
    ['set', 'set', 'delete', 'learn', 'ignore'],
  );
  const key: ResourceKey = { kind: 'StagedKubernetesNetworkPolicy', namespace: 'n', name: 'x' };
  const spec = { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] };
  const value = only(key, v3('StagedKubernetesNetworkPolicy', spec, { namespace: 'n' })).value as PolicyValue;
  assert.deepEqual(
    [value.kind, value.staged, value.order, value.types, value.egress[0]?.destination.nets],
    ['StagedKubernetesNetworkPolicy', 'set', 1000, { ingress: true, egress: true }, ['10.0.0.0/8']],
  );
});

test('a cluster network policy selects Pods in its tier and closes at what it does not know', () => {
  const key: ResourceKey = { kind: 'ClusterNetworkPolicy', name: 'x' };
  const stored = (spec: object): Resource => ({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'x' },
    spec: { tier: 'Admin', priority: 7, subject: { namespaces: {} }, ...spec },
  });
  const rules = (ingress: object[], egress: object[] = []) => {
    const value = updatesOf(key, stored({ ingress, egress })).updates[0]?.value as PolicyValue;
    return [...value.ingress, ...value.egress].map(({ action, protocol, source, destination }) =>
      [action, protocol, source.selector, ...destination.nets, ...destination.namedPorts]
        .filter((part) => part !== undefined)
        .join(' '),
    );
  };
  const from = [{ namespaces: { matchLabels: { a: 'b' } } }];
  const podsOfB = 'allow (pcns.a == "b" && projectcalico.org/orchestrator == "k8s")';
  assert.deepEqual(rules([{ action: 'Accept', from }]), [podsOfB]);
  assert.deepEqual(
    rules([
      {
        action: 'Accept',
        from,
        protocols: [{ tcp: { destinationPort: { number: 80 } } }, { destinationNamedPort: 'http' }],
      },
    ]),
    [podsOfB.replace('allow', 'allow 6'), `${podsOfB} http`],
  );
  const unknown = [{ zones: {} }];
  assert.deepEqual(rules([{ action: 'Accept', from: unknown }]), []);
  assert.deepEqual(rules([{ action: 'Deny', from: unknown }]), ['deny']);
  assert.deepEqual(rules([{ action: 'Pass', from: [...from, ...unknown] }]), ['deny']);
  assert.deepEqual(rules([{ action: 'Pass', from, protocols: [{ quic: {} }] }]), ['deny']);
  assert.deepEqual(rules([], [{ action: 'Deny', to: [{ networks: ['10.0.0.0/8', 'fd00::/8'] }] }]), [
    'deny 10.0.0.0/8 fd00::/8',
  ]);
  assert.deepEqual(rules([], [{ action: 'Deny', to: [{ domainNames: ['a.example'] }] }]), ['deny']);
  const value = only(key, stored({ ingress: [{ action: 'Deny', from }] })).value as PolicyValue;
  assert.deepEqual(
    [value.tier, value.order, value.types, value.selector],
    [
      'kube-admin',
      7,
      { ingress: true, egress: false },
      '(projectcalico.org/orchestrator == "k8s" && has(projectcalico.org/namespace))',
    ],
  );
});

test('host endpoints, services, v3 workload endpoints and nodes become values', () => {
  const hostKey: ResourceKey = { kind: 'HostEndpoint', name: 'x' };
  const host = (spec: Loose) =>
    only(hostKey, v3('HostEndpoint', { node: 'n1', ...spec }, { labels: { a: 'b' } })).value;
  const ports = [{ name: 'http', protocol: 'TCP', port: 80 }];
  assert.deepEqual(host({ interfaceName: 'eth0', expectedIPs: ['10.0.0.1'], profiles: ['p'], ports }), {
    name: 'x',
    node: 'n1',
    ifName: 'eth0',
    addresses: ['10.0.0.1'],
    labels: { a: 'b' },
    profiles: ['p'],
    ports: [{ name: 'http', protocol: 6, port: 80 }],
  });
  const ifNames = [{ interfaceName: '*' }, { expectedIPs: ['fd00::1'] }].map(
    (spec) => (host(spec) as { ifName: unknown }).ifName,
  );
  assert.deepEqual(ifNames, ['*', null]);

  const sliceKey: ResourceKey = { kind: 'EndpointSlice', namespace: 'n', name: 'x' };
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'x', namespace: 'n', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.0.0.1', '10.0.0.2'], conditions: { ready: false } },
      { addresses: ['10.0.0.1'] },
    ],
    ports: [{ port: 80 }, { port: 53, protocol: 'UDP' }, { name: 'any' }],
  };
  assert.deepEqual(only(sliceKey, slice).value, {
    service: { namespace: 'n', name: 's' },
    addresses: ['10.0.0.1', '10.0.0.2'],
    ports: [
      { protocol: 6, port: 80 },
      { protocol: 17, port: 53 },
    ],
  });
  const unnamed = { ...slice, metadata: { name: 'x', namespace: 'n' } };
  assert.equal(only(sliceKey, unnamed).value, null);

  const workloadKey: ResourceKey = {
    kind: 'CalicoWorkloadEndpoint',
    namespace: 'n',
    name: 'n1-k8s-web-eth0',
  };
  const workload = v3(
    'WorkloadEndpoint',
    {
      orchestrator: 'k8s',
      node: 'n1',
      pod: 'web',
      endpoint: 'eth0',
      interfaceName: 'cali1',
      ipNetworks: ['10.0.0.1/32'],
      profiles: ['kns.n'],
    },
    { name: 'n1-k8s-web-eth0', namespace: 'n' },
  );
  const endpoint = only(workloadKey, workload);
  assert.deepEqual(
    [endpoint.path, (endpoint.value as { name: string }).name],
    ['CalicoWorkloadEndpoint/n/n1-k8s-web-eth0', 'n/web'],
  );

  const nodeKey: ResourceKey = { kind: 'CalicoNode', name: 'x' };
  const bgp = { ipv4Address: '192.0.2.1/24', ipv6Address: 'fd00::1/64' };
  assert.deepEqual(only(nodeKey, v3('Node', { bgp }, {})).value, {
    name: 'x',
    labels: {},
    addresses: ['192.0.2.1', 'fd00::1'],
  });
});

test('settings become text as in the environment', () => {
  const key: ResourceKey = { kind: 'FelixConfiguration', name: 'default' };
  const spec = {
    defaultEndpointToHostAction: 'Accept',
    vxlanPort: 4790,
    failsafeOutboundHostPorts: [],
    failsafeInboundHostPorts: [
      { protocol: 'TCP', port: 22 },
      { protocol: 'UDP', port: 68, net: '10.0.0.0/8' },
      { protocol: 'TCP', port: 1, net: 'fd00::/8' },
    ],
  };
  const value = only(key, v3('FelixConfiguration', spec, { name: 'default' })).value;
  assert.deepEqual((value as { parameters: object }).parameters, {
    defaultEndpointToHostAction: 'Accept',
    vxlanPort: '4790',
    failsafeOutboundHostPorts: 'none',
    failsafeInboundHostPorts: 'tcp:22,udp:10.0.0.0/8:68,tcp:[fd00::/8]:1',
  });
});

test('rules carry the line they were written on', () => {
  const annotations = (text: string) => ({ namespace: 'n', annotations: { 'muslin.dev/origin': text } });
  const origin = JSON.stringify({ file: 'p.yaml', line: 1, rules: { ingress: [7, 9] } });
  const spec = { ingress: [{ action: 'Deny' }, { action: 'Allow' }, { action: 'Log' }] };
  const read = (text: string) => {
    const update = only(policyKey, v3('NetworkPolicy', spec, annotations(text)));
    return (update.value as PolicyValue).ingress.map((rule) => rule.origin);
  };
  assert.deepEqual(read(origin), [{ file: 'p.yaml', line: 7 }, { file: 'p.yaml', line: 9 }, undefined]);
  for (const text of ['{', '[]', '{"file": 1}', 'null', '{"file":"x","line":"1"}']) {
    assert.deepEqual(read(text), [undefined, undefined, undefined], text);
  }
});

test('sets, pools, tiers, profiles and nodes become values', () => {
  const set = only(
    { kind: 'NetworkSet', namespace: 'n', name: 'x' },
    v3('NetworkSet', { nets: ['10.0.0.9/8', '::1'] }, { namespace: 'n', labels: { a: 'b' } }),
  );
  assert.deepEqual(set, {
    kind: 'NetworkSet',
    path: 'NetworkSet/n/x',
    value: {
      nets: ['10.0.0.0/8', '::1/128'],
      labels: { a: 'b', 'projectcalico.org/namespace': 'n' },
      profiles: ['kns.n'],
    },
  });
  const global = only({ kind: 'GlobalNetworkSet', name: 'x' }, v3('GlobalNetworkSet', { nets: [] }));
  assert.deepEqual(global.value, { nets: [], labels: {}, profiles: [] });
  const pool = only({ kind: 'IPPool', name: 'x' }, v3('IPPool', { cidr: '10.0.0.0/16', natOutgoing: true }));
  assert.deepEqual(pool.value, { cidr: '10.0.0.0/16', disabled: false, natOutgoing: true });
  const tier = only({ kind: 'Tier', name: 'x' }, v3('Tier', { order: 3, defaultAction: 'Pass' }));
  assert.deepEqual(tier.value, { name: 'x', order: 3, defaultAction: 'pass' });
  const profile = only(
    { kind: 'Profile', name: 'x' },
    v3('Profile', {
      labelsToApply: { a: 'b' },
      egress: [{ action: 'Allow', destination: { notSelector: 'has(a)' } }],
    }),
  );
  assert.ok(profile.kind === 'Profile' && profile.value);
  assert.deepEqual([profile.value.labels, profile.value.ingress], [{ a: 'b' }, []]);
  assert.equal(profile.value.egress[0]?.destination.notSelector, 'has(a)');
  const node = only(
    { kind: 'Node', name: 'x' },
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'x', annotations: { 'projectcalico.org/IPv4Address': '10.9.0.1/24' } },
      status: {
        addresses: [
          { type: 'Hostname', address: 'x' },
          { type: 'InternalIP', address: '10.0.0.1' },
          { type: 'InternalIP', address: 'fd00::1' },
        ],
      },
    },
  );
  assert.deepEqual(node.value, { name: 'x', labels: {}, addresses: ['10.9.0.1', 'fd00::1'] });
});

test('names are kept as they are stored, older forms too; the tier is no part of them', () => {
  const names = ['p', 'default.p', 'sec.p', 'knp.default.p', 'ossg.default.p'];
  const read = (name: string, tier: string) =>
    only({ ...policyKey, name }, v3('NetworkPolicy', { tier }, { name, namespace: 'n' }));
  for (const tier of ['default', 'sec']) {
    for (const name of names) {
      const { path, value } = read(name, tier);
      const { name: kept, tier: its } = value as PolicyValue;
      assert.deepEqual([path, kept, its], [`NetworkPolicy/n/${name}`, name, tier]);
    }
  }
});

test('an invalid resource is absent, with every fault', () => {
  const { updates, faults } = updatesOf(
    policyKey,
    v3('NetworkPolicy', { ingress: [{ action: 'x' }], order: 'y' }, { namespace: 'n' }),
  );
  assert.deepEqual(updates, [{ kind: 'Policy', path: 'NetworkPolicy/n/x', value: null }]);
  assert.deepEqual(faults.map(({ path }) => path).sort(), ['spec.ingress[0].action', 'spec.order']);
  const misplaced = updatesOf(policyKey, v3('NetworkPolicy', {}, { namespace: 'm' }));
  assert.equal(misplaced.updates[0]?.value, null);
  assert.equal(misplaced.faults.length, 1);
});

test('a Kubernetes policy loses a faulty rule but keeps its hold on its pods', () => {
  const key: ResourceKey = { kind: 'KubernetesNetworkPolicy', namespace: 'n', name: 'x' };
  const policy = (spec: Loose): Resource => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'x', namespace: 'n' },
    spec,
  });
  const bad = { to: [{ ipBlock: { cidr: 'nonsense' } }] };
  const { updates, faults } = updatesOf(
    key,
    policy({ podSelector: {}, ingress: [{}, { from: [{}] }], egress: [bad] }),
  );
  const value = updates[0]?.value as PolicyValue;
  assert.deepEqual([value.ingress.length, value.egress.length], [1, 0]);
  assert.deepEqual(
    value.types,
    { ingress: true, egress: true },
    'the direction of a rule that is left out stays governed',
  );
  assert.deepEqual(
    [value.kind, value.name, value.tier, value.order],
    ['KubernetesNetworkPolicy', 'x', 'default', 1000],
  );
  assert.deepEqual(
    faults.map(({ path }) => path),
    ['spec.ingress[1].from[0]', 'spec.egress[0].to[0].ipBlock.cidr'],
  );
  assert.equal(updatesOf(key, policy({ podSelector: [], ingress: [] })).updates[0]?.value, null);
});

test('what is built in stands whatever is stored', () => {
  const [admin] = builtinUpdates();
  assert.deepEqual(admin?.value, { name: 'kube-admin', order: 1000, defaultAction: 'pass' });
  const tier = builtinUpdates().find(({ path }) => path === 'Tier/default');
  assert.deepEqual(tier?.value, { name: 'default', order: 1_000_000, defaultAction: 'deny' });
  for (const stored of [null, v3('Tier', { order: 1 }, { name: 'default' })]) {
    assert.deepEqual(updatesOf({ kind: 'Tier', name: 'default' }, stored).updates, [tier]);
  }
  const key: ResourceKey = { kind: 'Profile', name: 'projectcalico-default-allow' };
  assert.deepEqual(updatesOf(key, null).updates, builtinUpdates().slice(-1));
});

test('the paths of a key do not depend on what is stored, and nothing stored throws', () => {
  const odd = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom<unknown>({}, [], '', Number.NaN, null));
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.dictionary(fc.constantFrom('ingress', 'selector', 'cidr', 'podSelector', 'nets', 'nodeName'), odd),
      odd,
      (row, spec, status) => {
        const key: ResourceKey = row.namespaced
          ? { kind: row.kind, namespace: 'n', name: 'x' }
          : { kind: row.kind, name: 'x' };
        const metadata = row.namespaced ? { name: 'x', namespace: 'n' } : { name: 'x' };
        const stored: Resource = {
          apiVersion: row.apiVersion,
          kind: row.writtenKind,
          metadata,
          spec,
          status,
        };
        const place = ({ kind, path }: Update) => ({ kind, path });
        assert.deepEqual(updatesOf(key, stored).updates.map(place), updatesOf(key, null).updates.map(place));
        assert.ok(updatesOf(key, null).updates.every((update) => update.value === null));
      },
    ),
    { numRuns: 300 },
  );
});
