// SPDX-License-Identifier: Apache-2.0
/** metadata, as every kind has it: its schema, and what is wrong with it. */
import type { Json } from '../../model/types.ts';
import type { Cause } from './api-error.ts';
import {
  anything,
  atomic,
  flag,
  kept,
  listByKey,
  listOf,
  long,
  object,
  setOf,
  text,
  textMap,
  time,
  written,
} from './builtin/fields.ts';
import { invalid, required } from './causes.ts';
import { isMap, listAt, mapAt, memberOf, sameJson, textAt } from './json.ts';
import { labelValueFaults, type NameFaults, qualifiedFaults } from './names.ts';
import type { ApiObject } from './object.ts';
import type { OpenApiSchema } from './served-resource.ts';

const ownerReference = atomic(
  object({
    apiVersion: written(text),
    kind: written(text),
    name: written(text),
    uid: written(text),
    controller: kept(flag),
    blockOwnerDeletion: kept(flag),
  }),
);

const managedFields = object({
  manager: text,
  operation: text,
  apiVersion: text,
  time,
  fieldsType: text,
  fieldsV1: anything,
  subresource: text,
});

export const objectMeta: OpenApiSchema = object({
  name: text,
  generateName: text,
  namespace: text,
  selfLink: text,
  uid: text,
  resourceVersion: text,
  generation: long,
  creationTimestamp: time,
  deletionTimestamp: time,
  deletionGracePeriodSeconds: kept(long),
  labels: textMap,
  annotations: textMap,
  ownerReferences: listByKey(ownerReference, ['uid']),
  finalizers: setOf(text),
  managedFields: listOf(managedFields),
});

const maxAnnotationBytes = 256 * 1024;

/** @param nameFaults - what the kind wants of a name */
export function metadataCauses({ metadata }: ApiObject, nameFaults: NameFaults): readonly Cause[] {
  return [
    ...nameCauses(metadata, nameFaults),
    ...labelCauses(mapAt(metadata, 'labels'), 'metadata.labels'),
    ...annotationCauses(metadata),
    ...finalizerCauses(listAt(metadata, 'finalizers')),
    ...ownerCauses(listAt(metadata, 'ownerReferences')),
  ];
}

function nameCauses(metadata: Json, nameFaults: NameFaults): readonly Cause[] {
  const prefix = textAt(metadata, 'generateName');
  const name = textAt(metadata, 'name');
  if (name === '') return [required('metadata.name', 'name or generateName is required')];
  // A prefix may end in a hyphen: the suffix follows.
  const prefixFaults = prefix === '' ? [] : nameFaults(prefix.replace(/-$/, 'a'));
  return [
    ...prefixFaults.map((fault) => invalid('metadata.generateName', prefix, fault)),
    ...nameFaults(name).map((fault) => invalid('metadata.name', name, fault)),
  ];
}

export function labelCauses(labels: Json, field: string): readonly Cause[] {
  return Object.entries(isMap(labels) ? labels : {}).flatMap(([key, value]) => [
    ...qualifiedFaults(key).map((fault) => invalid(field, key, fault)),
    ...labelValueFaults(String(value)).map((fault) => invalid(field, value, fault)),
  ]);
}

function annotationCauses(metadata: Json): readonly Cause[] {
  const annotations = Object.entries(mapAt(metadata, 'annotations'));
  const bytes = annotations.reduce(
    (sum, [key, value]) => sum + utf8Length(key) + utf8Length(String(value)),
    0,
  );
  const tooLarge = { reason: 'FieldValueTooLong', field: 'metadata.annotations' };
  return [
    ...annotations.flatMap(([key]) =>
      qualifiedFaults(key.toLowerCase()).map((fault) => invalid('metadata.annotations', key, fault)),
    ),
    ...(bytes > maxAnnotationBytes
      ? [{ ...tooLarge, message: `Too long: may not be more than ${maxAnnotationBytes} bytes` }]
      : []),
  ];
}

/** Bytes in UTF-8: two for U+0080 on, three for U+0800 on, and each half of a surrogate pair stands for two of four. */
function utf8Length(value: string): number {
  let bytes = 0;
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i);
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes;
}

const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion'];

function finalizerCauses(finalizers: readonly Json[]): readonly Cause[] {
  return finalizers.flatMap((finalizer, i) => {
    const name = String(finalizer);
    const faults = qualifiedFaults(name).map((fault) => invalid('metadata.finalizers', name, fault));
    if (name.includes('/') || standardFinalizers.includes(name)) return faults;
    const alone = 'name is neither a standard finalizer name nor is it fully qualified';
    return [...faults, invalid(`metadata.finalizers[${i}]`, name, alone)];
  });
}

function ownerCauses(owners: readonly Json[]): readonly Cause[] {
  const field = 'metadata.ownerReferences';
  const controllers = owners.filter((owner) => memberOf(owner, 'controller') === true);
  const [first = null, second] = controllers.map(
    (owner) => `${textAt(owner, 'kind')}/${textAt(owner, 'name')}`,
  );
  return [
    ...owners.flatMap((owner) => emptyIn(owner, field)),
    ...(second === undefined
      ? []
      : [
          invalid(
            field,
            owners,
            `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`,
          ),
        ]),
  ];
}

function emptyIn(owner: Json, field: string): readonly Cause[] {
  const faults: [string, string][] = [
    ['apiVersion', 'version must not be empty'],
    ['kind', 'must not be empty'],
    ['name', 'must not be empty'],
    ['uid', 'must not be empty'],
  ];
  return faults
    .filter(([name]) => textAt(owner, name) === '')
    .map(([name, fault]) => invalid(`${field}.${name}`, '', fault));
}

/** What an update may not change; the server's own fields are set back before by whoever stores. */
export function metadataUpdateCauses({ metadata }: ApiObject, previous: ApiObject): readonly Cause[] {
  const unchangeable = ['name', 'namespace', 'uid', 'creationTimestamp'];
  return unchangeable.flatMap((name) => {
    const next = memberOf(metadata, name) ?? null;
    const before = memberOf(previous.metadata, name) ?? null;
    return sameJson(next, before) ? [] : [invalid(`metadata.${name}`, next, 'field is immutable')];
  });
}
