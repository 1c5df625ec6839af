// SPDX-License-Identifier: Apache-2.0
/** Reading and rebuilding JSON values. A key may be any text, `__proto__` too: objects are built from entries. */
import type { Json, JsonObject } from '../../model/types.ts';

export function isMap(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** An own member; undefined where there is none. */
export function memberOf(value: Json | undefined, name: string): Json | undefined {
  return isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function valueAt(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(memberOf, value);
}

export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = valueAt(value, ...path);
  return typeof found === 'string' ? found : '';
}

export function listAt(value: Json | undefined, ...path: readonly string[]): readonly Json[] {
  const found = valueAt(value, ...path);
  return isList(found) ? found : [];
}

export function mapAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  const found = valueAt(value, ...path);
  return isMap(found) ? found : {};
}

/** `value` with `name` set; taken away where `member` is undefined. Others keep their place. */
export function withMember(value: JsonObject, name: string, member: Json | undefined): JsonObject {
  if (member === undefined) {
    if (!Object.hasOwn(value, name)) return value;
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== name));
  }
  if (!Object.hasOwn(value, name)) return Object.fromEntries([...Object.entries(value), [name, member]]);
  return Object.fromEntries(Object.entries(value).map(([key, old]) => [key, key === name ? member : old]));
}

/** `value` with what stands at `path` set or, by undefined, taken away; objects on the way are made where missing. */
export function withValueAt(
  value: JsonObject,
  [first, ...rest]: readonly string[],
  member: Json | undefined,
): JsonObject {
  if (first === undefined) return value;
  if (rest.length === 0) return withMember(value, first, member);
  const inner = memberOf(value, first);
  if (!isMap(inner) && member === undefined) return value;
  return withMember(value, first, withValueAt(isMap(inner) ? inner : {}, rest, member));
}

/** Equal as values: the order of keys says nothing, that of items does. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isList(a)) return isList(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  if (!isMap(a) || !isMap(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  );
}

/** JSON text with keys in order: equal values give equal texts. */
export function canonicalText(value: Json | undefined): string {
  if (isList(value)) return `[${value.map(canonicalText).join(',')}]`;
  if (!isMap(value)) return JSON.stringify(value ?? null);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`);
  return `{${members.join(',')}}`;
}

/** As Go's encoding/json names a value's type in its errors. */
export function jsonTypeName(value: Json): string {
  if (value === null) return 'null';
  if (isList(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'object' ? 'object' : typeof value;
}
