// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { builtinResources } from './builtin.ts';
import { decode, decodePatched, duplicateFields } from './decode.ts';
import type { ApiObject } from './object.ts';
import { jsonPatch, mergePatch, strategicMergePatch } from './patch.ts';
import type { ServedResource } from './served-resource.ts';

function kind(name: string): ServedResource {
  const found = builtinResources.find((each) => each.kind === name);
  assert.ok(found);
  return found;
}

function refusal(run: () => unknown): ApiError {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('not refused');
}

test('fields that stand twice are found at their places', () => {
  const table: [string, readonly string[]][] = [
    ['{"a":1,"b":{"a":1}}', []],
    ['{"a":1,"a":2}', ['a']],
    ['{"a":{"b":1 , "b" :2},"c":[{"d":1},{"d":1,"d":2,"d":3}]}', ['a.b', 'c[1].d']],
    ['{"a":"b:","b\\":":"{","b\\":":[]}', ['b":']],
    ['["a","a"]', []],
    ['[[{"x":1}],[0,{"x":1,"x":[]}]]', ['[1][1].x']],
  ];
  for (const [text, expected] of table) assert.deepEqual(duplicateFields(text).duplicates, expected, text);
  assert.deepEqual(duplicateFields('{"a":1,"a":2}').value, { a: 2 });
  assert.throws(() => duplicateFields('{"a"'), SyntaxError);
});

test('a built-in object comes out as its Go struct writes it', () => {
  const body = {
    metadata: { name: 'a', labels: {}, finalizers: [], creationTimestamp: null, generation: 0 },
    spec: {
      containers: [{ name: 'x', stdin: false, ports: [{ containerPort: 0, name: '' }], env: null }],
      hostNetwork: false,
    },
    status: { conditions: [{ type: 'A' }] },
  };
  assert.deepEqual(decode(kind('Pod'), body, 'Strict').object, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a' },
    spec: { containers: [{ name: 'x', resources: {}, ports: [{ containerPort: 0 }] }] },
    status: { conditions: [{ type: 'A', status: '', lastProbeTime: null, lastTransitionTime: null }] },
  });
  const lease = decode(
    kind('Lease'),
    { metadata: {}, spec: { leaseDurationSeconds: 0, renewTime: '2026-01-02T03:04:05.5+01:00' } },
    'Warn',
  );
  assert.deepEqual(lease.object.spec, { leaseDurationSeconds: 0, renewTime: '2026-01-02T02:04:05.500000Z' });
});

test('values of other types are refused', () => {
  const table: [string, Json][] = [
    ['ConfigMap', { data: { n: 5 } }],
    ['ConfigMap', { data: [] }],
    ['ConfigMap', { metadata: { labels: { a: true } } }],
    ['ConfigMap', { immutable: 'yes' }],
    ['Secret', { data: { x: '***' } }],
    ['Secret', { data: { x: 'abc' } }],
    ['Service', { spec: { ports: [{ port: '80' }] } }],
    ['Service', { spec: { ports: [{ port: 2 ** 40 }] } }],
    ['Service', { spec: { ports: [{ port: 1, targetPort: 1.5 }] } }],
    ['Service', { spec: { ports: {} } }],
    ['Lease', { spec: { renewTime: 'yesterday' } }],
    ['Pod', { spec: { containers: [{ resources: { limits: { cpu: 'much' } } }] } }],
  ];
  for (const [name, body] of table) {
    const error = refusal(() => decode(kind(name), body, 'Ignore'));
    assert.equal(error.code, 400, JSON.stringify(body));
    assert.match(error.message, new RegExp(`^${name} in version "v1" cannot be handled as a ${name}: `));
  }
});

test('unknown and duplicate fields: told, refused or passed over', () => {
  const body = { metadata: { name: 'a', nope: 1 }, dota: {} };
  const texts = ['duplicate field "data.a"', 'unknown field "metadata.nope"', 'unknown field "dota"'];
  assert.deepEqual(decode(kind('ConfigMap'), body, 'Warn', ['data.a']).warnings, texts);
  assert.deepEqual(decode(kind('ConfigMap'), body, 'Ignore', ['data.a']).warnings, []);
  const strict = refusal(() => decode(kind('ConfigMap'), body, 'Strict', ['data.a']));
  assert.equal(
    strict.message,
    `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ${texts.join(', ')}`,
  );
  const patched = refusal(() => decodePatched(kind('ConfigMap'), body, 'Strict'));
  assert.equal(patched.code, 422);
  assert.deepEqual(
    patched.details?.causes?.map(({ reason, field }) => [reason, field]),
    [['FieldValueInvalid', 'patch']],
  );
});

test('a body of another type is refused', () => {
  for (const body of [[], 'x', 5, null, { kind: 'Secret' }, { apiVersion: 'v2' }])
    assert.equal(refusal(() => decode(kind('ConfigMap'), body, 'Warn')).code, 400, JSON.stringify(body));
});

test('a body that is nested without end is refused, not followed', () => {
  let deep: Json = {};
  for (let i = 0; i < 200_000; i++) deep = { a: deep };
  const body = { metadata: { name: 'a' }, data: deep };
  assert.match(refusal(() => decode(kind('ConfigMap'), body, 'Warn')).message, /^nested too deep/);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } } as ApiObject;
  assert.match(refusal(() => mergePatch(object, body)).message, /^nested too deep/);
  assert.match(
    refusal(() => jsonPatch(object, [{ op: 'add', path: '/data', value: deep }])).message,
    /^nested too deep/,
  );
  assert.match(
    refusal(() => strategicMergePatch(kind('ConfigMap'), object, body)).message,
    /^nested too deep/,
  );
});
