// SPDX-License-Identifier: Apache-2.0
/** What a CustomResourceDefinition makes served: one resource for each served version, ruled by its schema. */
import type { Json, JsonObject } from '../../model/types.ts';
import type { Cause } from './api-error.ts';
import { ruleCauses, rulesNotChecked } from './cel-rules.ts';
import { withDefaults } from './defaults.ts';
import { isMap, listAt, mapAt, memberOf, sameJson, textAt, withMember } from './json.ts';
import { compilePath } from './json-path.ts';
import { subdomainFaults } from './names.ts';
import type { ApiObject } from './object.ts';
import { metadataCauses, metadataUpdateCauses, objectMeta } from './object-meta.ts';
import { pruned } from './prune.ts';
import { textsOf } from './schema.ts';
import type {
  OpenApiSchema,
  ResourceRules,
  ServedResource,
  Subresource,
  TableColumn,
  WriteTarget,
} from './served-resource.ts';
import { ageColumn, ageOf, nameColumn } from './table.ts';
import { valueCauses } from './validate-value.ts';

/** As discovery lists them. */
const verbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const statusResource: Subresource = { name: 'status', verbs: ['get', 'patch', 'update'] };

/** What an (established) definition makes served: one for each served version. */
export function customResources(crd: ApiObject): readonly ServedResource[] {
  return listAt(crd, 'spec', 'versions')
    .filter((version) => memberOf(version, 'served') === true)
    .map((version) => customResource(mapAt(crd, 'spec'), version));
}

function customResource(spec: JsonObject, version: Json): ServedResource {
  const names = mapAt(spec, 'names');
  const kind = textAt(names, 'kind');
  const subresources = isMap(memberOf(mapAt(version, 'subresources'), 'status')) ? [statusResource] : [];
  const schema = withCommonFields(mapAt(version, 'schema', 'openAPIV3Schema'));
  return {
    group: textAt(spec, 'group'),
    version: textAt(version, 'name'),
    kind,
    listKind: textAt(names, 'listKind') || `${kind}List`,
    plural: textAt(names, 'plural'),
    singular: textAt(names, 'singular') || kind.toLowerCase(),
    shortNames: textsOf(names, 'shortNames'),
    categories: textsOf(names, 'categories'),
    namespaced: textAt(spec, 'scope') === 'Namespaced',
    verbs,
    subresources,
    custom: true,
    schema,
    columns: columnsOf(version),
    rules: rulesOf(spec, version, schema, subresources.length > 0),
  };
}

function withCommonFields(schema: OpenApiSchema): OpenApiSchema {
  const properties = {
    ...mapAt(schema, 'properties'),
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: objectMeta,
  };
  return { ...schema, type: 'object', properties };
}

function columnsOf(version: Json): readonly TableColumn[] {
  const own = listAt(version, 'additionalPrinterColumns').filter(isMap).map(columnOf);
  return [nameColumn, ...(own.length > 0 ? own : [ageColumn('date')])];
}

function columnOf(column: JsonObject): TableColumn {
  const type = textAt(column, 'type');
  const path = textAt(column, 'jsonPath');
  const find = compilePath(path);
  const priority = memberOf(column, 'priority');
  return {
    name: textAt(column, 'name'),
    type,
    format: textAt(column, 'format'),
    description:
      textAt(column, 'description') || `Custom resource definition column (in JSONPath format): ${path}`,
    priority: typeof priority === 'number' ? priority : 0,
    cell: (object, now) => cellOf(type, find?.(object)[0] ?? null, now),
  };
}

function cellOf(type: string, value: Json, now: Date): string | number | boolean | null {
  if (value === null) return null;
  if (type === 'string') return typeof value === 'string' ? value : JSON.stringify(value);
  if (type === 'date') return typeof value === 'string' ? ageOf(value, now) : null;
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  return typeof value === type && typeof value !== 'object' ? value : null;
}

function rulesOf(spec: JsonObject, version: Json, schema: OpenApiSchema, hasStatus: boolean): ResourceRules {
  const selectable = selectableOf(version);
  const warnings = deprecation(spec, version);
  return {
    fillIn: (object) =>
      withDefaults(
        schema,
        pruned(schema, object, () => {}),
      ) as ApiObject,
    prepareForCreate: (object) => withGeneration(hasStatus ? withStatusOf(object, null) : object, 1),
    prepareForUpdate: (next, previous, target) => updated(next, previous, target, hasStatus),
    validateCreate: (object) => [
      ...metadataCauses(object, subdomainFaults),
      ...causesOf(schema, object, undefined),
    ],
    validateUpdate: (next, previous) => [
      ...metadataCauses(next, subdomainFaults),
      ...metadataUpdateCauses(next, previous),
      ...causesOf(schema, next, previous),
    ],
    warnings: () => warnings,
    selectableFields: (object) =>
      Object.fromEntries(selectable.map(({ name, find }) => [name, fieldText(find(object)[0])])),
    selectableFieldNames: selectable.map(({ name }) => name),
    unconditionalUpdate: false,
    createOnUpdate: false,
    gracePeriodSeconds: () => 0,
    deleteAnswers: 'status',
  };
}

function causesOf(
  schema: OpenApiSchema,
  object: ApiObject,
  previous: ApiObject | undefined,
): readonly Cause[] {
  const causes = valueCauses(schema, object, previous, '');
  const notChecked = rulesNotChecked(schema, causes);
  return [...causes, ...(notChecked ? [notChecked] : ruleCauses(schema, object, previous, ''))];
}

function withGeneration(object: ApiObject, generation: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, generation } };
}

/** @param previous - null: there is none, and no status yet */
function withStatusOf(object: ApiObject, previous: ApiObject | null): ApiObject {
  return withMember(object, 'status', memberOf(previous ?? {}, 'status')) as ApiObject;
}

/** Everything else of a write to /status is ignored without a word; so is a status that comes the main way. */
function updated(next: ApiObject, previous: ApiObject, target: WriteTarget, hasStatus: boolean): ApiObject {
  if (target === 'status') return withStatus(next, previous);
  const object = hasStatus ? withStatusOf(next, previous) : next;
  const generation = previous.metadata.generation ?? 1;
  return withGeneration(object, sameContent(object, previous) ? generation : generation + 1);
}

function withStatus(next: ApiObject, previous: ApiObject): ApiObject {
  const kept = ['resourceVersion', 'managedFields'];
  const metadata = kept.reduce<JsonObject>(
    (all, name) => withMember(all, name, memberOf(next.metadata, name)),
    previous.metadata,
  );
  return { ...withStatusOf(previous, next), metadata } as ApiObject;
}

function sameContent(a: ApiObject, b: ApiObject): boolean {
  return sameJson(withMember(a, 'metadata', {}), withMember(b, 'metadata', {}));
}

interface SelectableField {
  /** As a selector names it: `spec.tier`. */
  readonly name: string;
  readonly find: (value: Json) => readonly Json[];
}

function selectableOf(version: Json): readonly SelectableField[] {
  return listAt(version, 'selectableFields').flatMap((field) => {
    const path = textAt(field, 'jsonPath');
    const find = compilePath(path);
    return find ? [{ name: path.replace(/^\./, ''), find }] : [];
  });
}

function fieldText(value: Json | undefined): string {
  return value === undefined || value === null ? '' : String(value);
}

function deprecation(spec: JsonObject, version: Json): readonly string[] {
  if (memberOf(version, 'deprecated') !== true) return [];
  const own = textAt(version, 'deprecationWarning');
  return [
    own ||
      `${textAt(spec, 'group')}/${textAt(version, 'name')} ${textAt(spec, 'names', 'kind')} is deprecated`,
  ];
}
