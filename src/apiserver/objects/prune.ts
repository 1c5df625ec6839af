// SPDX-License-Identifier: Apache-2.0
/**
 * A custom object without the fields that its structural schema does not name. Type faults are left for validation.
 *
 * @see k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { isList, isMap } from './json.ts';
import { objectMeta } from './object-meta.ts';
import { additionalOf, isEmbedded, itemsOf, keepsUnknown, propertyOf } from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';
import { typedObject } from './typed.ts';

const ofEveryObject = ['apiVersion', 'kind', 'metadata'];

/** @param unknown - told the path of each field that is left out */
export function pruned(
  schema: OpenApiSchema,
  object: JsonObject,
  unknown: (path: string) => void,
): JsonObject {
  return prunedMap(schema, object, '', unknown, ofEveryObject);
}

function prunedValue(
  schema: OpenApiSchema,
  value: Json,
  path: string,
  unknown: (path: string) => void,
): Json {
  if (isList(value)) {
    const items = itemsOf(schema);
    return items ? value.map((item, i) => prunedValue(items, item, `${path}[${i}]`, unknown)) : value;
  }
  if (!isMap(value)) return value;
  if (!isEmbedded(schema)) return prunedMap(schema, value, path, unknown, []);
  return embedded(schema, value, path, unknown);
}

function embedded(
  schema: OpenApiSchema,
  value: JsonObject,
  path: string,
  unknown: (path: string) => void,
): Json {
  const inner = prunedMap(schema, value, path, unknown, ofEveryObject);
  return isMap(inner.metadata)
    ? { ...inner, metadata: typedObject(objectMeta, inner.metadata, `${path}.metadata`, unknown) }
    : inner;
}

/** @param always - names that stay as they are */
function prunedMap(
  schema: OpenApiSchema,
  value: JsonObject,
  path: string,
  unknown: (path: string) => void,
  always: readonly string[],
): JsonObject {
  const others = additionalOf(schema);
  const members = Object.entries(value).flatMap(([name, member]): [string, Json][] => {
    if (always.includes(name)) return [[name, member]];
    const at = path === '' ? name : `${path}.${name}`;
    const inner = propertyOf(schema, name) ?? others;
    if (inner) return [[name, prunedValue(inner, member, at, unknown)]];
    if (keepsUnknown(schema)) return [[name, member]];
    unknown(at);
    return [];
  });
  return Object.fromEntries(members);
}
