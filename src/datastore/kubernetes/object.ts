// SPDX-License-Identifier: Apache-2.0
/** An object of the API as what is stored, and the other way round. */
import type { Stored } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { isObject, shapeFault, textAt } from '../../model/json.ts';
import { kindRow } from '../../model/kinds.ts';
import type { Metadata, Resource, ResourceKey } from '../../model/types.ts';
import { fromCrdV1 } from './crd-v1.ts';
import type { ServedKind } from './served-kinds.ts';

/**
 * null for what has no name to be reported by. What is too deep to be read is handed on with its name alone: validation
 * refuses it and names it.
 */
export function storedOf(served: ServedKind, object: unknown): Stored | null {
  const name = textAt(object, 'metadata', 'name');
  if (!isObject(object) || name === '') return null;
  const fault = shapeFault(object);
  const resource =
    fault === null
      ? named(served, object)
      : { apiVersion: '', kind: served.kind, metadata: metadataOf(object) };
  return {
    key: keyOf(
      served,
      served.isCrdV1 ? resource.metadata.name : name,
      textAt(object, 'metadata', 'namespace'),
    ),
    resource,
    revision: textAt(object, 'metadata', 'resourceVersion') as Revision,
  };
}

/** Lists of built-in kinds leave type and version out of their items. */
function named(served: ServedKind, object: { readonly [field: string]: unknown }): Resource {
  const { apiVersion, writtenKind: kind } = kindRow(served.kind);
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = object;
  const resource = { apiVersion, kind, metadata: metadataOf(object), ...rest };
  return served.isCrdV1 ? fromCrdV1(served.kind, resource) : resource;
}

/** Who manages which field is as large as the object, and read by nobody here. */
function metadataOf(object: { readonly [field: string]: unknown }): Metadata {
  const { managedFields: _, ...metadata } = object.metadata as Metadata;
  return metadata;
}

export function keyOf(served: ServedKind, name: string, namespace: string): ResourceKey {
  return { kind: served.kind, name, ...(namespace === '' ? {} : { namespace }) };
}

/** What only the server gives; sent along it would be a precondition or a forgery. */
const serverFields = [
  'uid',
  'creationTimestamp',
  'resourceVersion',
  'generation',
  'managedFields',
  'selfLink',
];

export function newObject(resource: Resource): Resource {
  const metadata = Object.fromEntries(
    Object.entries(resource.metadata).filter(([field]) => !serverFields.includes(field)),
  );
  return { ...resource, metadata: metadata as Metadata };
}

/** What others wrote into the metadata, and the author of this version does not speak of, stays. */
export function replacement(resource: Resource, current: Resource, revision: Revision): Resource {
  const { metadata } = newObject(resource);
  const { finalizers, ownerReferences } = current.metadata;
  return {
    ...resource,
    metadata: {
      ...(finalizers === undefined ? {} : { finalizers }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      ...metadata,
      resourceVersion: revision,
    },
  };
}
