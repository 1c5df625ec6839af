// SPDX-License-Identifier: Apache-2.0
/**
 * A value as it comes out of the Go struct of a built-in kind (and of every kind's metadata): unknown fields are told and
 * left out, null is absent, zero values are as builtin/fields.ts says, another type than the struct's is refused.
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { isList, isMap, jsonTypeName, textAt } from './json.ts';
import {
  additionalOf,
  flagOf,
  isIntOrString,
  itemsOf,
  keepsUnknown,
  propertiesOf,
  propertyOf,
  typeOf,
} from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';

/** Says what cannot be read, in the words of Go's decoder. */
export class Untypable extends Error {}

export type UnknownField = (path: string) => void;

/** @throws {Untypable} */
export function typedObject(
  schema: OpenApiSchema,
  value: JsonObject,
  path: string,
  unknown: UnknownField,
): JsonObject {
  const members = new Map<string, Json>();
  for (const [name, member] of Object.entries(value)) {
    const inner = propertyOf(schema, name);
    const at = path === '' ? name : `${path}.${name}`;
    if (!inner) unknown(at);
    else keep(members, name, inner, typed(inner, member, at, unknown));
  }
  for (const [name, inner] of Object.entries(propertiesOf(schema)))
    if (zeroOf(inner) === 'written' && !members.has(name)) members.set(name, zeroValue(inner));
  return Object.fromEntries(members);
}

function keep(
  members: Map<string, Json>,
  name: string,
  schema: OpenApiSchema,
  value: Json | undefined,
): void {
  if (value === undefined) return;
  if (zeroOf(schema) === '' && isZero(schema, value)) return;
  if (zeroOf(schema) === 'written' && isList(value) && value.length === 0) return;
  members.set(name, value);
}

function zeroOf(schema: OpenApiSchema): string {
  return textAt(schema, 'x-muslin-zero');
}

function isZero(schema: OpenApiSchema, value: Json): boolean {
  if (isMap(value)) return additionalOf(schema) !== undefined && Object.keys(value).length === 0;
  return isList(value) ? value.length === 0 : value === '' || value === 0 || value === false;
}

/** What Go writes for a field that nobody set. */
function zeroValue(schema: OpenApiSchema): Json {
  switch (typeOf(schema)) {
    case 'object':
      return additionalOf(schema) ? null : typedObject(schema, {}, '', () => {});
    case 'string':
      return textAt(schema, 'format') === 'date-time' ? null : '';
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    default:
      return null;
  }
}

/** @returns undefined for null */
function typed(schema: OpenApiSchema, value: Json, path: string, unknown: UnknownField): Json | undefined {
  if (value === null) return undefined;
  if (isIntOrString(schema)) return intOrString(value, path);
  if (keepsUnknown(schema)) return value;
  switch (typeOf(schema)) {
    case 'object':
      if (!isMap(value)) throw mismatch(value, path, 'map[string]string');
      return additionalOf(schema)
        ? typedMap(schema, value, path, unknown)
        : typedObject(schema, value, path, unknown);
    case 'array':
      if (!isList(value)) throw mismatch(value, path, '[]');
      return value.map((item, i) => typedItem(itemsOf(schema) ?? {}, item, `${path}[${i}]`, unknown));
    case 'string':
      return typedText(schema, value, path);
    case 'integer':
    case 'number':
      return typedNumber(schema, value, path);
    case 'boolean':
      if (typeof value !== 'boolean') throw mismatch(value, path, 'bool');
      return value;
    default:
      return value;
  }
}

function typedItem(schema: OpenApiSchema, item: Json, path: string, unknown: UnknownField): Json {
  return typed(schema, item, path, unknown) ?? zeroValue(schema);
}

function typedMap(schema: OpenApiSchema, value: JsonObject, path: string, unknown: UnknownField): JsonObject {
  const inner = additionalOf(schema) ?? {};
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, typedItem(inner, member, path, unknown)] as const),
  );
}

function intOrString(value: Json, path: string): Json {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw mismatch(value, path, 'int32');
}

function typedNumber(schema: OpenApiSchema, value: Json, path: string): Json {
  if (typeof value !== 'number') throw mismatch(value, path, textAt(schema, 'format') || 'int64');
  if (typeOf(schema) === 'number') return value;
  const isInt32 = textAt(schema, 'format') === 'int32';
  const isIn = Number.isInteger(value) && (!isInt32 || (value >= -(2 ** 31) && value < 2 ** 31));
  if (!isIn)
    throw new Untypable(
      `json: cannot unmarshal number ${value} into Go struct field ${path} of type ${isInt32 ? 'int32' : 'int64'}`,
    );
  return value;
}

function typedText(schema: OpenApiSchema, value: Json, path: string): Json {
  const format = textAt(schema, 'format');
  if (format === 'quantity' && typeof value === 'number') return String(value);
  if (typeof value !== 'string') throw mismatch(value, path, 'string');
  if (format === 'byte') return base64(value);
  if (format === 'date-time') return rfc3339(value, flagOf(schema, 'x-muslin-micro'));
  if (format === 'quantity' && !quantityForm.test(value))
    throw new Untypable(
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
  return value;
}

const quantityForm = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/;

function base64(value: string): string {
  const clean = value.replace(/[\r\n]/g, '');
  const bad = /[^A-Za-z0-9+/=]|=(?!=?$)/.exec(clean);
  if (bad) throw new Untypable(`illegal base64 data at input byte ${bad.index}`);
  if (clean.length % 4 !== 0) throw new Untypable(`illegal base64 data at input byte ${clean.length}`);
  return clean;
}

const rfc3339Form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?<fraction>\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Whole seconds in UTC, or microseconds. */
function rfc3339(value: string, isMicro: boolean): string | null {
  if (value === '') return null;
  const match = rfc3339Form.exec(value);
  const instant = Date.parse(value);
  if (!match || Number.isNaN(instant))
    throw new Untypable(
      `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(value)} as "2006"`,
    );
  const seconds = new Date(instant).toISOString().slice(0, 19);
  const micros = (match.groups?.fraction ?? '.').slice(1, 7).padEnd(6, '0');
  return isMicro ? `${seconds}.${micros}Z` : `${seconds}Z`;
}

/** Indexes are not part of Go's path. */
function mismatch(value: Json, path: string, want: string): Untypable {
  const field = path.replaceAll(/\[\d+\]/g, '');
  return new Untypable(
    `json: cannot unmarshal ${jsonTypeName(value)} into Go struct field ${field} of type ${want}`,
  );
}
