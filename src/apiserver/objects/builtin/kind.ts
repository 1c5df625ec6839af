// SPDX-License-Identifier: Apache-2.0
/** A built-in kind from what is its own; everything else is as with most kinds. */
import type { JsonObject } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { withDefaults } from '../defaults.ts';
import { memberOf, sameJson, withMember } from '../json.ts';
import { type NameFaults, subdomainFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import { metadataCauses, metadataUpdateCauses, objectMeta } from '../object-meta.ts';
import type {
  OpenApiSchema,
  RequestContext,
  ServedResource,
  Subresource,
  TableColumn,
  WriteTarget,
} from '../served-resource.ts';
import { ageColumn, nameColumn } from '../table.ts';
import { text } from './fields.ts';

export interface BuiltinKind {
  readonly group: string;
  readonly version?: string;
  readonly kind: string;
  /** The kind in small letters and an s, unless given. */
  readonly plural?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  readonly verbs?: readonly string[];
  readonly subresources?: readonly Subresource[];
  /** Members of the object beside apiVersion, kind and metadata. */
  readonly fields: { readonly [name: string]: OpenApiSchema };
  /** Between Name and Age; null: no columns at all but these two. */
  readonly columns?: readonly TableColumn[];
  readonly nameFaults?: NameFaults;
  /** metadata.generation counts the changes of everything but metadata and status. */
  readonly counts?: boolean;
  /** After the schema's defaults. */
  readonly fillIn?: (object: ApiObject) => ApiObject;
  readonly prepareForCreate?: (object: ApiObject, context: RequestContext) => ApiObject;
  /** After status and the rest have been kept apart. */
  readonly prepareForUpdate?: (
    next: ApiObject,
    previous: ApiObject,
    target: WriteTarget,
    context: RequestContext,
  ) => ApiObject;
  readonly validate?: (object: ApiObject, context: RequestContext) => readonly Cause[];
  readonly validateUpdate?: (next: ApiObject, previous: ApiObject, target: WriteTarget) => readonly Cause[];
  readonly warnings?: (object: ApiObject) => readonly string[];
  readonly selectable?: (object: ApiObject) => Readonly<Record<string, string>>;
  readonly selectableNames?: readonly string[];
  readonly unconditionalUpdate?: boolean;
  readonly createOnUpdate?: boolean;
  readonly gracePeriodSeconds?: (object: ApiObject) => number;
  readonly deleteAnswers?: 'status' | 'object';
}

export const statusSubresource: Subresource = { name: 'status', verbs: ['get', 'patch', 'update'] };

const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

export function builtinKind(own: BuiltinKind): ServedResource {
  const singular = own.kind.toLowerCase();
  const schema = {
    type: 'object',
    properties: { apiVersion: text, kind: text, metadata: objectMeta, ...own.fields },
  };
  return {
    group: own.group,
    version: own.version ?? 'v1',
    kind: own.kind,
    listKind: `${own.kind}List`,
    plural: own.plural ?? `${singular}s`,
    singular,
    shortNames: own.shortNames ?? [],
    categories: own.categories ?? [],
    namespaced: own.namespaced,
    verbs: own.verbs ?? allVerbs,
    subresources: own.subresources ?? [],
    custom: false,
    schema,
    columns: [nameColumn, ...(own.columns ?? []), ageColumn('string')],
    rules: rulesOf(own, schema),
  };
}

function rulesOf(own: BuiltinKind, schema: OpenApiSchema): ServedResource['rules'] {
  const nameFaults = own.nameFaults ?? subdomainFaults;
  const hasStatus = (own.subresources ?? []).some(({ name }) => name === 'status');
  return {
    fillIn: (object) => {
      const filled = withDefaults(schema, object) as ApiObject;
      return own.fillIn ? own.fillIn(filled) : filled;
    },
    prepareForCreate: (object, context) => {
      const counted = own.counts ? withGeneration(object, 1) : object;
      return own.prepareForCreate ? own.prepareForCreate(counted, context) : counted;
    },
    prepareForUpdate: (next, previous, target, context) => {
      const parted = partedFrom(next, previous, target, hasStatus);
      const prepared = own.prepareForUpdate
        ? own.prepareForUpdate(parted, previous, target, context)
        : parted;
      return own.counts ? counted(prepared, previous) : prepared;
    },
    validateCreate: (object, context) => [
      ...metadataCauses(object, nameFaults),
      ...(own.validate?.(object, context) ?? []),
    ],
    validateUpdate: (next, previous, target, context) => [
      ...metadataCauses(next, nameFaults),
      ...metadataUpdateCauses(next, previous),
      ...(own.validate?.(next, context) ?? []),
      ...(own.validateUpdate?.(next, previous, target) ?? []),
    ],
    warnings: own.warnings ?? (() => []),
    selectableFields: own.selectable ?? (() => ({})),
    selectableFieldNames: own.selectableNames ?? null,
    unconditionalUpdate: own.unconditionalUpdate ?? true,
    createOnUpdate: own.createOnUpdate ?? false,
    gracePeriodSeconds: own.gracePeriodSeconds ?? (() => 0),
    deleteAnswers: own.deleteAnswers ?? 'status',
  };
}

/** A status sent the main way and a spec sent to /status are ignored; metadata is taken either way. */
function partedFrom(
  next: ApiObject,
  previous: ApiObject,
  target: WriteTarget,
  hasStatus: boolean,
): ApiObject {
  if (target === 'status')
    return {
      ...withMember(previous, 'status', memberOf(next, 'status')),
      metadata: next.metadata,
    } as ApiObject;
  return hasStatus ? (withMember(next, 'status', memberOf(previous, 'status')) as ApiObject) : next;
}

export function withGeneration(object: ApiObject, generation: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, generation } };
}

function counted(next: ApiObject, previous: ApiObject): ApiObject {
  const before = previous.metadata.generation ?? 1;
  return withGeneration(next, sameContent(next, previous) ? before : before + 1);
}

function sameContent(next: ApiObject, previous: ApiObject): boolean {
  const content = (object: JsonObject) => ({ ...object, metadata: null, status: null });
  return sameJson(content(next), content(previous));
}
