// SPDX-License-Identifier: Apache-2.0
/**
 * What a schema's defaults make of a value: filled in where nothing stands, also below other defaults; null for a field
 * that cannot be null is as good as nothing.
 *
 * @see k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { isList, isMap, textAt } from './json.ts';
import { childOf, defaultOf, flagOf, itemsOf, propertiesOf } from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';

/** @returns `value` itself where nothing is missing */
export function withDefaults(schema: OpenApiSchema, value: Json): Json {
  if (isList(value)) {
    const items = itemsOf(schema);
    return items ? listWithDefaults(items, value) : value;
  }
  return isMap(value) ? mapWithDefaults(schema, value) : value;
}

function listWithDefaults(items: OpenApiSchema, list: readonly Json[]): Json {
  const filled = list.map((item) => withDefaults(items, item));
  return filled.every((item, i) => item === list[i]) ? list : filled;
}

function mapWithDefaults(schema: OpenApiSchema, value: JsonObject): JsonObject {
  let isChanged = false;
  const members: [string, Json][] = [];
  for (const [name, member] of Object.entries(value)) {
    const inner = childOf(schema, name);
    const next = inner ? filledIn(inner, member) : member;
    isChanged ||= next !== member;
    if (next !== undefined) members.push([name, next]);
  }
  const missing = missingDefaults(schema, value);
  return isChanged || missing.length > 0 ? Object.fromEntries([...members, ...missing]) : value;
}

/** undefined: away with it. */
function filledIn(schema: OpenApiSchema, member: Json): Json | undefined {
  if (member !== null) return withDefaults(schema, member);
  if (isNullable(schema)) return null;
  const value = defaultOf(schema);
  return value === undefined ? undefined : withDefaults(schema, value);
}

/** `written`: a built-in field that Go writes as null (builtin/fields.ts). */
function isNullable(schema: OpenApiSchema): boolean {
  return (
    flagOf(schema, 'nullable') ||
    textAt(schema, 'x-muslin-zero') === 'written' ||
    Object.keys(schema).length === 0
  );
}

function missingDefaults(schema: OpenApiSchema, value: JsonObject): [string, Json][] {
  return Object.entries(propertiesOf(schema)).flatMap(([name, inner]): [string, Json][] => {
    const found = Object.hasOwn(value, name) ? undefined : defaultOf(inner);
    return found === undefined ? [] : [[name, withDefaults(inner, found)]];
  });
}
