// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../model/types.ts';
import { customResourceDefinitions } from './builtin/custom-resource-definition.ts';
import { customResources } from './custom-resources.ts';
import type { ApiObject } from './object.ts';
import type { RequestContext, ServedResource } from './served-resource.ts';
import { tableOf } from './table.ts';

const now = new Date('2026-01-01T00:10:00Z');
const context: RequestContext = {
  now,
  newUid: () => '0',
  newSuffix: (length) => 'x'.repeat(length),
  lookup: () => null,
  list: () => [],
  services: { ranges: [], nodePorts: { first: 1, last: 1 } },
};

function definition(spec: JsonObject, version: JsonObject = {}): ApiObject {
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec, status: { type: 'object' } } } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.test' },
    spec: {
      group: 'example.test',
      scope: 'Namespaced',
      names: { kind: 'Thing', plural: 'things', singular: 'thing', listKind: 'ThingList' },
      versions: [{ name: 'v1', served: true, storage: true, schema, ...version }],
    },
    status: { storedVersions: ['v1'] },
  } as ApiObject;
}

function resource(spec: JsonObject, version: JsonObject = {}): ServedResource {
  const [only] = customResources(definition(spec, version));
  assert.ok(only);
  return only;
}

function thing(spec: Json, more: JsonObject = {}): ApiObject {
  return {
    apiVersion: 'example.test/v1',
    kind: 'Thing',
    metadata: { name: 'a', namespace: 'n', generation: 3 },
    spec,
    ...more,
  } as ApiObject;
}

function causes(schema: JsonObject, next: Json, old?: Json): readonly string[] {
  const { rules } = resource(schema);
  const found =
    old === undefined
      ? rules.validateCreate(thing(next), context)
      : rules.validateUpdate(thing(next), thing(old), 'main', context);
  return found.map(({ reason, field }) => `${reason} ${field}`);
}

test('defaults go below defaults, and null gives way to them', () => {
  const { rules } = resource({
    type: 'object',
    properties: {
      a: { type: 'object', default: {}, properties: { b: { type: 'integer', default: 3 } } },
      c: { type: 'string', default: 'x' },
      d: { type: 'string', nullable: true, default: 'y' },
      e: { type: 'string' },
      list: { type: 'array', items: { type: 'object', properties: { n: { type: 'integer', default: 1 } } } },
      map: {
        type: 'object',
        additionalProperties: { type: 'object', properties: { n: { type: 'integer', default: 1 } } },
      },
    },
  });
  const filled = rules.fillIn(thing({ c: null, d: null, e: null, unknown: 1, list: [{}], map: { k: {} } }));
  assert.deepEqual(filled.spec, { a: { b: 3 }, c: 'x', d: null, list: [{ n: 1 }], map: { k: { n: 1 } } });
});

test('what embedded objects and kept fields hold stays', () => {
  const { rules } = resource({
    type: 'object',
    properties: {
      any: {
        type: 'object',
        'x-kubernetes-preserve-unknown-fields': true,
        properties: { known: { type: 'object', properties: {} } },
      },
      pod: {
        type: 'object',
        'x-kubernetes-embedded-resource': true,
        properties: { spec: { type: 'object', properties: {} } },
      },
    },
  });
  const spec = {
    any: { x: 1, known: { gone: 1 } },
    pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', odd: 1 }, spec: { gone: 1 }, gone: 1 },
  };
  assert.deepEqual(rules.fillIn(thing(spec)).spec, {
    any: { x: 1, known: {} },
    pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: {} },
  });
});

test('a part that stays as it was is not judged again', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string', maxLength: 2 }, b: { type: 'integer', maximum: 5 } },
  };
  assert.deepEqual(causes(schema, { a: 'long', b: 1 }, { a: 'long', b: 2 }), []);
  assert.deepEqual(causes(schema, { a: 'xy', b: 5 }), []);
  assert.deepEqual(causes(schema, { a: 'longer', b: 1 }, { a: 'long', b: 1 }), ['FieldValueTooLong spec.a']);
});

test('transition rules follow items of a list map and members of a map', () => {
  const fixed = { 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] };
  const schema = {
    type: 'object',
    properties: {
      list: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: { type: 'object', properties: { k: { type: 'string' }, v: { type: 'integer', ...fixed } } },
      },
      map: { type: 'object', additionalProperties: { type: 'integer', ...fixed } },
      atomic: { type: 'array', items: { type: 'integer', ...fixed } },
    },
  };
  const old = {
    list: [
      { k: 'a', v: 1 },
      { k: 'b', v: 2 },
    ],
    map: { x: 1 },
    atomic: [1],
  };
  assert.deepEqual(
    causes(
      schema,
      {
        list: [
          { k: 'b', v: 2 },
          { k: 'a', v: 1 },
          { k: 'c', v: 3 },
        ],
        map: { x: 1, y: 2 },
        atomic: [2],
      },
      old,
    ),
    [],
  );
  assert.deepEqual(causes(schema, { list: [{ k: 'b', v: 3 }], map: { x: 2 } }, old), [
    'FieldValueInvalid spec.list[0].v',
    'FieldValueInvalid spec.map.x',
  ]);
});

test('oldSelf may be optional', () => {
  const rule = {
    rule: 'oldSelf.hasValue() || self < 5',
    optionalOldSelf: true,
    reason: 'FieldValueForbidden',
  };
  const schema = {
    type: 'object',
    properties: { n: { type: 'integer', 'x-kubernetes-validations': [rule] } },
  };
  assert.deepEqual(causes(schema, { n: 7 }), ['FieldValueForbidden spec.n']);
  assert.deepEqual(causes(schema, { n: 4 }), []);
  assert.deepEqual(causes(schema, { n: 8 }, { n: 7 }), []);
});

test('generation counts what is neither metadata nor status', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } } };
  const withStatus = resource(schema, { subresources: { status: {} } }).rules;
  const without = resource(schema).rules;
  const old = thing({ a: 1 }, { status: { s: 1 } });
  const next = thing({ a: 1 }, { status: { s: 2 } });
  assert.equal(withStatus.prepareForUpdate(next, old, 'main', context).metadata.generation, 3);
  assert.deepEqual(withStatus.prepareForUpdate(next, old, 'main', context).status, { s: 1 });
  assert.equal(without.prepareForUpdate(next, old, 'main', context).metadata.generation, 4);
  const byStatus = withStatus.prepareForUpdate(thing({ a: 2 }, { status: { s: 2 } }), old, 'status', context);
  assert.deepEqual([byStatus.spec, byStatus.status, byStatus.metadata.generation], [{ a: 1 }, { s: 2 }, 3]);
});

test('columns find their cells', () => {
  const columns: [string, string, string][] = [
    ['Text', 'string', '.spec.text'],
    ['Object', 'string', '.spec.list[0]'],
    ['Number', 'integer', '.spec.n'],
    ['Wrong', 'integer', '.spec.text'],
    ['Found', 'string', '.spec.list[?(@.k=="b")].v'],
    ['Other', 'string', '.spec.list[?(@.k!="a")].v'],
    ['Quoted', 'string', ".spec['a.b']"],
    ['Since', 'date', '.spec.since'],
    ['Flag', 'boolean', '.spec.flag'],
    ['None', 'string', '.spec.none.x'],
  ];
  const served = resource(
    { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    { additionalPrinterColumns: columns.map(([name, type, jsonPath]) => ({ name, type, jsonPath })) },
  );
  const spec = {
    text: 't',
    n: 2.5,
    list: [{ k: 'a' }, { k: 'b', v: 'found' }],
    'a.b': 'q',
    since: '2026-01-01T00:00:00Z',
    flag: true,
  };
  const table = tableOf(served, [thing(spec)], {}, 'None', now);
  const cells = ['a', 't', '{"k":"a"}', 2, null, 'found', 'found', 'q', '10m', true, null];
  assert.deepEqual(table.rows, [{ cells, object: null }]);
});

test('ages are said as kubectl says them', () => {
  const served = resource({ type: 'object' });
  const age = (seconds: number) => {
    const creationTimestamp = new Date(now.getTime() - seconds * 1000).toISOString();
    const object = thing({}, { metadata: { name: 'a', creationTimestamp } });
    const [row] = tableOf(served, [object], {}, 'None', now).rows as readonly {
      readonly cells: readonly string[];
    }[];
    return row?.cells[1];
  };
  const hour = 3600;
  const table: [number, string][] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [303, '5m3s'],
    [600, '10m'],
    [3 * hour, '3h'],
    [3 * hour + 60, '3h1m'],
    [8 * hour + 1800, '8h'],
    [47 * hour, '47h'],
    [49 * hour, '2d1h'],
    [8 * 24 * hour, '8d'],
    [800 * 24 * hour, '2y70d'],
    [3000 * 24 * hour, '8y'],
    [-5, '<invalid>'],
  ];
  for (const [seconds, expected] of table) assert.equal(age(seconds), expected, String(seconds));
});

test('a definition is refused for every fault at once', () => {
  const faults = (crd: ApiObject) =>
    customResourceDefinitions.rules
      .validateCreate(crd, context)
      .map(({ reason, field }) => `${reason} ${field}`);
  const at = 'spec.validation.openAPIV3Schema.properties[spec]';
  assert.deepEqual(faults(definition({ type: 'object' })), []);
  const bad = {
    type: 'object',
    properties: {
      a: { type: 'array' },
      b: { type: 'string', pattern: '(' },
      c: { type: 'thing' },
      d: { type: 'object', properties: { x: { type: 'string' } }, additionalProperties: { type: 'string' } },
      e: { type: 'integer', default: 'x' },
      f: { type: 'array', items: {}, 'x-kubernetes-list-type': 'map' },
      g: {
        type: 'object',
        properties: { h: { type: 'string' } },
        'x-kubernetes-validations': [
          { rule: 'self.i' },
          { rule: 'self.h ==' },
          { rule: 'self.h == "x"', messageExpression: 'self.j' },
        ],
      },
    },
  };
  assert.deepEqual(faults(definition(bad)).sort(), [
    `FieldValueForbidden ${at}.properties[d].additionalProperties`,
    `FieldValueInvalid ${at}.properties[b].pattern`,
    `FieldValueInvalid ${at}.properties[c].type`,
    `FieldValueInvalid ${at}.properties[g].x-kubernetes-validations[0].rule`,
    `FieldValueInvalid ${at}.properties[g].x-kubernetes-validations[1].rule`,
    `FieldValueInvalid ${at}.properties[g].x-kubernetes-validations[2].messageExpression`,
    `FieldValueRequired ${at}.properties[a].items`,
    `FieldValueRequired ${at}.properties[f].items.type`,
    `FieldValueRequired ${at}.properties[f].x-kubernetes-list-map-keys`,
    `FieldValueTypeInvalid ${at}.properties[e].default`,
  ]);
});
