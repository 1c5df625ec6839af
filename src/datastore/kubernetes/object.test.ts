// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Revision } from '../../lib/brand.ts';
import type { Resource } from '../../model/types.ts';
import { newObject, replacement, storedOf } from './object.ts';
import type { ServedKind } from './served-kinds.ts';

const sets: ServedKind = {
  kind: 'NetworkSet',
  groupVersion: 'projectcalico.org/v3',
  plural: 'networksets',
  namespaced: true,
  hasStatus: false,
  isCrdV1: false,
};

function policies(groupVersion: string): ServedKind {
  const isCrdV1 = groupVersion === 'crd.projectcalico.org/v1';
  return { ...sets, kind: 'GlobalNetworkPolicy', groupVersion, plural: 'globalnetworkpolicies', isCrdV1 };
}

const old = policies('crd.projectcalico.org/v1');

test('an item of a list says what it is, and who manages its fields is left out', () => {
  const object = {
    spec: { nets: [] },
    metadata: { name: 'a', namespace: 'x', resourceVersion: '7', managedFields: [{}] },
  };
  const stored = storedOf(sets, object);
  assert.deepEqual(stored?.key, { kind: 'NetworkSet', namespace: 'x', name: 'a' });
  assert.equal(stored?.revision, '7');
  assert.equal(
    JSON.stringify(stored?.resource),
    '{"apiVersion":"projectcalico.org/v3","kind":"NetworkSet","metadata":{"name":"a","namespace":"x","resourceVersion":"7"},"spec":{"nets":[]}}',
  );
});

test('an event, a single object and an item of a list are the same text', () => {
  const metadata = { name: 'a', resourceVersion: '7' };
  const texts = [
    { spec: {}, metadata },
    { kind: 'X', metadata, apiVersion: 'v1', spec: {} },
    { apiVersion: 'v1', kind: 'X', metadata, spec: {} },
  ].map((object) => JSON.stringify(storedOf(sets, object)));
  assert.equal(new Set(texts).size, 1);
});

for (const object of [null, 7, [], {}, { metadata: null }, { metadata: 'x' }, { metadata: { name: 7 } }])
  test(`no object: ${JSON.stringify(object)}`, () => assert.equal(storedOf(sets, object), null));

test('what is too deep to be read keeps its name, and nothing else', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`);
  const stored = storedOf(sets, { metadata: { name: 'a', resourceVersion: '7' }, spec: deep });
  assert.deepEqual(Object.keys(stored?.resource ?? {}), ['apiVersion', 'kind', 'metadata']);
});

test("Calico's older form: the kept metadata counts beside the object's own", () => {
  const kept = { labels: { a: 'v3', b: 'v3' }, annotations: { note: 'v3' }, name: 'forged' };
  const stored = storedOf(old, {
    metadata: {
      name: 'default.allow',
      resourceVersion: '7',
      labels: { a: 'own', c: 'own' },
      annotations: { 'projectcalico.org/metadata': JSON.stringify(kept), other: 'own' },
    },
    spec: { order: 1 },
  });
  assert.deepEqual(stored?.key, { kind: 'GlobalNetworkPolicy', name: 'allow' });
  assert.deepEqual(stored?.resource, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkPolicy',
    metadata: {
      name: 'allow',
      resourceVersion: '7',
      labels: { a: 'v3', b: 'v3', c: 'own' },
      annotations: { other: 'own', note: 'v3' },
    },
    spec: { order: 1 },
  });
});

for (const [name, tier, wanted] of [
  ['default.allow', undefined, 'allow'],
  ['default.allow', 'default', 'allow'],
  ['allow', 'default', 'allow'],
  ['security.allow', 'security', 'security.allow'],
] as const)
  test(`in the older form ${name} of tier ${tier} is called ${wanted}`, () => {
    const spec = tier === undefined ? {} : { tier };
    assert.equal(storedOf(old, { metadata: { name, resourceVersion: '7' }, spec })?.key.name, wanted);
  });

for (const metadata of [
  { annotations: null },
  { annotations: 'x', labels: 7 },
  { annotations: { 'projectcalico.org/metadata': 'no JSON' } },
  { annotations: { 'projectcalico.org/metadata': '[]' } },
  { annotations: { 'projectcalico.org/metadata': '{"labels":7}' } },
])
  test(`the older form with ${JSON.stringify(metadata)} is read without it`, () => {
    const stored = storedOf(old, { metadata: { name: 'a', resourceVersion: '7', ...metadata } });
    assert.deepEqual(stored?.resource.metadata, { name: 'a', resourceVersion: '7' });
  });

const current: Resource = {
  apiVersion: 'projectcalico.org/v3',
  kind: 'NetworkSet',
  metadata: { name: 'a', uid: 'u', finalizers: ['f'], ownerReferences: [{}], labels: { x: '1' } },
};

test('what only the server gives is not sent', () => {
  const metadata = { name: 'a', uid: 'u', creationTimestamp: 't', resourceVersion: '7', generation: 1 };
  assert.deepEqual(newObject({ ...current, metadata }).metadata, { name: 'a' });
});

test('what others wrote into the metadata stays, unless the author speaks of it', () => {
  const revision = '8' as Revision;
  const wanted = { ...current, metadata: { name: 'a', labels: { y: '2' } } };
  assert.deepEqual(replacement(wanted, current, revision).metadata, {
    finalizers: ['f'],
    ownerReferences: [{}],
    name: 'a',
    labels: { y: '2' },
    resourceVersion: '8',
  });
  const emptied = { ...current, metadata: { name: 'a', finalizers: [] } };
  assert.deepEqual(replacement(emptied, current, revision).metadata.finalizers, []);
});
