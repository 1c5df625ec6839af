// SPDX-License-Identifier: Apache-2.0
/**
 * A custom object against its schema: every fault as a real server tells it.
 *
 * Invariants: a part that an update leaves as it was has no faults (CRDValidationRatcheting): a definition can become
 *             stricter without locking its objects.
 *
 * @see k8s.io/kube-openapi/pkg/validation/validate, and apiextensions' pkg/apiserver/validation for the causes
 */

import type { Json, JsonObject } from '../../model/types.ts';
import { jsPattern } from '../../model/validate/pattern.ts';
import type { Cause } from './api-error.ts';
import { duplicate, notSupported, required, tooLong, tooMany, typeInvalid } from './causes.ts';
import { fitsFormat } from './formats.ts';
import { canonicalText, isList, isMap, listAt, memberOf, sameJson, textAt } from './json.ts';
import {
  childOf,
  defaultOf,
  flagOf,
  isIntOrString,
  itemsOf,
  listKeysOf,
  listTypeOf,
  numberOf,
  propertyOf,
  textsOf,
  typeOf,
} from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';

/** @param old - what stood there before; undefined: nothing that is known to be the same thing */
export function valueCauses(
  schema: OpenApiSchema,
  value: Json,
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  if (old !== undefined && sameJson(value, old)) return [];
  if (value === null && (flagOf(schema, 'nullable') || Object.keys(schema).length === 0)) return [];
  const wrongType = typeCauses(schema, value, path);
  return [
    ...wrongType,
    ...enumCauses(schema, value, path),
    ...(isMap(value) && isFor(schema, 'object') ? mapCauses(schema, value, old, path) : []),
    ...(isList(value) && isFor(schema, 'array') ? listCauses(schema, value, old, path) : []),
    ...(typeof value === 'string' ? textCauses(schema, value, path) : []),
    ...(typeof value === 'number' ? numberCauses(schema, value, path) : []),
    ...junctorCauses(schema, value, path),
  ];
}

function isFor(schema: OpenApiSchema, type: string): boolean {
  return ['', type].includes(typeOf(schema));
}

function inBody(path: string, fault: string): string {
  return `${path} in body ${fault}`;
}

function invalidInBody(path: string, value: Json, fault: string): Cause {
  return {
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value)}: ${inBody(path, fault)}`,
    field: path,
  };
}

/** Faults of a whole, without a path of their own. */
function nowhere(fault: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: "": ${fault}`, field: '<nil>' };
}

// ---- types ---------------------------------------------------------------------------------------------------------

/** As OpenAPI names it. */
function typeNameOf(value: Json): string {
  if (value === null) return 'null';
  if (isList(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typeCauses(schema: OpenApiSchema, value: Json, path: string): readonly Cause[] {
  const found = typeNameOf(value);
  const wanted = isIntOrString(schema) ? 'integer,string' : typeOf(schema);
  const isRight =
    wanted === '' || wanted.split(',').includes(found) || (wanted === 'number' && found === 'integer');
  if (!isRight) {
    const cause = typeInvalid(
      path,
      found,
      inBody(path, `must be of type ${wanted}: ${JSON.stringify(found)}`),
    );
    return wanted === 'integer' && found === 'number' ? [cause, notChecked(schema, path)] : [cause];
  }
  return typeof value === 'number' && !fitsNumberFormat(textAt(schema, 'format'), value)
    ? [notChecked(schema, path)]
    : [];
}

function notChecked(schema: OpenApiSchema, path: string): Cause {
  const format = textAt(schema, 'format');
  const wanted = format === '' ? '(default format)' : `with format ${format}`;
  return nowhere(`Checked value must be of type ${typeOf(schema)} ${wanted} in ${path}`);
}

function fitsNumberFormat(format: string, value: number): boolean {
  if (format === 'int32') return value >= -(2 ** 31) && value < 2 ** 31;
  return format !== 'float' || Math.abs(value) <= 3.4028234663852886e38;
}

function enumCauses(schema: OpenApiSchema, value: Json, path: string): readonly Cause[] {
  const values = listAt(schema, 'enum');
  if (values.length === 0 || values.some((each) => sameJson(each, value))) return [];
  return [notSupported(path, value, values)];
}

// ---- values of one type ---------------------------------------------------------------------------------------------

function textCauses(schema: OpenApiSchema, value: string, path: string): readonly Cause[] {
  const { most, least } = { most: numberOf(schema, 'maxLength'), least: numberOf(schema, 'minLength') };
  const length = most === undefined && least === undefined ? 0 : [...value].length;
  const causes: Cause[] = [];
  if (most !== undefined && length > most) causes.push(tooLong(path, most));
  if (least !== undefined && length < least)
    causes.push(invalidInBody(path, value, `should be at least ${least} chars long`));
  const pattern = textAt(schema, 'pattern');
  if (pattern !== '' && !patternOf(pattern).test(value))
    causes.push(invalidInBody(path, value, `should match '${pattern}'`));
  const format = textAt(schema, 'format');
  if (format !== '' && !isIntOrString(schema) && !fitsFormat(format, value))
    causes.push(
      typeInvalid(path, value, inBody(path, `must be of type ${format}: ${JSON.stringify(value)}`)),
    );
  return causes;
}

const patterns = new Map<string, RegExp>();

function patternOf(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known) return known;
  // A definition with a broken pattern is refused before; one that was stored all the same matches nothing.
  const made = compiledPattern(pattern) ?? /(?!)/;
  patterns.set(pattern, made);
  return made;
}

/** null: no pattern. */
export function compiledPattern(pattern: string): RegExp | null {
  try {
    return jsPattern(pattern);
  } catch {
    return null;
  }
}

function numberCauses(schema: OpenApiSchema, value: number, path: string): readonly Cause[] {
  const causes: Cause[] = [];
  const [most, least, step] = ['maximum', 'minimum', 'multipleOf'].map((name) => numberOf(schema, name));
  if (most !== undefined) {
    if (flagOf(schema, 'exclusiveMaximum') ? value >= most : value > most)
      causes.push(invalidInBody(path, value, limitText(schema, 'exclusiveMaximum', 'less', most)));
  }
  if (least !== undefined) {
    if (flagOf(schema, 'exclusiveMinimum') ? value <= least : value < least)
      causes.push(invalidInBody(path, value, limitText(schema, 'exclusiveMinimum', 'greater', least)));
  }
  if (step !== undefined && !Number.isInteger(value / step))
    causes.push(invalidInBody(path, value, `should be a multiple of ${step}`));
  return causes;
}

function limitText(schema: OpenApiSchema, exclusive: string, side: string, limit: number): string {
  return flagOf(schema, exclusive)
    ? `should be ${side} than ${limit}`
    : `should be ${side} than or equal to ${limit}`;
}

// ---- objects and lists -----------------------------------------------------------------------------------------------

function mapCauses(
  schema: OpenApiSchema,
  value: JsonObject,
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  const count = Object.keys(value).length;
  const [most, least] = ['maxProperties', 'minProperties'].map((name) => numberOf(schema, name));
  const causes: Cause[] = [];
  if (most !== undefined && count > most) causes.push(tooMany(path, count, most));
  if (least !== undefined && count < least)
    causes.push(invalidInBody(path, count, `should have at least ${least} properties`));
  for (const name of textsOf(schema, 'required'))
    if (!Object.hasOwn(value, name)) causes.push(required(childPath(path, name)));
  for (const [name, member] of Object.entries(value)) {
    const inner = path === '' && name === 'metadata' ? undefined : childOf(schema, name);
    if (inner) causes.push(...valueCauses(inner, member, memberOf(old, name), childPath(path, name)));
  }
  return causes;
}

export function childPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function listCauses(
  schema: OpenApiSchema,
  value: readonly Json[],
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  const [most, least] = ['maxItems', 'minItems'].map((name) => numberOf(schema, name));
  const causes: Cause[] = [];
  if (most !== undefined && value.length > most) causes.push(tooMany(path, value.length, most));
  if (least !== undefined && value.length < least)
    causes.push(invalidInBody(path, value.length, `should have at least ${least} items`));
  const isUnique = flagOf(schema, 'uniqueItems') || listTypeOf(schema) === 'set';
  if (isUnique || listTypeOf(schema) === 'map') causes.push(...duplicateCauses(schema, value, path));
  const items = itemsOf(schema);
  if (items) {
    const known = oldItems(schema, old);
    for (const [i, item] of value.entries())
      causes.push(...valueCauses(items, item, known?.get(itemKey(schema, item)), `${path}[${i}]`));
  }
  return causes;
}

/** What no two items of a list may share, as text: the whole of it in a set, its keys (with their defaults) in a map. */
export function itemKey(schema: OpenApiSchema, item: Json): string {
  if (listTypeOf(schema) !== 'map') return canonicalText(item);
  return canonicalText(keysOf(schema, item));
}

function keysOf(schema: OpenApiSchema, item: Json): JsonObject {
  const items = itemsOf(schema) ?? {};
  return Object.fromEntries(
    listKeysOf(schema).flatMap((key): [string, Json][] => {
      const value = memberOf(item, key) ?? defaultOf(propertyOf(items, key) ?? {});
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** Items of the stored list that can be told again; null where a list is replaced as a whole. */
export function oldItems(schema: OpenApiSchema, old: Json | undefined): ReadonlyMap<string, Json> | null {
  if (!isList(old) || listTypeOf(schema) !== 'map') return null;
  return new Map(old.map((item) => [itemKey(schema, item), item]));
}

function duplicateCauses(schema: OpenApiSchema, value: readonly Json[], path: string): readonly Cause[] {
  const seen = new Set<string>();
  return value.flatMap((item, i) => {
    const key = itemKey(schema, item);
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [duplicate(`${path}[${i}]`, listTypeOf(schema) === 'map' ? keysOf(schema, item) : item)];
  });
}

// ---- allOf, anyOf, oneOf, not ------------------------------------------------------------------------------------------

function junctorCauses(schema: OpenApiSchema, value: Json, path: string): readonly Cause[] {
  const results = (name: string) =>
    listAt(schema, name)
      .filter(isMap)
      .map((each) => valueCauses(each, value, undefined, path));
  const not = memberOf(schema, 'not');
  const isNot = isMap(not) && valueCauses(not, value, undefined, path).length === 0;
  return [
    ...anyCauses(results('anyOf'), path),
    ...oneCauses(results('oneOf'), path),
    ...allCauses(results('allOf'), path),
    ...(isNot ? [nowhere(`"${path}" must not validate the schema (not)`)] : []),
  ];
}

type Results = readonly (readonly Cause[])[];

function anyCauses(results: Results, path: string): readonly Cause[] {
  const [first] = results;
  if (!first || results.some((causes) => causes.length === 0)) return [];
  return [nowhere(`"${path}" must validate at least one schema (anyOf)`), ...first];
}

function oneCauses(results: Results, path: string): readonly Cause[] {
  const [first] = results;
  const valid = results.filter((causes) => causes.length === 0).length;
  if (!first || valid === 1) return [];
  const must = `"${path}" must validate one and only one schema (oneOf).`;
  if (valid > 1) return [nowhere(`${must} Found ${valid} valid alternatives`)];
  return [nowhere(`${must} Found none valid`), ...first];
}

function allCauses(results: Results, path: string): readonly Cause[] {
  const bad = results.filter((causes) => causes.length > 0);
  if (bad.length === 0) return [];
  const none = bad.length === results.length ? '. None validated' : '';
  return [...bad.flat(), nowhere(`"${path}" must validate all the schemas (allOf)${none}`)];
}
