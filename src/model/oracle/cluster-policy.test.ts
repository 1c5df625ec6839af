// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allow,
  allowed,
  ask,
  askHost,
  calico,
  gnp,
  hep,
  type Json,
  knp,
  type Sent,
  toB,
  told,
} from '../../../test/support/oracle-cluster.ts';
import type { Resource } from '../types.ts';

const everyPod = { namespaces: {} };
const redPods = { namespaces: { matchLabels: { team: 'x' } } };
const appB = { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'b' } } } };

function kcnp(name: string, spec: Json): Resource {
  const metadata = { name };
  const full = { tier: 'Admin', priority: 10, subject: appB, ...spec };
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata,
    spec: full,
  };
}

const from = (action: string, peer: Json, rest: Json = {}) => ({
  ingress: [{ action, from: [peer], ...rest }],
});
const to = (action: string, peer: Json, rest: Json = {}) => ({
  subject: everyPod,
  egress: [{ action, to: [peer], ...rest }],
});
const senders = ['a', 'c', 'out'];
const denied = (spec: Json, sent: Sent = {}) =>
  senders.filter((sender) => !allowed([kcnp('p', spec)], sender, 'b', sent));

test('oracle: 2.10 ClusterNetworkPolicy: Admin before all tiers but earlier ones, Baseline after them', () => {
  const bars = from('Deny', everyPod);
  const opens = gnp('q', toB({ ingress: [allow] }));
  assert.ok(!allowed([kcnp('p', bars), opens], 'a', 'b'));
  assert.ok(allowed([kcnp('p', { ...bars, tier: 'Baseline' }), opens], 'a', 'b'));
  assert.ok(!allowed([kcnp('p', { ...bars, tier: 'Baseline' })], 'a', 'b'));
  const early = calico('Tier', 'early', { order: 999 });
  assert.ok(allowed([early, kcnp('p', bars), gnp('q', toB({ tier: 'early', ingress: [allow] }))], 'a', 'b'));
  const kubernetes = knp('red', 'q', { podSelector: {} });
  assert.ok(!allowed([kcnp('p', { ...from('Accept', everyPod), tier: 'Baseline' }), kubernetes], 'a', 'b'));
});

test('oracle: 2.10 ClusterNetworkPolicy: by priority among all of its tier; its end passes', () => {
  const logs = gnp('m', toB({ tier: 'kube-admin', order: 10, ingress: [{ action: 'Log' }] }));
  const resources = [
    kcnp('z', { ...from('Pass', redPods), priority: 11 }),
    kcnp('n', from('Pass', appB)),
    logs,
  ];
  assert.deepEqual(told(ask(resources, 'a', 'b').ingress), [
    'kube-admin/GlobalNetworkPolicy/m[0] log',
    'kube-admin/ClusterNetworkPolicy/z[0] pass',
    'kns.red[0] allow',
  ]);
  assert.deepEqual(told(ask(resources, 'c', 'b').ingress).at(-2), 'end of kube-admin pass');
  const zero = kcnp('p', { ...from('Deny', everyPod), priority: 0 });
  assert.ok(!allowed([zero, kcnp('a', { ...from('Accept', everyPod), priority: 1 })], 'a', 'b'));
});

test('oracle: 2.10 ClusterNetworkPolicy: Accept, Deny and Pass; the first rule that matches', () => {
  const rules = (...actions: string[]) => actions.map((action) => ({ action, from: [redPods] }));
  const after = gnp('q', toB({}));
  const fate = (...actions: string[]) =>
    allowed([kcnp('p', { ingress: rules(...actions) }), after], 'a', 'b');
  assert.ok(fate('Accept', 'Deny'));
  assert.ok(!fate('Deny', 'Accept'));
  assert.ok(!fate('Pass', 'Accept'), 'past the rest of its tier');
});

test('oracle: 2.10 ClusterNetworkPolicy: the subject is pods alone, by namespace or by both', () => {
  const selected = (subject: Json) =>
    ['a', 'b', 'c'].filter((to) => !allowed([kcnp('p', { subject, ...from('Deny', everyPod) })], 'b', to));
  assert.deepEqual(selected(everyPod), ['a', 'c'], 'itself a pod reaches always');
  assert.deepEqual(selected({ namespaces: { matchLabels: { team: 'y' } } }), ['c']);
  const expressions = [{ key: 'app', operator: 'NotIn', values: ['c'] }];
  assert.deepEqual(selected({ pods: { podSelector: { matchExpressions: expressions } } }), ['a']);
  const both = { namespaceSelector: { matchLabels: { team: 'y' } }, podSelector: {} };
  assert.deepEqual(selected({ pods: both }), ['c']);
  const endpoint = hep('eth0', { interfaceName: 'eth0', profiles: ['projectcalico-default-allow'] });
  const bars = kcnp('p', to('Deny', { networks: ['0.0.0.0/0'] }));
  assert.ok(askHost([endpoint, bars], 'h', 'out').allowed, 'no host');
});

test('oracle: 2.10 ClusterNetworkPolicy: peers are alternatives: namespaces, pods, and in egress networks', () => {
  assert.deepEqual(denied(from('Deny', everyPod)), ['a', 'c']);
  assert.deepEqual(denied(from('Deny', redPods)), ['a']);
  const appC = { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'c' } } } };
  assert.deepEqual(denied({ ingress: [{ action: 'Deny', from: [redPods, appC] }] }), ['a', 'c']);
  const sets = calico('NetworkSet', 's', { nets: ['192.0.2.0/24'] }, 'red');
  assert.ok(allowed([sets, kcnp('p', from('Deny', everyPod))], 'out', 'b'), 'a network set is no pod');
  const egress = (networks: readonly string[]) =>
    ['b', 'c', 'out'].filter((it) => !allowed([kcnp('p', to('Deny', { networks }))], 'a', it));
  assert.deepEqual(egress(['10.0.0.2/31']), ['b', 'c']);
  assert.deepEqual(egress(['192.0.2.0/24', '::/0']), ['out']);
});

test('oracle: 2.10 ClusterNetworkPolicy: types only for directions with rules', () => {
  assert.deepEqual(ask([kcnp('p', from('Pass', appB))], 'b', 'a').egress?.links.length, 1);
  assert.deepEqual(told(ask([kcnp('p', { ingress: [], egress: [] })], 'a', 'b').ingress), [
    'kns.red[0] allow',
  ]);
});

test('oracle: 2.10 ClusterNetworkPolicy: protocols are alternatives: ports, ranges and names', () => {
  const bars = (...protocols: Json[]) => from('Deny', everyPod, { protocols });
  const tcp = (destinationPort: Json) => ({ tcp: { destinationPort } });
  const hits = (spec: Json, sent: Sent) => denied(spec, sent).includes('a');
  assert.ok(hits(bars(tcp({ number: 80 })), {}) && !hits(bars(tcp({ number: 81 })), {}));
  assert.ok(!hits(bars({ udp: { destinationPort: { number: 80 } } }), {}));
  const range = tcp({ range: { start: 80, end: 90 } });
  assert.ok(hits(bars(range), { port: 90 }) && !hits(bars(range), { port: 91 }));
  assert.ok(hits(bars(tcp({ number: 1 }), { sctp: { destinationPort: { number: 80 } } }), { protocol: 132 }));
  const dns = { destinationNamedPort: 'dns' };
  assert.ok(hits(bars(dns), { protocol: 17, port: 53 }) && !hits(bars(dns), { port: 53 }));
  assert.ok(!hits(bars(tcp({ number: 80 })), { icmp: [8, 0] }) && hits(bars(), { icmp: [8, 0] }));
});

test('oracle: 2.10 ClusterNetworkPolicy: a rule not understood: Deny and Pass deny all, Accept disappears', () => {
  const peers: Json[] = [
    {},
    { nodes: {} },
    { domainNames: ['a.example'] },
    { networks: ['10.0.0.1'] },
    { networks: [] },
    { ...redPods, ...appB },
    { namespaces: { matchExpressions: [{ key: 'x', operator: 'Gt', values: ['1'] }] } },
  ];
  for (const peer of peers) {
    const fate = (action: string) =>
      allowed(
        [kcnp('p', to(action, peer)), gnp('q', { selector: "app == 'a'", types: ['Egress'] })],
        'a',
        'out',
      );
    assert.ok(!fate('Accept'), `Accept ${JSON.stringify(peer)}`);
    for (const action of ['Deny', 'Pass']) {
      assert.ok(!allowed([kcnp('p', to(action, peer))], 'a', 'out'), `${action} ${JSON.stringify(peer)}`);
    }
  }
  assert.deepEqual(denied(from('Deny', { networks: ['10.0.0.1/32'] })), senders, 'no peer of ingress');
  assert.deepEqual(denied({ ingress: [{ action: 'Deny', from: [redPods, {}] }] }), senders, 'one is enough');
  const protocols: Json[] = [{}, { icmp: {} }, { tcp: {} }, { tcp: { destinationPort: {} } }];
  for (const protocol of protocols) {
    assert.deepEqual(denied(from('Pass', redPods, { protocols: [protocol] })), senders);
    assert.deepEqual(denied(from('Accept', redPods, { protocols: [protocol] })), []);
  }
  const named = { protocols: [{ destinationNamedPort: 'web' }] };
  assert.ok(!allowed([kcnp('p', to('Deny', { networks: ['10.9.0.0/16'] }, named))], 'a', 'out'));
});

test('oracle: 2.10 ClusterNetworkPolicy: a malformed object counts as absent', () => {
  const bars = from('Deny', everyPod);
  const faults: Json[] = [
    { tier: 'Default' },
    { tier: '' },
    { priority: -1 },
    { priority: 1001 },
    { priority: 1.5 },
    { priority: null },
    { subject: {} },
    { subject: { ...everyPod, ...appB } },
    { subject: { nodes: {} } },
    from('Allow', everyPod),
    { ingress: [...bars.ingress, { action: 'Deny', from: [] }] },
  ];
  for (const fault of faults) assert.deepEqual(denied({ ...bars, ...fault }), [], JSON.stringify(fault));
  assert.deepEqual(denied({ ...bars, priority: 1000 }), ['a', 'c']);
});
