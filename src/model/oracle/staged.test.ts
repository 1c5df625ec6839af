// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allow,
  ask,
  askHost,
  calico,
  deny,
  gnp,
  hep,
  type Json,
  knp,
  np,
  tier,
  toB,
  told,
} from '../../../test/support/oracle-cluster.ts';
import type { Resource } from '../types.ts';
import { pendingResources } from './staged.ts';

const sgnp = (name: string, spec: Json) => calico('StagedGlobalNetworkPolicy', name, spec);
const snp = (namespace: string, name: string, spec: Json) =>
  calico('StagedNetworkPolicy', name, spec, namespace);
const sknp = (namespace: string, name: string, spec: Json) =>
  calico('StagedKubernetesNetworkPolicy', name, spec, namespace);

/** Now, and with every staged policy in force. */
function fates(resources: readonly Resource[], from = 'a', to = 'b'): [boolean, boolean] {
  const judgement = ask(resources, from, to);
  return [judgement.allowed, judgement.pending.allowed];
}

test('oracle: 2.10 Staged: they never change the verdict, and say what it would be', () => {
  const barring = { podSelector: {}, policyTypes: ['Ingress'] };
  for (const staged of [sgnp('p', toB({})), snp('red', 'p', toB({})), sknp('red', 'p', barring)]) {
    assert.deepEqual(fates([staged]), [true, false], staged.kind);
    assert.deepEqual(told(ask([staged], 'a', 'b').ingress), ['kns.red[0] allow']);
    assert.deepEqual(fates([staged], 'a', 'c'), [true, true], 'they select as the enforced do');
  }
  assert.deepEqual(fates([gnp('p', toB({}))]), [false, false]);
});

test('oracle: 2.10 End of tier: a tier with only staged policies has no effect', () => {
  const early = tier('early', 1);
  const staged = sgnp('p', toB({ tier: 'early', ingress: [{ ...deny, protocol: 'UDP' }] }));
  assert.deepEqual(fates([early, staged]), [true, false]);
  const beside = gnp('q', toB({ tier: 'early', ingress: [allow] }));
  assert.deepEqual(fates([early, staged, beside]), [true, true]);
});

test('oracle: 2.2 stagedAction: Set replaces or adds, Delete removes, Learn and Ignore do nothing', () => {
  const open = gnp('p', toB({ ingress: [allow] }));
  const barred = gnp('p', toB({}));
  const table: [string | undefined, Resource[], boolean][] = [
    [undefined, [open], false],
    ['Set', [open], false],
    ['Set', [], false],
    ['Learn', [open], true],
    ['Ignore', [open], true],
    ['Learn', [barred], false],
  ];
  for (const [stagedAction, enforced, pending] of table) {
    const staged = sgnp('p', toB({ ...(stagedAction ? { stagedAction } : {}) }));
    assert.equal(ask([...enforced, staged], 'a', 'b').pending.allowed, pending, stagedAction);
  }
  assert.deepEqual(fates([barred, sgnp('p', { stagedAction: 'Delete' })]), [false, true]);
  assert.deepEqual(fates([sgnp('p', { stagedAction: 'Delete' })]), [true, true], 'nothing to delete');
});

test('oracle: 2.10 Staged: one stands for the enforced policy of its own kind, namespace and name', () => {
  const gone = { stagedAction: 'Delete' };
  const enforced = [gnp('p', toB({})), np('red', 'p', {}), knp('red', 'p', { podSelector: {} })];
  const left = (staged: Resource) =>
    pendingResources([...enforced, staged]).map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
  const [global, namespaced, kubernetes] = [
    'projectcalico.org/v3 GlobalNetworkPolicy',
    'projectcalico.org/v3 NetworkPolicy',
    'networking.k8s.io/v1 NetworkPolicy',
  ];
  assert.deepEqual(left(sgnp('p', gone)), [namespaced, kubernetes]);
  assert.deepEqual(left(snp('red', 'p', gone)), [global, kubernetes]);
  assert.deepEqual(left(sknp('red', 'p', gone)), [global, namespaced]);
  assert.deepEqual(left(snp('blue', 'p', gone)), [global, namespaced, kubernetes]);
  assert.deepEqual(left(sgnp('q', gone)), [global, namespaced, kubernetes]);
});

test('oracle: 2.10 Staged: what is pending is an enforced policy with all that was staged', () => {
  const staged = sknp('red', 'p', { stagedAction: 'Set', podSelector: {}, policyTypes: ['Egress'] });
  assert.deepEqual(pendingResources([staged]), [
    knp('red', 'p', { podSelector: {}, policyTypes: ['Egress'] }),
  ]);
  assert.deepEqual(pendingResources([sgnp('p', { tier: 't', order: 3 })]), [
    gnp('p', { tier: 't', order: 3 }),
  ]);
});

test('oracle: 2.10 Staged: at a host too', () => {
  const endpoint = hep('eth0', { interfaceName: 'eth0', profiles: ['projectcalico-default-allow'] });
  const staged = sgnp('p', { selector: 'has(host)', preDNAT: true, applyOnForward: true, ingress: [deny] });
  const judgement = askHost([endpoint, staged], 'out', 'b');
  assert.deepEqual([judgement.allowed, judgement.pending.allowed], [true, false]);
});
