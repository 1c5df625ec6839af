// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../model/types.ts';
import { ApiError } from '../api-error.ts';
import { decode } from '../decode.ts';
import { listAt, memberOf, valueAt } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext } from '../served-resource.ts';
import { pods } from './pod.ts';

const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };

function context(found: ApiObject | null): RequestContext {
  return {
    now: new Date(0),
    newUid: () => '0',
    newSuffix: (length) => 'x'.repeat(length),
    lookup: () => found,
    list: () => [],
    services: { ranges: [], nodePorts: { first: 1, last: 1 } },
  };
}

function pod(spec: JsonObject, found: ApiObject | null = account): ApiObject {
  const containers = [{ name: 'c', image: 'i:1' }];
  const body = { metadata: { name: 'p', namespace: 'n' }, spec: { containers, ...spec } };
  return pods.rules.prepareForCreate(pods.rules.fillIn(decode(pods, body, 'Strict').object), context(found));
}

test('an image is pulled always when its tag may move', () => {
  const policy = (image: string) =>
    memberOf(listAt(pod({ containers: [{ name: 'c', image }] }), 'spec', 'containers')[0], 'imagePullPolicy');
  const table = [
    ['i', 'Always'],
    ['i:latest', 'Always'],
    ['host:5000/i', 'Always'],
    ['host:5000/i:1', 'IfNotPresent'],
    ['i@sha256:aa', 'IfNotPresent'],
    ['i:latest@sha256:aa', 'IfNotPresent'],
  ] as const;
  for (const [image, expected] of table) assert.equal(policy(image), expected, image);
});

test('requests are what limits are, and both say the class of service', () => {
  const of = (resources: JsonObject) => pod({ containers: [{ name: 'c', image: 'i', resources }] });
  const both = { cpu: '1', memory: '1Gi' };
  assert.equal(valueAt(of({}), 'status', 'qosClass'), 'BestEffort');
  assert.equal(valueAt(of({ limits: both }), 'status', 'qosClass'), 'Guaranteed');
  assert.equal(valueAt(of({ limits: { cpu: 1 } }), 'status', 'qosClass'), 'Burstable');
  assert.equal(valueAt(of({ limits: both, requests: { cpu: '500m' } }), 'status', 'qosClass'), 'Burstable');
  const [container] = listAt(of({ limits: both, requests: { cpu: '500m' } }), 'spec', 'containers');
  assert.deepEqual(valueAt(container, 'resources', 'requests'), { cpu: '500m', memory: '1Gi' });
});

test('tolerations of a lost node are added unless the author has some', () => {
  const keys = (tolerations: readonly JsonObject[]) =>
    listAt(pod({ tolerations }), 'spec', 'tolerations').length;
  assert.equal(keys([]), 2);
  assert.equal(keys([{ operator: 'Exists' }]), 1);
  assert.equal(keys([{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }]), 2);
  assert.equal(keys([{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoSchedule' }]), 3);
});

test('the account has to be there, and its token is mounted unless somebody says no', () => {
  assert.throws(
    () => pod({}, null),
    (error) => error instanceof ApiError && error.code === 403,
  );
  const volumes = (spec: JsonObject, found: ApiObject = account) =>
    listAt(pod(spec, found), 'spec', 'volumes').length;
  assert.equal(volumes({}), 1);
  assert.equal(volumes({ automountServiceAccountToken: false }), 0);
  assert.equal(volumes({}, { ...account, automountServiceAccountToken: false }), 0);
  assert.equal(
    volumes({ automountServiceAccountToken: true }, { ...account, automountServiceAccountToken: false }),
    1,
  );
});

test('a pod that no node runs is gone at once', () => {
  const seconds = (spec: JsonObject, status: JsonObject = {}) =>
    pods.rules.gracePeriodSeconds({ ...pod(spec), status });
  assert.equal(seconds({}), 0);
  assert.equal(seconds({ nodeName: 'n' }), 30);
  assert.equal(seconds({ nodeName: 'n', terminationGracePeriodSeconds: 5 }), 5);
  assert.equal(seconds({ nodeName: 'n' }, { phase: 'Succeeded' }), 0);
});

test('of a pod that runs only some fields may change', () => {
  const old = pod({ nodeName: 'n' });
  const change = (spec: JsonObject) => {
    const next = { ...old, spec: { ...(old.spec as JsonObject), ...spec } };
    return pods.rules
      .validateUpdate(next, old, 'main', context(account))
      .map(({ reason, field }) => `${reason} ${field}`);
  };
  const [container] = listAt(old, 'spec', 'containers');
  const image = { containers: [{ ...(container as JsonObject), image: 'other' }] };
  assert.deepEqual(change(image), []);
  assert.deepEqual(change({ activeDeadlineSeconds: 5 }), []);
  assert.deepEqual(
    change({ tolerations: [...listAt(old, 'spec', 'tolerations'), { operator: 'Exists' }] }),
    [],
  );
  assert.deepEqual(change({ tolerations: [] }), ['FieldValueForbidden spec.tolerations']);
  assert.deepEqual(change({ hostNetwork: true }), ['FieldValueForbidden spec']);
});
