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

test('a rule with services or http never opens anything, and says that it is not supported', () => {
  const spec = {
    tier: 'default',
    ingress: [
      { action: 'Allow', source: { services: { name: 's' } } },
      { action: 'Allow', http: { methods: ['GET'] } },
      { action: 'Log', source: { services: { name: 's' } } },
      { action: 'Deny', source: { services: { name: 's' } }, destination: { nets: ['10.0.0.0/8'] } },
      { action: 'Pass', protocol: 'UDP', source: { services: { name: 's' } } },
      { action: 'Allow', protocol: 'TCP' },
    ],
  };
  const { updates, faults } = updatesOf(policyKey, v3('NetworkPolicy', spec, { namespace: 'n' }));
  const value = updates[0]?.value as PolicyValue;
  assert.deepEqual(
    value.ingress.map(({ action, protocol, destination }) => [action, protocol, destination.nets]),
    [
      ['deny', undefined, ['10.0.0.0/8']],
      ['deny', 17, []],
      ['allow', 6, []],
    ],
  );
  assert.equal(faults.length, 5);
  assert.match(faults[0]?.message ?? '', /not supported yet/);
  assert.equal(faults[1]?.path, 'spec.ingress[1].http');
});

test('policies for host endpoints alone are no policies for workloads, and that is said', () => {
  for (const field of ['doNotTrack', 'preDNAT']) {
    const { updates, faults } = updatesOf(
      globalKey,
      v3('GlobalNetworkPolicy', { [field]: true, applyOnForward: true }),
    );
    assert.deepEqual(updates, [{ kind: 'Policy', path: 'GlobalNetworkPolicy/x', value: null }]);
    assert.match(faults[0]?.message ?? '', /not supported yet/);
  }
  assert.ok(policyValue({ applyOnForward: true }, true));
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
  assert.deepEqual(node.value, { name: 'x', addresses: ['10.9.0.1', 'fd00::1'] });
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
        assert.equal(updatesOf(key, null).updates[0]?.value, null);
      },
    ),
    { numRuns: 300 },
  );
});
