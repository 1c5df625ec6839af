// SPDX-License-Identifier: Apache-2.0
/** Every POST of the transcripts that a real server answered with an object or with causes, without a server around it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../model/types.ts';
import { ApiError, type Cause } from './api-error.ts';
import { builtinResources } from './builtin.ts';
import { refusal } from './causes.ts';
import { customResources } from './custom-resources.ts';
import { decode, duplicateFields } from './decode.ts';
import { isMap, listAt, mapAt, textAt, withMember, withValueAt } from './json.ts';
import type { ApiObject } from './object.ts';
import type { RequestContext, ServedResource } from './served-resource.ts';

const folder = new URL('../../../test/data/k8s-transcripts/', import.meta.url);

interface Step {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly query?: JsonObject;
  readonly as?: string;
  readonly body?: Json;
  readonly response?: { readonly status: number; readonly headers?: JsonObject; readonly body?: Json };
}

function read(name: string): JsonObject {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
}

const definitions = listAt(read('preconditions.json'), 'widget-crds') as readonly ApiObject[];
const resources = [...builtinResources, ...definitions.flatMap(customResources)];

function resourceAt(path: string): { resource: ServedResource; namespace: string } | null {
  const match =
    /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>[^/]+)(?:\/namespaces\/(?<namespace>[^/]+)(?=\/))?\/(?<plural>[^/]+)$/.exec(
      path,
    );
  const { group = '', version, namespace = '', plural } = match?.groups ?? {};
  const resource = resources.find(
    (each) =>
      each.group === group &&
      each.version === version &&
      each.plural === plural &&
      each.namespaced === (namespace !== ''),
  );
  return resource ? { resource, namespace } : null;
}

const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };

const context: RequestContext = {
  now: new Date('2026-01-01T00:00:00Z'),
  newUid: () => '11111111-2222-4333-8444-555555555555',
  newSuffix: (length) => 'x'.repeat(length),
  lookup: () => account,
  list: () => [],
  services: { ranges: ['10.96.0.0/16'], nodePorts: { first: 30000, last: 32767 } },
};

interface Born {
  readonly object: ApiObject;
  readonly warnings: readonly string[];
}

function born(resource: ServedResource, namespace: string, body: Json, query: JsonObject): Born {
  const { value, duplicates } = duplicateFields(typeof body === 'string' ? body : JSON.stringify(body));
  const mode = textAt(query, 'fieldValidation') || 'Warn';
  const { object, warnings } = decode(resource, value, mode as 'Strict' | 'Warn' | 'Ignore', duplicates);
  const prefix = textAt(object, 'metadata', 'generateName');
  const metadata = {
    ...object.metadata,
    name: object.metadata.name ?? (prefix === '' ? '' : `${prefix}xxxxx`),
    ...(namespace === '' ? {} : { namespace }),
  };
  const made = resource.rules.prepareForCreate(
    resource.rules.fillIn({ ...object, metadata } as ApiObject),
    context,
  );
  const causes = resource.rules.validateCreate(made, context);
  if (causes.length > 0) throw refusal(resource, made.metadata.name, causes);
  return { object: made, warnings: [...warnings, ...resource.rules.warnings(made)] };
}

/** Without what the requests' part gives, and what was normalised. */
function bare(object: Json): Json {
  const metadata = withMember(mapAt(object, 'metadata'), 'managedFields', undefined);
  const given = ['uid', 'resourceVersion', 'creationTimestamp', 'selfLink', 'deletionTimestamp'];
  const kept = Object.fromEntries(Object.entries(metadata).filter(([name]) => !given.includes(name)));
  const text = JSON.stringify(withMember(mapAt(object), 'metadata', kept))
    .replaceAll(/"10\.96\.\d+\.\d+"/g, '"<ip>"')
    .replaceAll(/"(nodePort|healthCheckNodePort)":\d+/g, '"$1":"<port>"')
    .replaceAll('kube-api-access-xxxxx', 'kube-api-access-<suffix>')
    .replaceAll(/"(gen-|gw-|dry-|Bad_)xxxxx"/g, '"$1<suffix>"');
  return JSON.parse(text.replaceAll(/"\$\{uid:[^}]*\}"/g, '"<uid:2>"'));
}

function causeSet(causes: readonly Cause[]): readonly string[] {
  return [...new Set(causes.map(({ reason, field }) => `${reason} ${field}`))].sort();
}

function check(step: Step): void {
  const at = resourceAt(step.path ?? '');
  const { status, headers = {}, body } = step.response ?? { status: 0 };
  if (!at || step.as !== undefined || ![201, 422].includes(status)) return;
  const title = `${step.name}: ${step.path}`;
  try {
    const { object, warnings } = born(at.resource, at.namespace, step.body ?? null, step.query ?? {});
    assert.equal(status, 201, title);
    assert.deepEqual(bare(object), bare(body ?? null), title);
    assert.equal(
      warnings.map((each) => `299 - ${JSON.stringify(each)}`).join(', '),
      textAt(headers, 'warning'),
      title,
    );
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    assert.equal(status, error.code, `${title}: ${error.message}`);
    const wanted = listAt(body, 'details', 'causes') as unknown as readonly Cause[];
    assert.deepEqual(causeSet(error.details?.causes ?? []), causeSet(wanted), title);
  }
}

/** Refused or changed by what is outside of objects. */
const elsewhere = new Set([
  'core-bad-value',
  'cr-bad-value',
  'bad-value',
  'token-too-short',
  'too-long',
  'review',
  'review-bad',
  'self-access-review',
  'self-subject-review',
  'other-namespace',
  'reviews',
]);

const topics = existsSync(folder) ? readdirSync(folder).filter((name) => /^[a-z-]+\.json$/.test(name)) : [];

for (const name of topics.filter((each) => each !== 'preconditions.json' && !each.startsWith('calico-')))
  test(`births of ${name}`, () => {
    const steps = listAt(read(name), 'steps').filter(isMap) as unknown as readonly Step[];
    for (const step of steps) if (step.method === 'POST' && !elsewhere.has(step.name)) check(step);
  });

test('a value is set below objects that were not there', () => {
  assert.deepEqual(withValueAt({ a: 1 }, ['b', 'c'], 2), { a: 1, b: { c: 2 } });
});
