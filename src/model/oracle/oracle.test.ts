// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allowed,
  ask,
  calico,
  cluster,
  core,
  deny,
  gnp,
  type Json,
  pod,
  tier,
  toB,
  told,
} from '../../../test/support/oracle-cluster.ts';

test('oracle: 2.10 Kubernetes defaults: a pod that no policy selects is open both ways, by its namespace’s profile', () => {
  const judgement = ask([], 'a', 'b');
  assert.deepEqual(told(judgement.egress), ['kns.red[0] allow']);
  assert.deepEqual(told(judgement.ingress), ['kns.red[0] allow']);
  assert.equal(judgement.ingress?.pod, 'red/b');
  assert.deepEqual(told(ask([], 'out', 'b').egress), [], 'nobody judges an outside address');
});

test('oracle: 2.10 After tiers: profiles: a missing one denies; a stored one serves when none is derived', () => {
  const orphan = [pod('gray', 'a', '1'), pod('red', 'b', '2'), core('Namespace', 'red', {})];
  assert.deepEqual(told(ask([], 'a', 'b', {}, orphan).egress), ['kns.gray missing']);
  // Under such a name nobody may store one, but pods have no other profiles.
  const stored = calico('Profile', 'kns.gray', {
    egress: [{ action: 'Log' }, { action: 'Allow', protocol: 'TCP' }],
  });
  assert.deepEqual(told(ask([stored], 'a', 'b', {}, orphan).egress), [
    'kns.gray[0] log',
    'kns.gray[1] allow',
  ]);
  assert.deepEqual(told(ask([stored], 'a', 'b', { protocol: 17 }, orphan).egress), [
    'kns.gray[0] log',
    'ksa.gray.default missing',
  ]);
  const account = core('ServiceAccount', 'default', {}, 'gray');
  assert.deepEqual(told(ask([stored, account], 'a', 'b', { protocol: 17 }, orphan).egress), [
    'kns.gray[0] log',
    'end of profiles',
  ]);
});

test('oracle: 2.10 After tiers: Pass out of the last tier meets the profiles; in a profile it goes on to the next', () => {
  const passing = gnp('p', toB({ ingress: [{ action: 'Pass' }, deny] }));
  assert.deepEqual(told(ask([passing], 'a', 'b').ingress), [
    'default/GlobalNetworkPolicy/p[0] pass',
    'kns.red[0] allow',
  ]);
  const orphan = [pod('gray', 'a', '1'), pod('red', 'b', '2'), core('Namespace', 'red', {})];
  const profile = (name: string, ...rules: Json[]) => calico('Profile', name, { egress: rules });
  const both = [
    profile('kns.gray', { action: 'Pass' }, { action: 'Deny' }),
    profile('ksa.gray.default', { action: 'Allow' }),
  ];
  assert.deepEqual(told(ask(both, 'a', 'b', {}, orphan).egress), [
    'kns.gray[0] pass',
    'ksa.gray.default[0] allow',
  ]);
});

test('oracle: 2.10 Applicability: a tier takes part only with a policy that selects the endpoint and governs the direction', () => {
  const early = tier('early', 1);
  assert.ok(allowed([early], 'a', 'b'), 'no policy');
  const other = gnp('p', { tier: 'early', selector: "app == 'c'", types: ['Ingress'] });
  assert.ok(allowed([early, other], 'a', 'b'), 'a policy for someone else');
  const egress = gnp('p', { tier: 'early', selector: "app == 'b'", types: ['Egress'] });
  assert.ok(allowed([early, egress], 'a', 'b'), 'a policy for the other direction');
  assert.deepEqual(told(ask([early, gnp('p', toB({ tier: 'early' }))], 'a', 'b').ingress), [
    'end of early deny',
  ]);
});

test('oracle: 2.10 Order of tiers: by order, then name; without order at one million; unknown ones last and denying, by name', () => {
  const pass = { action: 'Pass' };
  const at = (name: string) => gnp(name, toB({ tier: name, ingress: [pass] }));
  const resources = [
    tier('z', 5),
    tier('b', 7),
    tier('a', 7),
    tier('late', 20_000_000),
    calico('Tier', 'plain', {}),
    ...['ghost2', 'late', 'plain', 'default', 'kube-admin', 'ghost1', 'a', 'b', 'z', 'kube-baseline'].map(at),
  ];
  assert.deepEqual(
    told(ask(resources, 'a', 'b').ingress).map((link) => link.split('/')[0]),
    [
      'z',
      'a',
      'b',
      'kube-admin',
      'default',
      'plain',
      'kube-baseline',
      'late',
      'ghost1',
      'ghost2',
      'kns.red[0] allow',
    ],
  );
  assert.deepEqual(told(ask([gnp('p', toB({ tier: 'ghost' }))], 'a', 'b').ingress), ['end of ghost deny']);
  const renumbered = [tier('default', 1, 'Pass'), gnp('p', toB({}))];
  assert.deepEqual(told(ask(renumbered, 'a', 'b').ingress), ['end of default deny'], 'default is fixed');
});

test('oracle: 2.10 Rules, End of tier: first match wins; Log goes on; Pass leaves the tier; the end of a tier is its default action', () => {
  const rules = [
    { action: 'Log' },
    { action: 'Allow', protocol: 'UDP' },
    { action: 'Pass', protocol: 'TCP' },
    deny,
  ];
  const resources = [tier('t', 1), gnp('p', toB({ tier: 't', ingress: rules })), gnp('q', toB({}))];
  assert.deepEqual(told(ask(resources, 'a', 'b').ingress), [
    't/GlobalNetworkPolicy/p[0] log',
    't/GlobalNetworkPolicy/p[2] pass',
    'end of default deny',
  ]);
  assert.ok(allowed(resources, 'a', 'b', { protocol: 17 }));
  assert.ok(!allowed(resources, 'a', 'b', { protocol: 132 }));
  const passing = [tier('t', 1, 'Pass'), gnp('p', toB({ tier: 't' }))];
  assert.deepEqual(told(ask(passing, 'a', 'b').ingress), ['end of t pass', 'kns.red[0] allow']);
});

test('oracle: pods in the host network and finished pods have no endpoint', () => {
  const rest = cluster.filter((resource) => resource.metadata.name !== 'a');
  const policy = gnp('p', {
    selector: "app == 'b'",
    ingress: [{ action: 'Allow', source: { selector: "app == 'a'" } }],
  });
  const as = (fields: Json) =>
    ask([policy, pod('red', 'a', '1', { labels: { app: 'a' }, ...fields })], 'a', 'b', {}, rest);
  assert.ok(as({}).allowed);
  assert.ok(!as({ hostNetwork: true }).allowed);
  assert.equal(as({ hostNetwork: true }).egress, null);
  for (const phase of ['Succeeded', 'Failed']) {
    const status = { phase, podIPs: [{ ip: '10.0.0.1' }] };
    assert.ok(!as({ status }).allowed, phase);
  }
});

test('oracle: a pod reaches itself whatever the policy, also by its other address', () => {
  const closed = gnp('p', { types: ['Ingress', 'Egress'] });
  const { pending: _, ...judgement } = ask([closed], 'a', 'a');
  assert.deepEqual(judgement, { allowed: true, egress: null, ingress: null, host: [], gate: null });
});

test('oracle: both ends must allow', () => {
  const egress = gnp('p', {
    selector: "app == 'a'",
    egress: [{ action: 'Allow', destination: { selector: "app == 'b'" } }],
  });
  assert.ok(allowed([egress], 'a', 'b'));
  assert.ok(!allowed([egress], 'a', 'c'));
  const judgement = ask([egress, gnp('q', toB({}))], 'a', 'b');
  assert.deepEqual(
    [judgement.egress?.verdict, judgement.ingress?.verdict, judgement.allowed],
    ['allow', 'deny', false],
  );
});
