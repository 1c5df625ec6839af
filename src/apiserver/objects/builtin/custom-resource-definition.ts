// SPDX-License-Identifier: Apache-2.0
/** apiextensions.k8s.io/v1 CustomResourceDefinition. */
import type { Json, JsonObject } from '../../../model/types.ts';
import { isMap, listAt, mapAt, memberOf, textAt } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import { definitionCauses, definitionUpdateCauses } from './definition-causes.ts';
import {
  anything,
  flag,
  integer,
  kept,
  listByKey,
  listOf,
  long,
  object,
  text,
  texts,
  time,
  written,
} from './fields.ts';
import { builtinKind, statusSubresource } from './kind.ts';

const names = object({
  plural: written(text),
  singular: text,
  shortNames: texts,
  kind: written(text),
  listKind: text,
  categories: texts,
});

const version = object({
  name: written(text),
  served: written(flag),
  storage: written(flag),
  deprecated: flag,
  deprecationWarning: kept(text),
  schema: object({ openAPIV3Schema: anything }),
  subresources: object({
    status: anything,
    scale: object({
      specReplicasPath: written(text),
      statusReplicasPath: written(text),
      labelSelectorPath: kept(text),
    }),
  }),
  additionalPrinterColumns: listOf(
    object({
      name: written(text),
      type: written(text),
      format: text,
      description: text,
      priority: integer,
      jsonPath: written(text),
    }),
  ),
  selectableFields: listOf(object({ jsonPath: written(text) })),
});

const condition = object({
  type: written(text),
  status: written(text),
  observedGeneration: long,
  lastTransitionTime: time,
  reason: text,
  message: text,
});

export const customResourceDefinitions: ServedResource = builtinKind({
  group: 'apiextensions.k8s.io',
  kind: 'CustomResourceDefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  counts: true,
  unconditionalUpdate: false,
  subresources: [statusSubresource],
  fields: {
    spec: written(
      object({
        group: written(text),
        names: written(names),
        scope: written(text),
        versions: written(listOf(version)),
        conversion: object({ strategy: written(text), webhook: anything }),
        preserveUnknownFields: flag,
      }),
    ),
    status: written(
      object({
        conditions: written(listByKey(condition, ['type'])),
        acceptedNames: written(names),
        storedVersions: written(texts),
        observedGeneration: long,
      }),
    ),
  },
  columns: [
    textColumn('Created At', 'When it was created.', (each) => textAt(each, 'metadata', 'creationTimestamp')),
  ],
  fillIn: (each) => ({ ...each, spec: specWithDefaults(mapAt(each, 'spec')) }),
  prepareForCreate: (each) => ({ ...each, status: firstStatus(each) }),
  prepareForUpdate: (next) => ({
    ...next,
    status: { ...mapAt(next, 'status'), storedVersions: storedVersions(next) },
  }),
  validate: definitionCauses,
  validateUpdate: definitionUpdateCauses,
});

function specWithDefaults(spec: JsonObject): JsonObject {
  const given = mapAt(spec, 'names');
  const kind = textAt(given, 'kind');
  const filled = {
    ...given,
    singular: textAt(given, 'singular') || kind.toLowerCase(),
    listKind: textAt(given, 'listKind') || (kind === '' ? '' : `${kind}List`),
  };
  return { ...spec, names: filled, conversion: memberOf(spec, 'conversion') ?? { strategy: 'None' } };
}

function firstStatus(each: ApiObject): JsonObject {
  const stored = storedVersions(each);
  return {
    conditions: null,
    acceptedNames: { plural: '', kind: '' },
    storedVersions: stored.length > 0 ? stored : null,
  };
}

/** Every version that ever was the one stored. */
function storedVersions(each: ApiObject): readonly Json[] {
  const known = listAt(each, 'status', 'storedVersions');
  const now = listAt(each, 'spec', 'versions')
    .filter((one) => memberOf(one, 'storage') === true)
    .map((one) => textAt(one, 'name'));
  return [...known, ...now.filter((name) => !known.includes(name))];
}

/** The status of a definition whose names nobody else has: it is served from now on. */
export function established(crd: ApiObject, now: Date): ApiObject {
  const lastTransitionTime = `${now.toISOString().slice(0, 19)}Z`;
  const conditions = [
    {
      type: 'NamesAccepted',
      status: 'True',
      lastTransitionTime,
      reason: 'NoConflicts',
      message: 'no conflicts found',
    },
    {
      type: 'Established',
      status: 'True',
      lastTransitionTime,
      reason: 'InitialNamesAccepted',
      message: 'the initial names have been accepted',
    },
  ];
  const has = (type: string) =>
    listAt(crd, 'status', 'conditions').some((one) => textAt(one, 'type') === type);
  const added = conditions.filter(({ type }) => !has(type));
  return {
    ...crd,
    status: {
      ...mapAt(crd, 'status'),
      conditions: [...listAt(crd, 'status', 'conditions').filter(isMap), ...added],
      acceptedNames: mapAt(crd, 'spec', 'names'),
    },
  };
}
