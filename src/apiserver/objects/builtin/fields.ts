// SPDX-License-Identifier: Apache-2.0
/**
 * The words in which schemas of built-in kinds are written.
 *
 * Built-in objects pass through Go structs, so a field also has a rule for its zero value, `x-muslin-zero`:
 * none: `omitempty`, the zero value is as good as absent; `kept`: a pointer, what was sent stays; `written`: no
 * `omitempty`, the zero value is there even when nothing was sent. ../typed.ts applies it, ../openapi.ts drops it.
 */
import type { Json } from '../../../model/types.ts';
import type { OpenApiSchema } from '../served-resource.ts';

type Fields = { readonly [name: string]: OpenApiSchema };

export const text: OpenApiSchema = { type: 'string' };
export const integer: OpenApiSchema = { type: 'integer', format: 'int32' };
export const long: OpenApiSchema = { type: 'integer', format: 'int64' };
export const flag: OpenApiSchema = { type: 'boolean' };
export const time: OpenApiSchema = { type: 'string', format: 'date-time' };
export const microTime: OpenApiSchema = { type: 'string', format: 'date-time', 'x-muslin-micro': true };
export const bytes: OpenApiSchema = { type: 'string', format: 'byte' };
export const intOrString: OpenApiSchema = { 'x-kubernetes-int-or-string': true, format: 'int-or-string' };
export const quantity: OpenApiSchema = { type: 'string', format: 'quantity' };
/** Whatever JSON; kept as it is. */
export const anything: OpenApiSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** A struct behind a pointer: there when it was sent. */
export function object(properties: Fields, more: OpenApiSchema = {}): OpenApiSchema {
  return { type: 'object', properties, ...more };
}

export function mapOf(additionalProperties: OpenApiSchema): OpenApiSchema {
  return { type: 'object', additionalProperties };
}

/** Replaced as a whole by every kind of merge. */
export function listOf(items: OpenApiSchema): OpenApiSchema {
  return { type: 'array', items, 'x-kubernetes-list-type': 'atomic' };
}

/** Merged item by item: `keys` name an item for server-side apply, the first of them for a strategic merge. */
export function listByKey(
  items: OpenApiSchema,
  keys: readonly string[],
  mergeKey: string = keys[0] ?? '',
): OpenApiSchema {
  return {
    type: 'array',
    items,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': mergeKey,
  };
}

export function setOf(items: OpenApiSchema): OpenApiSchema {
  return { type: 'array', items, 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' };
}

export function atomic(schema: OpenApiSchema): OpenApiSchema {
  return { ...schema, 'x-kubernetes-map-type': 'atomic' };
}

export function kept(schema: OpenApiSchema): OpenApiSchema {
  return { ...schema, 'x-muslin-zero': 'kept' };
}

export function written(schema: OpenApiSchema): OpenApiSchema {
  return { ...schema, 'x-muslin-zero': 'written' };
}

export function defaulted(schema: OpenApiSchema, value: Json): OpenApiSchema {
  return { ...schema, default: value };
}

export const texts: OpenApiSchema = listOf(text);
export const textMap: OpenApiSchema = mapOf(text);
export const quantities: OpenApiSchema = mapOf(quantity);

// ---- shared by many kinds (k8s.io/apimachinery/pkg/apis/meta/v1) --------------------------------------------------

export const labelSelector: OpenApiSchema = atomic(
  object({
    matchLabels: textMap,
    matchExpressions: listOf(object({ key: written(text), operator: written(text), values: texts })),
  }),
);

export const objectReference: OpenApiSchema = atomic(
  object({
    kind: text,
    namespace: text,
    name: text,
    uid: text,
    apiVersion: text,
    resourceVersion: text,
    fieldPath: text,
  }),
);

export const localReference: OpenApiSchema = atomic(object({ name: text }));

export const condition: OpenApiSchema = object({
  type: written(text),
  status: written(text),
  observedGeneration: long,
  lastTransitionTime: written(time),
  reason: written(text),
  message: written(text),
});
