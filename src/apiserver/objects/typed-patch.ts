// SPDX-License-Identifier: Apache-2.0
/** What keeps an applied object from being one of its schema, in the words of structured-merge-diff. */
import type { Json, JsonObject } from '../../model/types.ts';
import { itemStep, pathText } from './field-set.ts';
import { isList, isMap } from './json.ts';
import { childOf, isIntOrString, itemsOf, keepsUnknown, listTypeOf, propertiesOf, typeOf } from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';

/** The first fault; null: none. @param path - as people read it, `.spec.parts` */
export function typeFault(schema: OpenApiSchema, value: Json, path: string): string | null {
  if (value === null || isIntOrString(schema)) return null;
  switch (typeOf(schema)) {
    case 'object':
      return isMap(value) ? mapFault(schema, value, path) : told(path, 'map', value);
    case 'array':
      return isList(value) ? listFault(schema, value, path) : told(path, 'list', value);
    case 'string':
      return typeof value === 'string' || isScalarText(schema, value) ? null : told(path, 'string', value);
    case 'integer':
    case 'number':
      return typeof value === 'number' ? null : told(path, 'numeric (int or float)', value);
    case 'boolean':
      return typeof value === 'boolean' ? null : told(path, 'boolean', value);
    default:
      return null;
  }
}

/** A quantity may be written as a number. */
function isScalarText(schema: OpenApiSchema, value: Json): boolean {
  return schema.format === 'quantity' && typeof value === 'number';
}

function told(path: string, want: string, value: Json): string {
  return `${path}: expected ${want}, got ${nameOf(value)}`;
}

function nameOf(value: Json): string {
  if (isList(value)) return 'list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return isMap(value) ? 'map' : typeof value;
}

function mapFault(schema: OpenApiSchema, value: JsonObject, path: string): string | null {
  for (const [name, member] of Object.entries(value)) {
    const inner = childOf(schema, name);
    const at = `${path}.${name}`;
    if (!inner && !keepsUnknown(schema) && Object.keys(propertiesOf(schema)).length > 0)
      return `${at}: field not declared in schema`;
    const fault = inner ? typeFault(inner, member, at) : null;
    if (fault !== null) return fault;
  }
  return null;
}

function listFault(schema: OpenApiSchema, value: readonly Json[], path: string): string | null {
  const seen = new Set<string>();
  const isKeyed = listTypeOf(schema) !== 'atomic';
  for (const [i, item] of value.entries()) {
    const step = isKeyed ? itemStep(schema, item) : '';
    if (isKeyed && seen.has(step)) return `${path}: duplicate entries for key ${pathText(step)}`;
    seen.add(step);
    const fault = typeFault(
      itemsOf(schema) ?? {},
      item,
      isKeyed ? `${path}${pathText(step)}` : `${path}[${i}]`,
    );
    if (fault !== null) return fault;
  }
  return null;
}
