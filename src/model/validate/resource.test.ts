// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyOf, keyPath, kinds, rowOfName } from '../kinds.ts';
import { validateResource } from './resource.ts';

type Loose = { [key: string]: unknown };

function v3(kind: string, spec: Loose, metadata: Loose = {}): Loose {
  return { apiVersion: 'projectcalico.org/v3', kind, metadata: { name: 'x', ...metadata }, spec };
}

function faultsOf(value: unknown): [string, string][] {
  return validateResource(value).faults.map((fault) => [fault.path, fault.message]);
}

function specOf(value: unknown): Loose {
  const { resource, faults } = validateResource(value);
  assert.deepEqual(faults, []);
  return resource?.spec as Loose;
}

/** A policy with one rule is refused for exactly these paths; with none it is accepted. */
function ruleTable(kind: string, direction: string, table: [string, Loose, string[]][]): void {
  for (const [name, rule, paths] of table) {
    const found = faultsOf(v3(kind, { [direction]: [{ action: 'Allow', ...rule }] })).map(([path]) => path);
    assert.deepEqual(
      found,
      paths.map((path) => `spec.${direction}[0]${path}`),
      name,
    );
  }
}

test('the rules of a policy are checked field by field and against each other', () => {
  ruleTable('NetworkPolicy', 'ingress', [
    ['plain', {}, []],
    ['action', { action: 'allow' }, ['.action']],
    ['action null is absent', { action: null }, ['.action']],
    ['protocol names in any case', { protocol: 'tcp' }, []],
    ['protocol numbers', { protocol: 255 }, []],
    ['protocol 0', { protocol: 0 }, ['.protocol']],
    ['protocol 256', { protocol: 256 }, ['.protocol']],
    ['ipVersion', { ipVersion: 5 }, ['.ipVersion']],
    ['icmp', { protocol: 'ICMP', icmp: { type: 8, code: 0 } }, []],
    ['icmp without protocol', { icmp: { type: 8 } }, ['.icmp']],
    ['icmp with TCP', { protocol: 'TCP', notICMP: { type: 8 } }, ['.notICMP']],
    ['icmp type 255', { protocol: 'ICMP', icmp: { type: 255 } }, ['.icmp.type']],
    ['icmp code alone', { protocol: 'ICMPv6', icmp: { code: 1 } }, ['.icmp.code']],
    ['icmp family', { protocol: 'ICMP', ipVersion: 6 }, ['.ipVersion']],
    ['not-icmp family', { notProtocol: 'ICMPv6', ipVersion: 4 }, ['.ipVersion']],
    ['ports', { protocol: 'TCP', destination: { ports: [80, '8000:8080', 'http', '0'] } }, []],
    ['ports without protocol', { destination: { ports: [80] } }, ['.destination.ports']],
    ['named ports without protocol', { destination: { ports: ['http'] } }, []],
    ['ports with ICMP', { protocol: 'ICMP', source: { notPorts: ['http'] } }, ['.source.notPorts']],
    ['ports with a number', { protocol: 132, destination: { ports: [80] } }, []],
    [
      'port range backwards',
      { protocol: 'TCP', destination: { ports: ['90:80'] } },
      ['.destination.ports[0]'],
    ],
    ['port 65536', { protocol: 'TCP', destination: { ports: [65536] } }, ['.destination.ports[0]']],
    ['port name', { protocol: 'TCP', destination: { ports: ['Http_port'] } }, ['.destination.ports[0]']],
    ['50 ports', { protocol: 'TCP', destination: { ports: Array(50).fill(1) } }, []],
    ['51 ports', { protocol: 'TCP', destination: { ports: Array(51).fill(1) } }, ['.destination.ports']],
    ['nets', { source: { nets: ['10.0.0.0/8', '10.0.0.1'] } }, []],
    ['nets with host bits', { source: { nets: ['10.0.0.1/8'] } }, ['.source.nets[0]']],
    [
      'nets of two families',
      { source: { nets: ['10.0.0.0/8'] }, destination: { notNets: ['fd00::/8'] } },
      ['.destination.notNets[0]'],
    ],
    ['nets against ipVersion', { ipVersion: 6, source: { nets: ['10.0.0.0/8'] } }, ['.source.nets[0]']],
    ['everything negated', { source: { notNets: ['0.0.0.0/0'] } }, ['.source.notNets[0]']],
    ['257 nets', { source: { nets: Array(257).fill('10.0.0.0/8') } }, ['.source.nets']],
    ['selector', { source: { selector: 'a == "b" &&' } }, ['.source.selector']],
    ['selector over namespaces', { source: { namespaceSelector: 'global()' } }, []],
    [
      'global in company',
      { source: { namespaceSelector: 'global() || has(a)' } },
      ['.source.namespaceSelector'],
    ],
    ['global in a selector', { source: { selector: 'global()' } }, ['.source.selector']],
    ['global quoted', { source: { selector: 'a == "global()"' } }, []],
    ['long selector', { source: { selector: `a == "${'x'.repeat(1024)}"` } }, ['.source.selector']],
    ['services in source', { source: { services: { name: 's' } } }, []],
    ['services in destination', { destination: { services: { name: 's' } } }, ['.destination.services']],
    ['services without name', { source: { services: {} } }, ['.source.services.name']],
    [
      'services with selector',
      { source: { services: { name: 's' }, selector: 'has(a)' } },
      ['.source.services'],
    ],
    ['services with empty list', { source: { services: { name: 's' }, nets: [] } }, []],
    ['http', { http: { methods: ['GET'], paths: [{ exact: '/a' }, { prefix: '/b' }] } }, []],
    ['http with Deny', { action: 'Deny', http: { methods: ['GET'] } }, ['.http']],
    ['http with UDP', { protocol: 'UDP', http: { methods: ['GET'] } }, ['.http']],
    ['http path twice', { http: { paths: [{ exact: '/a', prefix: '/b' }] } }, ['.http.paths[0]']],
    ['http path empty', { http: { paths: [{}] } }, ['.http.paths[0]']],
    ['service accounts', { source: { serviceAccounts: { names: ['a'], selector: 'has(x)' } } }, []],
    ['unknown field', { sources: {} }, ['.sources']],
    ['rule metadata', { metadata: { annotations: { a: 'b' } } }, []],
  ]);
  ruleTable('GlobalNetworkPolicy', 'egress', [
    ['services', { destination: { services: { name: 's', namespace: 'n' } } }, []],
    [
      'services without namespace',
      { destination: { services: { name: 's' } } },
      ['.destination.services.namespace'],
    ],
    [
      'services with ports',
      { protocol: 'TCP', destination: { services: { name: 's', namespace: 'n' }, ports: [1] } },
      ['.destination.services'],
    ],
    ['http in egress', { http: {} }, ['.http']],
  ]);
});

test('specs of every kind are checked', () => {
  const knp = (spec: Loose) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'x' },
    spec,
  });
  const table: [string, Loose, string[]][] = [
    ['tier name', v3('NetworkPolicy', { tier: 'a.b' }), ['spec.tier']],
    ['order', v3('NetworkPolicy', { order: Number.NaN }), ['spec.order']],
    ['order text', v3('NetworkPolicy', { order: '10' }), ['spec.order']],
    ['types twice', v3('NetworkPolicy', { types: ['Ingress', 'Ingress'] }), ['spec.types[1]']],
    ['global fields', v3('NetworkPolicy', { namespaceSelector: 'all()' }), ['spec.namespaceSelector']],
    ['1024 rules', v3('NetworkPolicy', { ingress: Array(1024).fill({ action: 'Deny' }) }), []],
    ['1025 rules', v3('NetworkPolicy', { ingress: Array(1025).fill({ action: 'Deny' }) }), ['spec.ingress']],
    [
      'tier label',
      v3('NetworkPolicy', {}, { labels: { 'projectcalico.org/tier': 'y' } }),
      ['metadata.labels.projectcalico.org/tier'],
    ],
    ['global()', v3('GlobalNetworkPolicy', { namespaceSelector: 'global()' }), ['spec.namespaceSelector']],
    ['namespace', v3('GlobalNetworkPolicy', {}, { namespace: 'x' }), ['metadata.namespace']],
    ['untracked', v3('GlobalNetworkPolicy', { doNotTrack: true, applyOnForward: true }), []],
    ['untracked without forward', v3('GlobalNetworkPolicy', { doNotTrack: true }), ['spec.applyOnForward']],
    [
      'both',
      v3('GlobalNetworkPolicy', { doNotTrack: true, preDNAT: true, applyOnForward: true }),
      ['spec.preDNAT'],
    ],
    [
      'preDNAT egress',
      v3('GlobalNetworkPolicy', {
        preDNAT: true,
        applyOnForward: true,
        egress: [{ action: 'Deny' }],
        types: ['Egress'],
      }),
      ['spec.egress', 'spec.types'],
    ],
    ['default tier', v3('Tier', { order: 5 }, { name: 'default' }), ['spec.order']],
    [
      'default tier action',
      v3('Tier', { defaultAction: 'Pass' }, { name: 'default' }),
      ['spec.defaultAction'],
    ],
    ['tier dots', v3('Tier', {}, { name: 'a.b' }), ['metadata.name']],
    ['network set', v3('NetworkSet', { nets: ['10.0.0.1/8', '::1'] }), []],
    ['network set net', v3('NetworkSet', { nets: ['10.0.0'] }), ['spec.nets[0]']],
    [
      'network set label',
      v3('GlobalNetworkSet', {}, { labels: { 'projectcalico.org/namespace': 'y' } }),
      ['metadata.labels.projectcalico.org/namespace'],
    ],
    ['pool', v3('IPPool', { cidr: '10.0.0.0/16' }), []],
    ['pool without cidr', v3('IPPool', {}), ['spec.cidr']],
    [
      'pool without spec',
      { apiVersion: 'projectcalico.org/v3', kind: 'IPPool', metadata: { name: 'x' } },
      ['spec'],
    ],
    ['pool host bits', v3('IPPool', { cidr: '10.0.0.1/16' }), ['spec.cidr']],
    ['pool link-local', v3('IPPool', { cidr: '169.0.0.0/8' }), ['spec.cidr']],
    ['pool small', v3('IPPool', { cidr: '10.0.0.0/28' }), ['spec.cidr']],
    ['pool small disabled', v3('IPPool', { cidr: '10.0.0.0/28', disabled: true }), []],
    ['pool block', v3('IPPool', { cidr: '10.0.0.0/16', blockSize: 33 }), ['spec.blockSize']],
    ['pool block v6', v3('IPPool', { cidr: 'fd00::/64', blockSize: 115 }), ['spec.blockSize']],
    [
      'pool two encapsulations',
      v3('IPPool', { cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'CrossSubnet' }),
      ['spec.vxlanMode'],
    ],
    ['pool IPIP v6', v3('IPPool', { cidr: 'fd00::/64', ipipMode: 'Always' }), ['spec.ipipMode']],
    [
      'pool uses',
      v3('IPPool', { cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer', 'Workload'] }),
      ['spec.allowedUses'],
    ],
    [
      'pool load balancer',
      v3('IPPool', {
        cidr: '10.0.0.0/16',
        allowedUses: ['LoadBalancer'],
        disableBGPExport: true,
        nodeSelector: 'has(a)',
      }),
      ['spec.disableBGPExport', 'spec.nodeSelector'],
    ],
    ['profile', v3('Profile', { labelsToApply: { 'pcns.a': 'b' }, ingress: [{ action: 'Allow' }] }), []],
    ['profile of a namespace', v3('Profile', {}, { name: 'kns.default' }), ['metadata.name']],
    ['built-in profile', v3('Profile', {}, { name: 'projectcalico-default-allow' }), ['metadata.name']],
    ['label key', v3('NetworkSet', {}, { labels: { '-a': 'b' } }), ['metadata.labels.-a']],
    ['label value', v3('NetworkSet', {}, { labels: { a: 1 } }), ['metadata.labels.a']],
    [
      'annotations',
      v3('NetworkSet', {}, { annotations: { a: 'x'.repeat(262_144) } }),
      ['metadata.annotations'],
    ],
    ['name', v3('NetworkSet', {}, { name: 'A/../b\n' }), ['metadata.name']],
    ['no name', v3('NetworkSet', {}, { name: null }), ['metadata.name']],
    ['Kubernetes policy', knp({ podSelector: {} }), []],
    ['selector needed', knp({}), ['spec.podSelector']],
    ['unknown field', knp({ podSelector: {}, selector: '' }), ['spec.selector']],
    ['empty peer', knp({ podSelector: {}, ingress: [{ from: [{}] }] }), ['spec.ingress[0].from[0]']],
    [
      'ipBlock in company',
      knp({ podSelector: {}, ingress: [{ from: [{ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }] }] }),
      ['spec.ingress[0].from[0]'],
    ],
    [
      'except',
      knp({
        podSelector: {},
        egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }] }],
      }),
      ['spec.egress[0].to[0].ipBlock.except[0]'],
    ],
    [
      'endPort',
      knp({ podSelector: {}, ingress: [{ ports: [{ port: 80, endPort: 79 }] }] }),
      ['spec.ingress[0].ports[0].endPort'],
    ],
    [
      'endPort with name',
      knp({ podSelector: {}, ingress: [{ ports: [{ port: 'http', endPort: 79 }] }] }),
      ['spec.ingress[0].ports[0].endPort'],
    ],
    [
      'operator',
      knp({ podSelector: { matchExpressions: [{ key: 'a', operator: 'in', values: ['b'] }] } }),
      ['spec.podSelector.matchExpressions[0].operator'],
    ],
    ['pod', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { anything: [1] } }, []],
    [
      'pod address',
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status: { podIP: '10.0.0' } },
      ['status.podIP'],
    ],
    ['host endpoint', v3('HostEndpoint', { node: 'n', interfaceName: 'eth0' }), []],
    ['version', { apiVersion: 'v3', kind: 'Tier', metadata: { name: 'x' } }, ['apiVersion']],
    ['nothing', {}, ['apiVersion', 'kind']],
  ];
  for (const [name, value, paths] of table)
    assert.deepEqual(
      faultsOf(value).map(([path]) => path),
      paths,
      name,
    );
});

test('every fault is told at once, with what was found, what is wanted and what may have been meant', () => {
  const faults = faultsOf(
    v3('NetworkPolicy', { selectr: 'x', ingress: [{ action: 'Alow', source: { nets: ['1.2.3.4/8'] } }] }),
  );
  assert.deepEqual(faults, [
    ['spec.selectr', 'unknown field "selectr"; did you mean "selector"?'],
    ['spec.ingress[0].action', 'got "Alow", want Allow, Deny, Log or Pass; did you mean Allow?'],
    ['spec.ingress[0].source.nets[0]', 'got "1.2.3.4/8", want 1.0.0.0/8: bits after the prefix must be zero'],
  ]);
});

test('a kind that is nearly one is told by its name, no value by two quotes', () => {
  const meant = faultsOf({ ...v3('NetworkPolicy', {}), kind: 'GlobalNetworkPolcy' });
  const message = 'got "GlobalNetworkPolcy" of "projectcalico.org/v3", did you mean GlobalNetworkPolicy?';
  assert.deepEqual(meant, [['kind', message]]);
  const [unmeant] = faultsOf({ ...v3('NetworkPolicy', {}), kind: 'Gizmo' });
  assert.match(unmeant?.[1] ?? '', /^got "Gizmo" of .*, want one of Namespace, .*, LiveMigration$/);
  const state = faultsOf(
    v3('BlockAffinity', { node: 'n', cidr: '10.0.0.0/26', deleted: false, state: 'sure' }),
  );
  assert.deepEqual(state, [['spec.state', 'got "sure", want "", pending, confirmed or pendingDeletion']]);
});

test('types follow from the number of rules, not from the presence of their fields', () => {
  const rule = { action: 'Allow' };
  const table: [Loose, string[]][] = [
    [{}, ['Ingress']],
    [{ egress: [] }, ['Ingress']],
    [{ ingress: [], egress: [] }, ['Ingress']],
    [{ ingress: [rule], egress: [] }, ['Ingress']],
    [{ ingress: [], egress: [rule] }, ['Egress']],
    [{ egress: [rule] }, ['Egress']],
    [{ ingress: [rule], egress: [rule] }, ['Ingress', 'Egress']],
    [{ types: [], egress: [rule] }, ['Egress']],
    [{ types: ['Egress'], ingress: [rule] }, ['Egress']],
  ];
  for (const [spec, types] of table) {
    assert.deepEqual(specOf(v3('NetworkPolicy', spec)).types, types, JSON.stringify(spec));
  }
});

test('defaults are filled in and spellings brought to one', () => {
  const policy = validateResource(
    v3('NetworkPolicy', {
      ingress: [{ action: 'Allow', protocol: 'tcp', destination: { ports: ['80', '90:90', '1:2', 'a'] } }],
    }),
  ).resource;
  assert.equal(policy?.metadata.namespace, 'default');
  assert.equal(policy?.metadata.labels?.['projectcalico.org/tier'], 'default');
  assert.deepEqual(specOf(policy).ingress, [
    { action: 'Allow', protocol: 'TCP', destination: { ports: [80, 90, '1:2', 'a'] } },
  ]);
  const ports = ['tcp', 'Sctp', 6, '17'].map((protocol) => ({ name: 'a', protocol, port: 1 }));
  const spelled = ['TCP', 'SCTP', 6, 'UDP'];
  for (const [kind, spec] of [
    ['HostEndpoint', { node: 'n', interfaceName: '*', ports }],
    ['WorkloadEndpoint', { ports }],
  ] as const) {
    const protocols = (specOf(v3(kind, spec)).ports as Loose[]).map(({ protocol }) => protocol);
    assert.deepEqual(protocols, spelled, kind);
  }
  assert.equal(
    validateResource(v3('NetworkPolicy', {}), { namespace: 'n' }).resource?.metadata.namespace,
    'n',
  );
  assert.deepEqual(specOf(v3('Tier', {})), { order: 1_000_000, defaultAction: 'Deny' });
  assert.deepEqual(specOf(v3('Tier', {}, { name: 'kube-admin' })), { order: 1_000, defaultAction: 'Pass' });
  assert.deepEqual(specOf(v3('IPPool', { cidr: 'fd00::/64' })), {
    ipipMode: 'Never',
    vxlanMode: 'Never',
    blockSize: 122,
    nodeSelector: 'all()',
    allowedUses: ['Workload', 'Tunnel'],
    assignmentMode: 'Automatic',
    cidr: 'fd00::/64',
  });
  const again = validateResource(policy);
  assert.deepEqual(again.resource, policy, 'defaults are filled in once');
});

test('the input is neither changed nor shared', () => {
  const input = v3('NetworkPolicy', { ingress: [{ action: 'Allow' }] }, { labels: { a: 'b' } });
  const before = structuredClone(input);
  const { resource } = validateResource(input);
  assert.deepEqual(input, before);
  assert.notEqual(resource?.metadata, input.metadata);
});

test('keys like __proto__ are refused or kept as plain data, and change no prototype', () => {
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  const hostile = '{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}';
  const places = [
    '',
    'metadata',
    'metadata.labels',
    'metadata.annotations',
    'spec',
    'spec.ingress.0',
    'spec.ingress.0.source',
  ];
  for (const place of places) {
    const value = v3(
      'NetworkPolicy',
      { ingress: [{ action: 'Allow', source: {} }] },
      { labels: {}, annotations: {} },
    );
    const target = place
      .split('.')
      .reduce<Loose>((at, name) => (name === '' ? at : (at[name] as Loose)), value);
    for (const [key, child] of Object.entries(JSON.parse(hostile))) {
      Object.defineProperty(target, key, { value: child, enumerable: true });
    }
    assert.ok(
      faultsOf(value).some(([path]) => path.endsWith('__proto__')),
      place,
    );
  }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: JSON.parse(hostile) };
  const kept = validateResource(pod).resource?.spec as object;
  assert.ok(Object.hasOwn(kept, '__proto__'));
  assert.equal(Object.getPrototypeOf(kept), Object.prototype);
  assert.deepEqual(Object.getOwnPropertyNames(Object.prototype).sort(), before);
  assert.ok(!('polluted' in {}));
});

test('depth, size and cycles end in a fault', () => {
  let deep: unknown = {};
  for (let i = 0; i < 100_000; i++) deep = [deep];
  assert.match(faultsOf(v3('NetworkPolicy', { ingress: deep as Loose }))[0]?.[1] ?? '', /nested too deep/);
  const cycle: Loose = v3('NetworkPolicy', {});
  cycle.self = cycle;
  assert.match(faultsOf(cycle)[0]?.[1] ?? '', /nested too deep/);
  let bomb: unknown = 1;
  for (let i = 0; i < 30; i++) bomb = Array(10).fill(bomb);
  assert.match(faultsOf(v3('NetworkPolicy', { ingress: bomb as Loose }))[0]?.[1] ?? '', /too large/);
});

test('anything at all is judged without throwing, in any field of any kind', () => {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(
      '',
      [],
      {},
      null,
      undefined,
      Number.NaN,
      -1,
      2 ** 53 + 2,
      1e308,
      true,
      'x'.repeat(70_000),
      10n,
    ),
  );
  const field = fc.constantFrom(
    'selector',
    'ingress',
    'egress',
    'types',
    'order',
    'tier',
    'nets',
    'cidr',
    'podSelector',
    'labelsToApply',
    'blockSize',
  );
  const rule = fc.record(
    {
      action: fc.oneof(fc.constant('Allow'), odd),
      protocol: odd,
      source: odd,
      destination: fc.record({ ports: odd, nets: odd, services: odd, selector: odd }),
      icmp: odd,
      http: odd,
    },
    { requiredKeys: [] },
  );
  const spec = fc.oneof(
    fc.dictionary(field, odd),
    fc.record({ ingress: fc.array(rule, { maxLength: 3 }) }),
    odd,
  );
  fc.assert(
    fc.property(fc.constantFrom(...kinds), spec, odd, (row, specValue, extra) => {
      const value = {
        apiVersion: row.apiVersion,
        kind: row.writtenKind,
        metadata: { name: 'x', labels: extra },
        spec: specValue,
        status: extra,
      };
      const { resource, faults } = validateResource(value);
      assert.equal(resource === null, faults.length > 0);
      for (const fault of faults) assert.ok(fault.message.length > 0);
      validateResource(extra);
    }),
    { numRuns: 300 },
  );
});

test('kinds are found by every name, and keys have one text', () => {
  const table: [string, string][] = [
    ['ns', 'Namespace'],
    ['po', 'Pod'],
    ['sa', 'ServiceAccount'],
    ['no', 'Node'],
    ['netpol', 'KubernetesNetworkPolicy'],
    ['knp', 'KubernetesNetworkPolicy'],
    ['networkpolicies.networking.k8s.io', 'KubernetesNetworkPolicy'],
    ['NetworkPolicy', 'NetworkPolicy'],
    ['np', 'NetworkPolicy'],
    ['cnp', 'NetworkPolicy'],
    ['caliconetworkpolicy', 'NetworkPolicy'],
    ['networkpolicies.projectcalico.org', 'NetworkPolicy'],
    ['gnp', 'GlobalNetworkPolicy'],
    ['cgnp', 'GlobalNetworkPolicy'],
    ['gns', 'GlobalNetworkSet'],
    ['ippools', 'IPPool'],
  ];
  for (const [name, kind] of table) assert.equal(rowOfName(name)?.kind, kind, name);
  assert.equal(rowOfName('constructor'), null);
  const { resource } = validateResource(v3('NetworkPolicy', {}));
  assert.ok(resource);
  assert.equal(keyPath(keyOf(resource)), 'NetworkPolicy/default/x');
  for (const { columns } of kinds)
    for (const { cell } of columns) assert.equal(typeof cell(resource), 'string');
  const names = kinds.flatMap((row) => [row.plural, row.singular, ...row.shortNames]);
  assert.equal(new Set(names).size, names.length);
});
