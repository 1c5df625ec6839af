// SPDX-License-Identifier: Apache-2.0
/** metadata.managedFields: who manages which fields, by which kind of write. */
import type { JsonObject } from '../../model/types.ts';
import { type FieldSet, fieldSetOf, fieldsV1Of, stepsOf } from './field-set.ts';
import { isMap, listAt, mapAt, memberOf, textAt, withMember, withValueAt } from './json.ts';
import type { ApiObject } from './object.ts';

export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
}

export function managersOf(object: ApiObject | null): readonly Manager[] {
  return listAt(object ?? {}, 'metadata', 'managedFields')
    .filter((entry) => Object.keys(mapAt(entry)).length > 0)
    .map((entry) => ({
      name: textAt(entry, 'manager'),
      operation: textAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
      apiVersion: textAt(entry, 'apiVersion'),
      subresource: textAt(entry, 'subresource'),
      time: textAt(entry, 'time'),
      fields: fieldSetOf(memberOf(entry, 'fieldsV1') ?? {}),
    }));
}

/** What a client sends to be rid of all managers: a list of one empty entry, or an empty list. */
export function isReset(object: ApiObject): boolean {
  const sent = memberOf(object.metadata, 'managedFields');
  if (!Array.isArray(sent)) return false;
  return sent.length === 0 || (sent.length === 1 && Object.keys(mapAt(sent[0] ?? null)).length === 0);
}

export function withManagers(object: ApiObject, managers: readonly Manager[]): ApiObject {
  const entries = managers
    .filter(({ fields }) => fields.size > 0)
    .sort(byOrder)
    .map(entryOf);
  const value = entries.length > 0 ? entries : undefined;
  return withValueAt(object, ['metadata', 'managedFields'], value) as ApiObject;
}

/** By operation, then time, then name: as a real server lists them. */
function byOrder(a: Manager, b: Manager): number {
  const keys = (each: Manager) => [each.operation, each.time, each.name, each.apiVersion, each.subresource];
  const [left, right] = [keys(a), keys(b)];
  const at = left.findIndex((key, i) => key !== right[i]);
  return at < 0 ? 0 : (left[at] ?? '') < (right[at] ?? '') ? -1 : 1;
}

function entryOf({ name, operation, apiVersion, subresource, time, fields }: Manager): JsonObject {
  return {
    manager: name,
    operation,
    apiVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: fieldsV1Of(fields),
    ...(subresource === '' ? {} : { subresource }),
  };
}

export function isSameManager(a: Manager, b: Omit<Manager, 'fields' | 'time'>): boolean {
  return (
    a.name === b.name &&
    a.operation === b.operation &&
    a.apiVersion === b.apiVersion &&
    a.subresource === b.subresource
  );
}

/** Fields that the server owns, or that name the object: nobody manages them. */
const ownerless = [
  'apiVersion',
  'kind',
  'metadata',
  'metadata.name',
  'metadata.namespace',
  'metadata.generateName',
  'metadata.creationTimestamp',
  'metadata.selfLink',
  'metadata.uid',
  'metadata.clusterName',
  'metadata.generation',
  'metadata.managedFields',
  'metadata.resourceVersion',
  'metadata.deletionTimestamp',
  'metadata.deletionGracePeriodSeconds',
].map((path) =>
  path
    .split('.')
    .map((name) => `f:${name}`)
    .join('\u0000'),
);

/** @param part - what the write can change: `status` alone, everything but status, or everything */
export function managed(fields: FieldSet, part: 'status' | 'main' | 'all'): FieldSet {
  return new Set(
    [...fields].filter((path) => {
      if (ownerless.includes(path) || path.startsWith('f:metadata\u0000f:managedFields')) return false;
      const isStatus = stepsOf(path)[0] === 'f:status';
      return part === 'all' || isStatus === (part === 'status');
    }),
  );
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  return new Set([...a, ...b]);
}

export function without(a: FieldSet, b: FieldSet): FieldSet {
  return new Set([...a].filter((path) => !b.has(path)));
}

export function common(a: FieldSet, b: FieldSet): FieldSet {
  return new Set([...a].filter((path) => b.has(path)));
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  return a.size === b.size && [...a].every((path) => b.has(path));
}

/** Without managedFields and what changes with every write. */
export function withoutManagers(object: JsonObject): JsonObject {
  const metadata = memberOf(object, 'metadata');
  return isMap(metadata)
    ? withMember(object, 'metadata', withMember(metadata, 'managedFields', undefined))
    : object;
}
