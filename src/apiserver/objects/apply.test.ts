// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { recordManager, serverSideApply } from './apply.ts';
import { builtinResources } from './builtin.ts';
import { customResources } from './custom-resources.ts';
import { fieldSetOf, fieldsV1Of } from './field-set.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

const now = new Date('2026-01-01T00:00:00Z');
const later = new Date('2026-01-02T00:00:00Z');

function kind(name: string): ServedResource {
  const found = builtinResources.find((each) => each.kind === name);
  assert.ok(found);
  return found;
}

function apply(
  resource: ServedResource,
  live: ApiObject | null,
  applied: JsonObject,
  manager: string,
  force = false,
  at = now,
): ApiObject {
  const { group, version, kind } = resource;
  const typed = { apiVersion: group === '' ? version : `${group}/${version}`, kind, ...applied };
  return serverSideApply({ resource, live, applied: typed, manager, force, now: at, subresource: '' });
}

function managers(object: ApiObject): JsonObject {
  const entries = (object.metadata.managedFields ?? []) as readonly {
    readonly manager: string;
    readonly operation: string;
    readonly fieldsV1: Json;
  }[];
  return Object.fromEntries(
    entries.map(({ manager, operation, fieldsV1 }) => [`${manager} ${operation}`, fieldsV1]),
  );
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

const service = kind('Service');
const port = (port: number, more: JsonObject = {}) => ({ port, protocol: 'TCP', ...more });
const ports = (...list: readonly Json[]): JsonObject => ({ metadata: { name: 'a' }, spec: { ports: list } });

test('lists with keys are merged item by item, each with its owner', () => {
  const first = apply(service, null, ports(port(80), port(81)), 'one');
  const second = apply(service, first, ports(port(90)), 'two');
  assert.deepEqual(second.spec, { ports: [port(80), port(81), port(90)] });
  const third = apply(service, second, ports(port(81)), 'one');
  assert.deepEqual(third.spec, { ports: [port(81), port(90)] });
  assert.deepEqual(managers(third)['two Apply'], {
    'f:spec': {
      'f:ports': { 'k:{"port":90,"protocol":"TCP"}': { '.': {}, 'f:port': {}, 'f:protocol': {} } },
    },
  });
});

test('a key that is left out has its default', () => {
  const first = apply(service, null, ports(port(80, { name: 'x' })), 'one');
  const error = refusal(() => apply(service, first, ports({ port: 80, name: 'y' }), 'two'));
  assert.deepEqual(
    error.details?.causes?.map(({ field }) => field),
    ['.spec.ports[port=80,protocol="TCP"].name'],
  );
  const taken = apply(service, first, ports({ port: 80, name: 'y' }), 'two', true);
  assert.deepEqual(taken.spec, { ports: [{ port: 80, protocol: 'TCP', name: 'y' }] });
});

test('applied items come in their order, others stay before what they preceded', () => {
  const finalizers = (live: readonly string[], applied: readonly string[]) => {
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', finalizers: live },
    } as ApiObject;
    return apply(kind('ConfigMap'), object, { metadata: { name: 'a', finalizers: applied } }, 'one').metadata
      .finalizers;
  };
  assert.deepEqual(finalizers(['a', 'b', 'c'], ['c', 'a']), ['c', 'a', 'b']);
  assert.deepEqual(finalizers(['a'], ['b']), ['a', 'b']);
  assert.deepEqual(finalizers(['a', 'b'], ['b', 'c']), ['a', 'b', 'c']);
});

test('what two managers say stays until both have let go of it', () => {
  const map = (data: JsonObject) => ({ metadata: { name: 'a' }, data });
  const first = apply(kind('ConfigMap'), null, map({ k: '1' }), 'one');
  const second = apply(kind('ConfigMap'), first, map({ k: '1' }), 'two');
  const third = apply(kind('ConfigMap'), second, map({}), 'one');
  assert.deepEqual(third.data, { k: '1' });
  assert.deepEqual(apply(kind('ConfigMap'), third, map({}), 'two').data, {});
});

test('an entry that stays the same keeps its time', () => {
  const map = { metadata: { name: 'a' }, data: { k: '1' } };
  const first = apply(kind('ConfigMap'), null, map, 'one');
  assert.deepEqual(apply(kind('ConfigMap'), first, map, 'one', false, later), first);
});

test('an object that was never recorded belongs to before-first-apply', () => {
  const live = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', uid: 'u' },
    data: { k: '1' },
  } as ApiObject;
  const error = refusal(() =>
    apply(kind('ConfigMap'), live, { metadata: { name: 'a' }, data: { k: '2' } }, 'one'),
  );
  assert.equal(
    error.message,
    'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k',
  );
});

test('several conflicts are told by manager', () => {
  const map = (data: JsonObject) => ({ metadata: { name: 'a' }, data });
  const first = apply(kind('ConfigMap'), null, map({ a: '1', b: '1' }), 'one');
  const error = refusal(() => apply(kind('ConfigMap'), first, map({ a: '2', b: '2' }), 'two'));
  assert.equal(error.message, 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b');
});

test('ordinary writes take what they change from everyone', () => {
  const before = apply(kind('ConfigMap'), null, { metadata: { name: 'a' }, data: { a: '1', b: '1' } }, 'one');
  const after = { ...before, data: { a: '2', c: '1' } };
  const write = {
    resource: kind('ConfigMap'),
    before,
    after,
    manager: 'two',
    operation: 'Update',
    now: later,
    subresource: '',
  } as const;
  assert.deepEqual(managers(recordManager(write)), { 'two Update': { 'f:data': { 'f:a': {}, 'f:c': {} } } });
  const reset = { ...after, metadata: { ...after.metadata, managedFields: [{}] } };
  assert.equal(recordManager({ ...write, after: reset }).metadata.managedFields, undefined);
  const unrecorded = { ...before, metadata: { name: 'a' } } as ApiObject;
  assert.equal(recordManager({ ...write, before: unrecorded }).metadata.managedFields, undefined);
});

test('more than ten updaters are put together', () => {
  const resource = kind('ConfigMap');
  let object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: {} } as ApiObject;
  for (let i = 0; i < 14; i++) {
    const after = { ...object, data: { ...(object.data as JsonObject), [`k${i}`]: '' } };
    const at = new Date(now.getTime() + i * 60_000);
    object = recordManager({
      resource,
      before: i === 0 ? null : object,
      after,
      manager: `m${i}`,
      operation: 'Update',
      now: at,
      subresource: '',
    });
  }
  const names = Object.keys(managers(object));
  assert.equal(names.length, 10);
  assert.deepEqual(names[0], 'ancient-changes Update');
  const ancient = managers(object)['ancient-changes Update'] as { readonly 'f:data': JsonObject };
  assert.deepEqual(Object.keys(ancient['f:data']).sort(), ['.', 'f:k0', 'f:k1', 'f:k2', 'f:k3', 'f:k4']);
});

function custom(properties: JsonObject): ServedResource {
  const schema = { openAPIV3Schema: { type: 'object', properties } };
  const version = { name: 'v1', served: true, schema, subresources: { status: {} } };
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'x' },
    spec: { group: 'x.test', names: { kind: 'X', plural: 'xs' }, versions: [version] },
  } as ApiObject;
  const [resource] = customResources(crd);
  assert.ok(resource);
  return resource;
}

test('atomic lists and maps of a custom kind have one owner', () => {
  const spec = {
    type: 'object',
    properties: {
      list: { type: 'array', items: { type: 'string' } },
      map: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: { type: 'string' } } },
    },
  };
  const resource = custom({ spec });
  const first = apply(
    resource,
    null,
    { metadata: { name: 'a' }, spec: { list: ['a'], map: { a: '1' } } },
    'one',
  );
  assert.deepEqual(managers(first), { 'one Apply': { 'f:spec': { 'f:list': {}, 'f:map': {} } } });
  const error = refusal(() =>
    apply(resource, first, { metadata: { name: 'a' }, spec: { list: ['a', 'b'], map: { a: '2' } } }, 'two'),
  );
  assert.deepEqual(
    error.details?.causes?.map(({ field }) => field),
    ['.spec.list', '.spec.map'],
  );
});

test('a field that becomes another thing is nobody’s below any more', () => {
  const spec = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const status = { type: 'object', properties: { n: { type: 'integer' } } };
  const resource = custom({ spec, status });
  const first = apply(resource, null, { metadata: { name: 'a' }, spec: { x: { a: 1, b: 1 } } }, 'one');
  const second = apply(resource, first, { metadata: { name: 'a' }, spec: { x: 5 } }, 'two', true);
  assert.deepEqual(managers(second), { 'two Apply': { 'f:spec': { 'f:x': {} } } });
  const third = apply(resource, null, { metadata: { name: 'a' }, spec: { x: 5 }, status: { n: 1 } }, 'one');
  assert.deepEqual(managers(third), { 'one Apply': { 'f:spec': { 'f:x': {} } } });
});

test('sets of fields are read as they are written', () => {
  const written: JsonObject = {
    'f:spec': {
      '.': {},
      'f:a': {},
      'f:list': { 'k:{"name":"x","port":1}': { '.': {}, 'f:v': {} }, 'v:"t"': {} },
    },
  };
  assert.deepEqual(fieldsV1Of(fieldSetOf(written)), written);
  const strange = { 'f:l': { 'k:{"port":1, "name":"x"}': {}, 'k:{broken': {} } };
  assert.deepEqual(fieldsV1Of(fieldSetOf(strange)), {
    'f:l': { 'k:{"name":"x","port":1}': {}, 'k:{broken': {} },
  });
});
