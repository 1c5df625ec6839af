// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allow,
  allowed,
  ask,
  core,
  deny,
  gnp,
  type Json,
  knp,
  np,
  pod,
  tier,
  toB,
  told,
} from '../../../test/support/oracle-cluster.ts';

test('oracle: 2.10 Order in a tier: by order, unset last, ties by name, namespace, kind', () => {
  const log = (spec: Json) => toB({ ingress: [{ action: 'Log' }], ...spec });
  const resources = [
    gnp('a', log({})),
    gnp('z', log({ order: 1 })),
    np('red', 'm', log({ order: 2 })),
    gnp('m', log({ order: 2 })),
    knp('red', 'k', { podSelector: {}, ingress: [{ ports: [{ port: 9 }] }] }),
    gnp('last', log({ order: 1001 })),
  ];
  assert.deepEqual(told(ask(resources, 'a', 'b').ingress), [
    'default/GlobalNetworkPolicy/z[0] log',
    'default/GlobalNetworkPolicy/m[0] log',
    'default/NetworkPolicy/red/m[0] log',
    'default/GlobalNetworkPolicy/last[0] log',
    'default/GlobalNetworkPolicy/a[0] log',
    'end of default deny',
  ]);
  const same = [
    gnp('k', toB({ order: 1000, ingress: [deny] })),
    knp('red', 'k', { podSelector: {}, ingress: [{}] }),
  ];
  assert.ok(!allowed(same, 'a', 'b'), 'namespace is asked before kind, and a global policy has none');
});

test('oracle: 2.2 types, 0.2: they follow from the length of the lists', () => {
  const table: [Json, boolean, boolean][] = [
    [{}, true, false],
    [{ ingress: [] }, true, false],
    [{ egress: [] }, true, false],
    [{ types: [], ingress: [], egress: [] }, true, false],
    [{ egress: [deny] }, false, true],
    [{ ingress: [], egress: [deny] }, false, true],
    [{ ingress: [deny], egress: [] }, true, false],
    [{ ingress: [deny], egress: [deny] }, true, true],
    [{ types: ['Egress'], ingress: [deny] }, false, true],
    [{ types: ['Ingress', 'Egress'] }, true, true],
  ];
  for (const [spec, ingress, egress] of table) {
    const policy = [gnp('p', { selector: "app == 'b'", ...spec })];
    assert.equal(!allowed(policy, 'a', 'b'), ingress, `ingress ${JSON.stringify(spec)}`);
    assert.equal(!allowed(policy, 'b', 'a'), egress, `egress ${JSON.stringify(spec)}`);
  }
});

test('oracle: 2.10 doNotTrack, preDNAT: untracked and pre-DNAT policies are not about workloads', () => {
  assert.ok(allowed([gnp('p', toB({ doNotTrack: true, applyOnForward: true }))], 'a', 'b'));
  assert.ok(allowed([gnp('p', toB({ preDNAT: true, applyOnForward: true }))], 'a', 'b'));
  assert.ok(!allowed([gnp('p', toB({ applyOnForward: true }))], 'a', 'b'));
});

test('oracle: 2.9.1: which endpoints a policy selects', () => {
  const select = (spec: Json) =>
    ['a', 'b', 'c'].filter((to) => !allowed([gnp('p', { types: ['Ingress'], ...spec })], 'out', to));
  assert.deepEqual(select({}), ['a', 'b', 'c']);
  assert.deepEqual(select({ selector: "app in {'a', 'c'}" }), ['a', 'c']);
  assert.deepEqual(select({ selector: "nothing != 'x'" }), ['a', 'b', 'c'], '!= holds without the label');
  assert.deepEqual(select({ selector: "nothing not in {'x'}" }), ['a', 'b', 'c']);
  assert.deepEqual(select({ selector: "nothing == 'x' || nothing contains ''" }), []);
  assert.deepEqual(select({ selector: "pcns.team == 'y'" }), ['c']);
  assert.deepEqual(
    select({ selector: "projectcalico.org/orchestrator == 'k8s' && pcns.projectcalico.org/name == 'red'" }),
    ['a', 'b'],
  );
  assert.deepEqual(select({ namespaceSelector: "team == 'x'" }), ['a', 'b']);
  assert.deepEqual(select({ namespaceSelector: 'all()', selector: "app != 'a'" }), ['b', 'c']);
  assert.deepEqual(select({ serviceAccountSelector: "role == 'other'" }), ['c']);
  const inBlue = ['a', 'b', 'c'].filter(
    (to) => !allowed([np('blue', 'p', { types: ['Ingress'] })], 'out', to),
  );
  assert.deepEqual(inBlue, ['c']);
});

test('oracle: 2.8 label name-spaces: pods may not carry inherited labels themselves; their own beat inherited ones', () => {
  const base = [
    core('Namespace', 'red', { 'projectcalico.org/name': 'forged', x: '1' }),
    pod('red', 'b', '2', {
      labels: { 'pcns.team': 'x', 'pcsa.role': 'x', 'projectcalico.org/namespace': 'blue' },
    }),
  ];
  const hit = (selector: string) =>
    !allowed([gnp('p', { selector, types: ['Ingress'] })], 'out', 'b', {}, base);
  assert.ok(!hit('has(pcns.team) || has(pcsa.role)'));
  assert.ok(hit("projectcalico.org/namespace == 'red'"));
  assert.ok(hit("pcns.projectcalico.org/name == 'red' && pcns.x == '1'"));
});

test('oracle: 0.3, 2.10 OpenStack: without tier, types and order: default tier, types by their rules, last', () => {
  for (const bare of [{}, { tier: '' }, { tier: null, order: null, types: null }, { types: [] }]) {
    const stored = gnp('z', { selector: "app == 'b'", ...bare, ingress: [allow] });
    const before = gnp('a', toB({ order: 1e9, ingress: [{ action: 'Log' }] }));
    assert.deepEqual(
      told(ask([stored, before], 'a', 'b').ingress),
      ['default/GlobalNetworkPolicy/a[0] log', 'default/GlobalNetworkPolicy/z[0] allow'],
      JSON.stringify(bare),
    );
    assert.deepEqual(told(ask([stored], 'b', 'a').egress), ['kns.red[0] allow']);
  }
  const both = np('red', 'p', { selector: "app == 'b'", ingress: [allow], egress: [deny] });
  assert.ok(allowed([both], 'a', 'b') && !allowed([both], 'b', 'a'));
});

test('oracle: 2.9.8: identity is kind, namespace and name; the tier is an attribute', () => {
  const early = tier('early', 1, 'Pass');
  const same = [
    np('red', 'p', toB({ tier: 'early' })),
    gnp('p', toB({})),
    knp('red', 'p', { podSelector: {} }),
  ];
  assert.deepEqual(told(ask([early, ...same], 'a', 'b').ingress), [
    'end of early pass',
    'end of default deny',
  ]);
});

test('oracle: 2.2 namespaceSelector, 2.9.1: of global policies: all() has a namespace', () => {
  const select = (spec: Json) =>
    ['a', 'b', 'c'].filter((to) => !allowed([gnp('p', { types: ['Ingress'], ...spec })], 'out', to));
  assert.deepEqual(select({ namespaceSelector: "all() && team == 'y'" }), ['c']);
  assert.deepEqual(select({ namespaceSelector: 'global()' }), []);
  assert.deepEqual(select({ namespaceSelector: "projectcalico.org/name == 'red'", selector: '!has(x)' }), [
    'a',
    'b',
  ]);
  assert.deepEqual(select({ serviceAccountSelector: "projectcalico.org/name == 'default'" }), [
    'a',
    'b',
    'c',
  ]);
  assert.deepEqual(select({ serviceAccountSelector: 'all()' }), ['a', 'b', 'c']);
  const own = np('red', 'p', { serviceAccountSelector: "role == 'plain'", types: ['Ingress'] });
  assert.ok(!allowed([own], 'out', 'b') && allowed([own], 'out', 'c'));
});
