// SPDX-License-Identifier: Apache-2.0
/** Every kind by cases that are made from its own schema: each field written once, each constraint violated once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isObject } from '../json.ts';
import { kindRow } from '../kinds.ts';
import { type SchemaKind, schemas } from '../schema/catalogue.ts';
import type { Json } from '../types.ts';
import { validateResource } from './resource.ts';
import { CaseMaker } from './schema-cases.ts';

/** Names that a kind wants, where any DNS name will not do. */
const names: { readonly [K in SchemaKind]?: string } = {
  IPAMConfiguration: 'default',
  ClusterInformation: 'default',
  KubeControllersConfiguration: 'default',
  BGPConfiguration: 'default',
};

function faultPaths(resource: Json): readonly string[] {
  return validateResource(resource).faults.map((fault) => fault.path);
}

for (const [kind, schema] of Object.entries(schemas) as [SchemaKind, (typeof schemas)[SchemaKind]][]) {
  test(`${kind}: each field, each constraint`, () => {
    const { apiVersion, writtenKind } = kindRow(kind);
    const head = { apiVersion, kind: writtenKind, metadata: { name: names[kind] ?? 'x' } };
    const maker = new CaseMaker((resource) => faultPaths(resource).length === 0);
    const { spec, status } = schema.properties ?? {};
    const place = (value: Json) => ({ ...head, spec: value });
    maker.visit(spec ?? {}, 'spec', place);
    const base = maker.cases.find(({ path }) => path === null)?.resource;
    assert.ok(isObject(base));
    if (status?.properties) maker.visit(status, 'status', (value) => ({ ...base, status: value }) as Json);
    const wrong = maker.cases.filter(
      ({ resource, path }) => faultPaths(resource).join() !== (path === null ? '' : path),
    );
    assert.deepEqual(
      wrong.map(({ name, resource }) => [name, validateResource(resource).faults]),
      [],
    );
    assert.ok(maker.cases.length > 5);
  });
}
