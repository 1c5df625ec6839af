// SPDX-License-Identifier: Apache-2.0
/** Metadata of objects: changed copies, and the parts of it that are compared. */
import type { Json, JsonObject } from '../model/types.ts';
import type { ApiObject } from './objects/object.ts';

/** `undefined` takes a field away. */
export function withMetadata(
  object: ApiObject,
  changes: { readonly [field: string]: Json | undefined },
): ApiObject {
  return { ...object, metadata: present({ ...object.metadata, ...changes }) } as ApiObject;
}

export function withField(object: ApiObject, field: string, value: Json | undefined): ApiObject {
  return present({ ...object, [field]: value }) as ApiObject;
}

export function present(fields: { readonly [field: string]: Json | undefined }): JsonObject {
  const kept = Object.entries(fields).filter((entry): entry is [string, Json] => entry[1] !== undefined);
  return Object.fromEntries(kept);
}

/** In JSON's sense: the order of members is free. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  if (Array.isArray(a)) return Array.isArray(b) && sameItems(a, b);
  return !Array.isArray(b) && sameMembers(a as JsonObject, b as JsonObject);
}

function sameItems(a: readonly Json[], b: readonly Json[]): boolean {
  return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
}

function sameMembers(a: JsonObject, b: JsonObject): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  );
}

/** RFC 3339 in whole seconds, as metav1.Time is written. */
export function timeText(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
