// SPDX-License-Identifier: Apache-2.0
/** Answers made comparable: parts that were left out or sorted in the recording are left out and sorted here too. */
import type { Json, JsonObject } from '../../src/model/types.ts';
import { isObject } from './resemblance.ts';
import type { RequestStep } from './transcript.ts';

export function arranged(value: Json, keepManagedFields: boolean): Json {
  if (Array.isArray(value)) return value.map((item) => arranged(item, keepManagedFields));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).flatMap(([name, child]): [string, Json][] => {
    if (name === 'managedFields' && !keepManagedFields) return [];
    const inner = arranged(child, keepManagedFields);
    return [[name, name === 'managedFields' || name === 'resources' ? sorted(inner) : inner]];
  });
  return Object.fromEntries(entries);
}

/** The order of managers depends on the second, that of resources on chance. */
function sorted(value: Json): Json {
  if (!Array.isArray(value)) return value;
  return value
    .map((item: Json) => [orderOf(item), item] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, item]) => item);
}

function orderOf(item: Json): string {
  if (!isObject(item)) return '';
  const { name, resource, manager, operation, subresource, fieldsV1 } = item;
  return JSON.stringify([name, resource, manager, operation, subresource, keysSorted(fieldsV1 ?? null)]);
}

function keysSorted(value: Json): Json {
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, keysSorted(value[key] ?? null)]),
  );
}

/** `only` and `shape` of a step, applied to what was really answered. */
export function reduced(value: Json, { only, shape }: Pick<RequestStep, 'only' | 'shape'>): Json {
  const part = only && isObject(value) ? withOnly(value, only.list.split('.'), only) : value;
  return shape ? shapeOf(part) : part;
}

function withOnly(
  value: JsonObject,
  [head = '', ...rest]: readonly string[],
  only: NonNullable<RequestStep['only']>,
): JsonObject {
  const child = value[head] ?? null;
  if (rest.length > 0 && isObject(child)) return { ...value, [head]: withOnly(child, rest, only) };
  return { ...value, [head]: kept(child, only) };
}

function kept(child: Json, { key, values }: NonNullable<RequestStep['only']>): Json {
  if (Array.isArray(child)) return child.filter((item: Json) => values.includes(String(at(item, key ?? ''))));
  if (!isObject(child)) return child;
  return Object.fromEntries(Object.entries(child).filter(([name]) => values.includes(name)));
}

function at(value: Json, path: string): Json | undefined {
  return path
    .split('.')
    .reduce<Json | undefined>((found, name) => (isObject(found) ? found[name] : undefined), value);
}

function shapeOf(value: Json): Json {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, shapeOf(child)]));
  return value === null ? null : `<${typeof value}>`;
}
