// SPDX-License-Identifier: Apache-2.0
/** Defaults of a schema: filled in below objects that are written, as an API server does. */
import { isObject } from '../json.ts';
import type { Json, JsonObject } from '../types.ts';
import type { Schema } from './schema.ts';

type Fill = (value: Json) => Json;

/** @returns null for a schema without defaults. A filled value is a copy as far as it differs. */
export function compileDefaults(schema: Schema): Fill | null {
  if (schema.items) return inItems(compileDefaults(schema.items));
  const absent: [string, Json][] = [];
  const present: [string, Fill][] = [];
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (child.default !== undefined) absent.push([name, child.default]);
    const fill = compileDefaults(child);
    if (fill) present.push([name, fill]);
  }
  if (absent.length + present.length === 0) return null;
  return (value) => (isObject(value) ? filled(value as JsonObject, absent, present) : value);
}

function inItems(fill: Fill | null): Fill | null {
  return fill && ((value) => (Array.isArray(value) ? value.map(fill) : value));
}

function filled(
  value: JsonObject,
  absent: readonly [string, Json][],
  present: readonly [string, Fill][],
): JsonObject {
  const result: { [name: string]: Json } = { ...value };
  for (const [name, fallback] of absent) if (!Object.hasOwn(value, name)) result[name] = fallback;
  for (const [name, fill] of present) {
    const written = value[name];
    if (Object.hasOwn(value, name) && written !== undefined) result[name] = fill(written);
  }
  return result;
}
