// SPDX-License-Identifier: Apache-2.0
/**
 * The documents from which clients learn what the server takes: kubectl reads of them the fields that it explains, the
 * keys by which lists merge, and which requests know `fieldValidation` and `dryRun`.
 *
 * Schemas stand whole in their kind's component: nothing is shared by reference.
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { isList, isMap, withMember } from './json.ts';
import { isIntOrString } from './schema.ts';
import type { OpenApiSchema, ServedResource } from './served-resource.ts';

const info = { title: 'Kubernetes', version: 'v1.36.0' };

/** One group's version, of a set of resources that are all of it. */
export function openApiV3(
  _group: string,
  _version: string,
  resources: readonly ServedResource[],
): JsonObject {
  const served = resources.filter(({ schema }) => Object.keys(schema).length > 0);
  return {
    openapi: '3.0.0',
    info,
    paths: pathsOf(served, v3),
    components: { schemas: Object.fromEntries(served.map((each) => [nameOf(each), rootSchema(each, v3)])) },
  };
}

export function openApiV2(resources: readonly ServedResource[]): JsonObject {
  return {
    swagger: '2.0',
    info,
    paths: pathsOf(resources, v2),
    definitions: Object.fromEntries(resources.map((each) => [nameOf(each), rootSchema(each, v2)])),
  };
}

/** What differs between the versions of OpenAPI. */
interface Dialect {
  readonly refs: string;
  readonly intOrString: OpenApiSchema;
  readonly parameter: (name: string, at: string) => JsonObject;
  readonly body: (ref: JsonObject) => JsonObject;
  readonly answer: (ref: JsonObject) => JsonObject;
}

const v3: Dialect = {
  refs: '#/components/schemas/',
  intOrString: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  parameter: (name, at) => ({
    name,
    in: at,
    ...(at === 'path' ? { required: true } : {}),
    schema: { type: 'string', uniqueItems: true },
  }),
  body: (ref) => ({ requestBody: { content: { '*/*': { schema: ref } } } }),
  answer: (ref) => ({ description: 'OK', content: { 'application/json': { schema: ref } } }),
};

const v2: Dialect = {
  refs: '#/definitions/',
  intOrString: { type: 'string', format: 'int-or-string' },
  parameter: (name, at) => ({
    name,
    in: at,
    type: 'string',
    ...(at === 'path' ? { required: true } : {}),
    uniqueItems: true,
  }),
  body: () => ({}),
  answer: (ref) => ({ description: 'OK', schema: ref }),
};

/** `io.k8s.api.core.v1.Pod`, and `org.projectcalico.v3.Tier` for a custom kind. */
function nameOf({ group, version, kind, custom }: ServedResource): string {
  if (custom || group.includes('apiextensions'))
    return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
  return `io.k8s.api.${group.split('.')[0] || 'core'}.${version}.${kind}`;
}

function kindsOf({ group, version, kind }: ServedResource): JsonObject {
  return { group, version, kind };
}

function rootSchema(resource: ServedResource, dialect: Dialect): OpenApiSchema {
  const published = publishedSchema(resource.schema, dialect);
  return { ...published, 'x-kubernetes-group-version-kind': [kindsOf(resource)] };
}

/** Without what is the server's own business, and with what the dialect has another word for. */
function publishedSchema(schema: OpenApiSchema, dialect: Dialect): OpenApiSchema {
  const kept = Object.entries(schema).filter(([name]) => !name.startsWith('x-muslin-'));
  const members = kept.map(([name, value]) => [name, published(name, value, dialect)]);
  const whole = Object.fromEntries(members);
  if (!isIntOrString(schema)) return whole;
  return {
    ...withMember(withMember(whole, 'format', undefined), 'anyOf', undefined),
    ...dialect.intOrString,
  };
}

const maps = ['properties', 'patternProperties', 'definitions'];
const schemas = ['items', 'additionalProperties', 'not'];
const lists = ['allOf', 'anyOf', 'oneOf'];

function published(name: string, value: Json, dialect: Dialect): Json {
  if (maps.includes(name) && isMap(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        isMap(inner) ? publishedSchema(inner, dialect) : inner,
      ]),
    );
  if (schemas.includes(name) && isMap(value)) return publishedSchema(value, dialect);
  if (lists.includes(name) && isList(value))
    return value.map((inner) => (isMap(inner) ? publishedSchema(inner, dialect) : inner));
  return value;
}

// ---- paths -----------------------------------------------------------------------------------------------------------

/** Verb of RBAC -> method and what OpenAPI calls the action. */
type Methods = ReadonlyMap<string, readonly [string, string]>;
const collectionVerbs: Methods = new Map([
  ['list', ['get', 'list']],
  ['create', ['post', 'post']],
  ['deletecollection', ['delete', 'deletecollection']],
]);
const itemVerbs: Methods = new Map([
  ['get', ['get', 'get']],
  ['update', ['put', 'put']],
  ['patch', ['patch', 'patch']],
  ['delete', ['delete', 'delete']],
]);

function pathsOf(resources: readonly ServedResource[], dialect: Dialect): JsonObject {
  return Object.fromEntries(resources.flatMap((resource) => resourcePaths(resource, dialect)));
}

function resourcePaths(
  resource: ServedResource,
  dialect: Dialect,
): readonly (readonly [string, JsonObject])[] {
  const { group, version, plural, namespaced } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const collection = `${root}${namespaced ? '/namespaces/{namespace}' : ''}/${plural}`;
  const item = `${collection}/{name}`;
  const paths: [string, JsonObject][] = [
    [
      collection,
      operations(resource, collectionVerbs, resource.verbs, parametersIn(collection, dialect), dialect),
    ],
    [item, operations(resource, itemVerbs, resource.verbs, parametersIn(item, dialect), dialect)],
  ];
  for (const { name, verbs } of resource.subresources) {
    const path = `${item}/${name}`;
    const methods = new Map([...itemVerbs, ['create', ['post', 'post']]]);
    paths.push([path, operations(resource, methods, verbs, parametersIn(path, dialect), dialect)]);
  }
  return paths;
}

function parametersIn(path: string, dialect: Dialect): readonly Json[] {
  return ['namespace', 'name']
    .filter((name) => path.includes(`{${name}}`))
    .map((name) => dialect.parameter(name, 'path'));
}

function operations(
  resource: ServedResource,
  methods: Methods,
  verbs: readonly string[],
  parameters: readonly Json[],
  dialect: Dialect,
): JsonObject {
  const served = [...methods].filter(([verb]) => verbs.includes(verb));
  return {
    ...Object.fromEntries(
      served.map(([verb, [method, action]]) => [method, operation(resource, verb, action, dialect)]),
    ),
    parameters,
  };
}

const writes = ['create', 'update', 'patch'];

function operation(resource: ServedResource, verb: string, action: string, dialect: Dialect): JsonObject {
  const ref = { $ref: `${dialect.refs}${nameOf(resource)}` };
  const names = [
    ...(verb === 'get' || verb === 'list' ? [] : ['dryRun']),
    ...(writes.includes(verb) ? ['fieldManager', 'fieldValidation'] : []),
    ...(verb === 'patch' ? ['force'] : []),
  ];
  return {
    parameters: names.map((name) => dialect.parameter(name, 'query')),
    ...(writes.includes(verb) ? dialect.body(ref) : {}),
    responses: { '200': dialect.answer(ref) },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindsOf(resource),
  };
}
