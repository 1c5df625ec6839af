// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { builtinResources } from './builtin.ts';
import type { ApiObject } from './object.ts';
import { jsonPatch, mergePatch, strategicMergePatch } from './patch.ts';
import type { ServedResource } from './served-resource.ts';

function object(members: { readonly [name: string]: Json }): ApiObject {
  return { apiVersion: 'v1', kind: 'K', metadata: { name: 'a' }, ...members } as ApiObject;
}

function patched(value: Json, patch: Json): Json {
  return jsonPatch(object({ value }), patch).value ?? null;
}

function codeOf(run: () => unknown): number {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return 0;
}

test('JSON Patch: the operations of RFC 6902', () => {
  const table: [string, Json, Json, Json][] = [
    ['A.1', { foo: 'bar' }, [{ op: 'add', path: '/value/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    ['A.2', ['a', 'c'], [{ op: 'add', path: '/value/1', value: 'b' }], ['a', 'b', 'c']],
    ['A.3', { a: 1, b: 2 }, [{ op: 'remove', path: '/value/a' }], { b: 2 }],
    ['A.4', ['a', 'b', 'c'], [{ op: 'remove', path: '/value/1' }], ['a', 'c']],
    ['A.5', { a: 1 }, [{ op: 'replace', path: '/value/a', value: 2 }], { a: 2 }],
    [
      'A.6',
      { a: { b: 1 }, c: {} },
      [{ op: 'move', from: '/value/a/b', path: '/value/c/d' }],
      { a: {}, c: { d: 1 } },
    ],
    ['A.7', [1, 2, 3], [{ op: 'move', from: '/value/0', path: '/value/2' }], [2, 3, 1]],
    ['A.8', { a: ['x'] }, [{ op: 'test', path: '/value/a/0', value: 'x' }], { a: ['x'] }],
    ['A.14', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/value/~01', value: 10 }], { '/': 9, '~1': 10 }],
    ['A.16', [1], [{ op: 'add', path: '/value/-', value: 2 }], [1, 2]],
    ['copy', { a: [1] }, [{ op: 'copy', from: '/value/a', path: '/value/b' }], { a: [1], b: [1] }],
    ['null', { a: null }, [{ op: 'test', path: '/value/a', value: null }], { a: null }],
    ['deep', { l: [{ m: 1 }] }, [{ op: 'add', path: '/value/l/0/n', value: [] }], { l: [{ m: 1, n: [] }] }],
    ['prototype', {}, [{ op: 'add', path: '/value/__proto__', value: 1 }], JSON.parse('{"__proto__": 1}')],
  ];
  for (const [title, value, patch, expected] of table)
    assert.deepEqual(patched(value, patch), expected, title);
});

test('JSON Patch: an operation that fails fails the patch', () => {
  const bad: Json[] = [
    { op: 'test', path: '/value/a', value: 2 },
    { op: 'remove', path: '/value/x' },
    { op: 'replace', path: '/value/x', value: 1 },
    { op: 'add', path: '/value/x/y', value: 1 },
    { op: 'add', path: '/value/l/7', value: 1 },
    { op: 'add', path: '/value/l/01', value: 1 },
    { op: 'add', path: '/value/a/b', value: 1 },
    { op: 'add', path: 'value', value: 1 },
    { op: 'add', path: '/value/b' },
    { op: 'frob', path: '/value' },
    { op: 'copy', from: '/value/x', path: '/value/y' },
    { op: 'replace', path: '', value: 1 },
    'x',
  ];
  for (const operation of bad)
    assert.equal(
      codeOf(() => patched({ a: 1, l: [] }, [operation])),
      422,
      JSON.stringify(operation),
    );
  assert.equal(
    codeOf(() => jsonPatch(object({}), { op: 'remove' })),
    400,
  );
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'K' }));
  assert.equal(
    codeOf(() => jsonPatch(object({}), many)),
    413,
  );
});

test('merge patch: the examples of RFC 7386, appendix A', () => {
  const table: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [value, patch, expected] of table)
    assert.deepEqual(mergePatch(object({ value }), { value: patch }).value, expected, JSON.stringify(patch));
  assert.equal(
    codeOf(() => mergePatch(object({}), [])),
    400,
  );
});

function kind(name: string): ServedResource {
  const found = builtinResources.find((each) => each.kind === name);
  assert.ok(found);
  return found;
}

function strategic(name: string, value: { readonly [name: string]: Json }, patch: Json): ApiObject {
  return strategicMergePatch(kind(name), object(value), patch);
}

test('strategic merge: lists by their merge key, with directives', () => {
  const status = {
    conditions: [
      { type: 'A', status: 'True' },
      { type: 'B', status: 'True' },
    ],
  };
  const conditions = (patch: Json) => strategic('Pod', { status }, { status: { conditions: patch } }).status;
  assert.deepEqual(conditions([{ type: 'B', status: 'False' }, { type: 'C' }]), {
    conditions: [{ type: 'A', status: 'True' }, { type: 'B', status: 'False' }, { type: 'C' }],
  });
  assert.deepEqual(conditions([{ type: 'C' }]), {
    conditions: [{ type: 'C' }, { type: 'A', status: 'True' }, { type: 'B', status: 'True' }],
  });
  assert.deepEqual(conditions([{ type: 'A', $patch: 'delete' }]), {
    conditions: [{ type: 'B', status: 'True' }],
  });
  assert.deepEqual(conditions([{ $patch: 'replace' }, { type: 'Z' }]), { conditions: [{ type: 'Z' }] });
  assert.deepEqual(conditions(null), {});
  assert.equal(
    codeOf(() => conditions([{ status: 'x' }])),
    500,
  );
});

test('strategic merge: the order that the patch names', () => {
  const spec = { containers: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] };
  const patch = {
    spec: {
      '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }],
      containers: [{ name: 'c', image: 'i' }],
    },
  };
  assert.deepEqual(strategic('Pod', { spec }, patch).spec, {
    containers: [{ name: 'b' }, { name: 'c', image: 'i' }, { name: 'a' }],
  });
  const alone = { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }, { name: 'c' }] } };
  assert.deepEqual(strategic('Pod', { spec }, alone).spec, {
    containers: [{ name: 'b' }, { name: 'a' }, { name: 'c' }],
  });
});

test('strategic merge: a list without a merge key is replaced', () => {
  const spec = { egress: [{ ports: [{ port: 1 }] }], podSelector: {} };
  const patch = { spec: { egress: [{ ports: [{ port: 2 }] }] } };
  assert.deepEqual(strategic('NetworkPolicy', { spec }, patch).spec, { ...patch.spec, podSelector: {} });
});

test('strategic merge: lists of values, retained keys, replaced maps', () => {
  const metadata = { name: 'a', finalizers: ['x/a', 'x/b'] };
  const finalizers = (patch: { readonly [name: string]: Json }) =>
    strategic('Pod', { metadata }, { metadata: patch }).metadata.finalizers;
  assert.deepEqual(finalizers({ finalizers: ['x/b', 'x/c'] }), ['x/a', 'x/b', 'x/c']);
  assert.deepEqual(finalizers({ '$deleteFromPrimitiveList/finalizers': ['x/a'] }), ['x/b']);
  assert.deepEqual(finalizers({ '$deleteFromPrimitiveList/finalizers': ['x/a'], finalizers: ['x/c'] }), [
    'x/c',
    'x/b',
  ]);
  const spec = { volumes: [{ name: 'v', emptyDir: {} }] };
  const volumes = [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }];
  assert.deepEqual(strategic('Pod', { spec }, { spec: { volumes } }).spec, {
    volumes: [{ name: 'v', hostPath: { path: '/' } }],
  });
  const data = { a: '1', b: '2' };
  assert.deepEqual(strategic('ConfigMap', { data }, { data: { $patch: 'replace', c: '3' } }).data, {
    c: '3',
  });
  assert.deepEqual(strategic('ConfigMap', { data }, { data: { $patch: 'delete' } }).data, undefined);
  assert.deepEqual(strategic('ConfigMap', {}, { data: { $patch: 'replace', c: '3' } }).data, undefined);
  assert.equal(
    codeOf(() => strategic('ConfigMap', { data }, { data: { $patch: 'frob' } })),
    422,
  );
});
