// SPDX-License-Identifier: Apache-2.0
/** Small kinds of the core group: Namespace, ServiceAccount, ConfigMap, Secret. */
import type { Json } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { forbidden, invalid } from '../causes.ts';
import { isMap, listAt, mapAt, memberOf, sameJson, textAt, withMember, withValueAt } from '../json.ts';
import { configKeyFaults, labelFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { ServedResource, TableColumn } from '../served-resource.ts';
import { base64OfText } from './base64.ts';
import {
  bytes,
  condition,
  defaulted,
  flag,
  kept,
  listByKey,
  localReference,
  mapOf,
  object,
  objectReference,
  text,
  textMap,
  texts,
  written,
} from './fields.ts';
import { builtinKind, statusSubresource } from './kind.ts';

export function textColumn(name: string, description: string, cell: TableColumn['cell']): TableColumn {
  return { name, type: 'string', format: '', description, priority: 0, cell };
}

// ---- Namespace -------------------------------------------------------------------------------------------------------

const nameLabel = 'kubernetes.io/metadata.name';

export const namespaces: ServedResource = builtinKind({
  group: '',
  kind: 'Namespace',
  shortNames: ['ns'],
  namespaced: false,
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  subresources: [{ name: 'finalize', verbs: ['update'] }, statusSubresource],
  fields: {
    spec: written(object({ finalizers: texts })),
    status: written(object({ phase: text, conditions: listByKey(condition, ['type']) })),
  },
  columns: [textColumn('Status', 'The status of the namespace', (each) => textAt(each, 'status', 'phase'))],
  nameFaults: labelFaults,
  fillIn: withNameLabel,
  prepareForCreate: (each) => {
    const finalizers = listAt(each, 'spec', 'finalizers');
    const all = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
    return { ...each, spec: { finalizers: all }, status: { phase: 'Active' } };
  },
  prepareForUpdate: namespaceUpdate,
  selectable: (each) => ({ 'status.phase': textAt(each, 'status', 'phase'), name: each.metadata.name }),
  selectableNames: ['status.phase', 'name'],
});

function withNameLabel(each: ApiObject): ApiObject {
  const name = textAt(each, 'metadata', 'name');
  return name === '' ? each : (withValueAt(each, ['metadata', 'labels', nameLabel], name) as ApiObject);
}

/** spec.finalizers change by /finalize alone. */
function namespaceUpdate(next: ApiObject, previous: ApiObject, target: string): ApiObject {
  if (target === 'finalize') return next;
  return withMember(next, 'spec', memberOf(previous, 'spec')) as ApiObject;
}

// ---- ServiceAccount --------------------------------------------------------------------------------------------------

export const serviceAccounts: ServedResource = builtinKind({
  group: '',
  kind: 'ServiceAccount',
  shortNames: ['sa'],
  namespaced: true,
  subresources: [
    { name: 'token', group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest', verbs: ['create'] },
  ],
  fields: {
    secrets: listByKey(objectReference, ['name']),
    imagePullSecrets: listByKey(localReference, ['name']),
    automountServiceAccountToken: kept(flag),
  },
  deleteAnswers: 'object',
});

// ---- ConfigMap -------------------------------------------------------------------------------------------------------

export const configMaps: ServedResource = builtinKind({
  group: '',
  kind: 'ConfigMap',
  shortNames: ['cm'],
  namespaced: true,
  fields: { immutable: kept(flag), data: textMap, binaryData: mapOf(bytes) },
  columns: [
    textColumn(
      'Data',
      'data and binaryData.',
      (each) => Object.keys(mapAt(each, 'data')).length + Object.keys(mapAt(each, 'binaryData')).length,
    ),
  ],
  validate: configMapCauses,
  validateUpdate: (next, previous) => immutableCauses(next, previous, ['data', 'binaryData']),
});

function configMapCauses(each: ApiObject): readonly Cause[] {
  const binary = mapAt(each, 'binaryData');
  return [
    ...keyCauses(mapAt(each, 'data'), 'data'),
    ...Object.keys(mapAt(each, 'data'))
      .filter((key) => Object.hasOwn(binary, key))
      .map((key) => invalid(`data[${key}]`, key, 'duplicate of key present in binaryData')),
    ...keyCauses(binary, 'binaryData'),
  ];
}

function keyCauses(members: Json, field: string): readonly Cause[] {
  return Object.keys(isMap(members) ? members : {}).flatMap((key) =>
    configKeyFaults(key).map((fault) => invalid(`${field}[${key}]`, key, fault)),
  );
}

function immutableCauses(next: ApiObject, previous: ApiObject, fields: readonly string[]): readonly Cause[] {
  if (memberOf(previous, 'immutable') !== true) return [];
  const detail = 'field is immutable when `immutable` is set';
  const unset = memberOf(next, 'immutable') === true ? [] : [forbidden('immutable', detail)];
  const changed = fields.filter((field) => !sameJson(mapAt(next, field), mapAt(previous, field)));
  return [...unset, ...changed.map((field) => forbidden(field, detail))];
}

// ---- Secret ----------------------------------------------------------------------------------------------------------

export const secrets: ServedResource = builtinKind({
  group: '',
  kind: 'Secret',
  namespaced: true,
  fields: { immutable: kept(flag), data: mapOf(bytes), stringData: textMap, type: defaulted(text, 'Opaque') },
  columns: [
    textColumn('Type', 'Used to facilitate programmatic handling of secret data.', (each) =>
      textAt(each, 'type'),
    ),
    textColumn('Data', 'Data contains the secret data.', (each) => Object.keys(mapAt(each, 'data')).length),
  ],
  fillIn: (each) => {
    const sent = Object.entries(mapAt(each, 'stringData'));
    if (sent.length === 0) return withMember(each, 'stringData', undefined) as ApiObject;
    const data = {
      ...mapAt(each, 'data'),
      ...Object.fromEntries(sent.map(([key, value]) => [key, base64OfText(String(value))])),
    };
    return { ...(withMember(each, 'stringData', undefined) as ApiObject), data };
  },
  validate: (each) => keyCauses(mapAt(each, 'data'), 'data'),
  validateUpdate: (next, previous) => [
    ...(textAt(next, 'type') === textAt(previous, 'type')
      ? []
      : [invalid('type', textAt(next, 'type'), 'field is immutable')]),
    ...immutableCauses(next, previous, ['data']),
  ],
  selectable: (each) => ({ type: textAt(each, 'type') }),
  selectableNames: ['type'],
});
