// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protobufBody } from './protobuf-body.ts';

/** Built as kubectl 1.32 builds them for `auth can-i create pods -n shop`, and for `create configmap c --from-literal=a=b`. */
const review = message('authorization.k8s.io/v1', 'SelfSubjectAccessReview', [
  field(1, []),
  field(2, field(1, [...text(1, 'shop'), ...text(2, 'create'), ...text(5, 'pods')])),
  field(3, [8, 0]),
]);
const config = message('v1', 'ConfigMap', [
  field(1, [...text(1, 'c'), ...field(8, [])]),
  field(2, [...text(1, 'a'), ...text(2, 'b')]),
  field(3, [...text(1, 'bytes'), ...field(2, [1, 2, 255])]),
  [32, 1],
]);

function field(number: number, bytes: readonly number[]): readonly number[] {
  return [(number << 3) | 2, bytes.length, ...bytes];
}

function text(number: number, value: string): readonly number[] {
  return field(number, [...Buffer.from(value)]);
}

function message(apiVersion: string, kind: string, fields: readonly (readonly number[])[]): Buffer {
  const type = [...text(1, apiVersion), ...text(2, kind)];
  return Buffer.from([...Buffer.from('k8s\0'), ...field(1, type), ...field(2, fields.flat())]);
}

test('a review and a ConfigMap are read', () => {
  assert.deepEqual(protobufBody(review), {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: {},
    spec: { resourceAttributes: { namespace: 'shop', verb: 'create', resource: 'pods' } },
  });
  assert.deepEqual(protobufBody(config), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c', creationTimestamp: null },
    data: { a: 'b' },
    binaryData: { bytes: Buffer.from([1, 2, 255]).toString('base64') },
    immutable: true,
  });
});

test('kinds without a description are refused by name', () => {
  assert.throws(
    () => protobufBody(message('apps/v1', 'Deployment', [])),
    /cannot read a Deployment as protobuf/,
  );
});

test('cut anywhere it is an error of the client, never of ours', () => {
  for (let size = 0; size < config.length; size++) {
    const cut = config.subarray(0, size);
    try {
      protobufBody(cut);
    } catch (error) {
      assert.match(String(error), /cannot read (the body|a {2})/, `cut at ${size}`);
    }
  }
});
