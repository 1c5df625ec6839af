// SPDX-License-Identifier: Apache-2.0
/** Reading schemas: the members of an OpenAPI v3 schema that this server gives a meaning to. */
import type { Json, JsonObject } from '../../model/types.ts';
import { isMap, listAt, mapAt, memberOf, textAt } from './json.ts';
import type { OpenApiSchema } from './served-resource.ts';

export function typeOf(schema: OpenApiSchema): string {
  return textAt(schema, 'type');
}

export function propertiesOf(schema: OpenApiSchema): { readonly [name: string]: OpenApiSchema } {
  return mapAt(schema, 'properties') as { readonly [name: string]: OpenApiSchema };
}

export function propertyOf(schema: OpenApiSchema, name: string): OpenApiSchema | undefined {
  const found = memberOf(mapAt(schema, 'properties'), name);
  return isMap(found) ? found : undefined;
}

/** The schema of values under names that `properties` does not list; undefined: there are none. */
export function additionalOf(schema: OpenApiSchema): OpenApiSchema | undefined {
  const found = memberOf(schema, 'additionalProperties');
  if (found === true) return {};
  return isMap(found) ? found : undefined;
}

/** What stands under `name`, listed or additional. */
export function childOf(schema: OpenApiSchema, name: string): OpenApiSchema | undefined {
  return propertyOf(schema, name) ?? additionalOf(schema);
}

export function itemsOf(schema: OpenApiSchema): OpenApiSchema | undefined {
  const found = memberOf(schema, 'items');
  return isMap(found) ? found : undefined;
}

export function flagOf(schema: OpenApiSchema, name: string): boolean {
  return memberOf(schema, name) === true;
}

export function numberOf(schema: OpenApiSchema, name: string): number | undefined {
  const found = memberOf(schema, name);
  return typeof found === 'number' ? found : undefined;
}

export function textsOf(schema: JsonObject, name: string): readonly string[] {
  return listAt(schema, name).filter((each): each is string => typeof each === 'string');
}

export function isIntOrString(schema: OpenApiSchema): boolean {
  return flagOf(schema, 'x-kubernetes-int-or-string');
}

export function keepsUnknown(schema: OpenApiSchema): boolean {
  return flagOf(schema, 'x-kubernetes-preserve-unknown-fields');
}

export function isEmbedded(schema: OpenApiSchema): boolean {
  return flagOf(schema, 'x-kubernetes-embedded-resource');
}

export function defaultOf(schema: OpenApiSchema): Json | undefined {
  return memberOf(schema, 'default');
}

/** How lists merge under server-side apply: `atomic` where nothing is said. */
export function listTypeOf(schema: OpenApiSchema): 'atomic' | 'set' | 'map' {
  const found = textAt(schema, 'x-kubernetes-list-type');
  return found === 'set' || found === 'map' ? found : 'atomic';
}

export function listKeysOf(schema: OpenApiSchema): readonly string[] {
  return textsOf(schema, 'x-kubernetes-list-map-keys');
}

export function isAtomicMap(schema: OpenApiSchema): boolean {
  return textAt(schema, 'x-kubernetes-map-type') === 'atomic';
}
