// SPDX-License-Identifier: Apache-2.0
/**
 * What a PATCH makes of an object: RFC 6902 and RFC 7386 for every kind, Kubernetes' strategic merge for built-in ones.
 * The result is as the author wrote it: decode.ts has to read it again.
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { isList, isMap, jsonTypeName, memberOf, sameJson, textAt, withMember } from './json.ts';
import { checkNesting } from './nesting.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';
import { mergedStrategically } from './strategic-merge.ts';

/** As the API server limits it; a copy of a copy of a copy would take any memory. */
const maxOperations = 10_000;

/** @throws {ApiError} 422 when an operation fails, 400 when it is no patch */
export function jsonPatch(object: ApiObject, patch: Json): ApiObject {
  checkNesting(patch);
  if (!isList(patch))
    throw unreadable(
      `json: cannot unmarshal ${jsonTypeName(patch)} into Go value of type []handlers.jsonPatchOp`,
    );
  if (patch.length > maxOperations)
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  const result = patch.reduce<Json>((value, operation) => applied(value, operation), object);
  if (!isMap(result)) throw failed();
  return result as ApiObject;
}

/** @throws {ApiError} 400 when it is no patch */
export function mergePatch(object: ApiObject, patch: Json): ApiObject {
  checkNesting(patch);
  if (!isMap(patch))
    throw unreadable(
      `json: cannot unmarshal ${jsonTypeName(patch)} into Go value of type map[string]interface {}`,
    );
  return merged(object, patch) as ApiObject;
}

/** @throws {ApiError} 400 when it is no patch, 500 for a list item without its merge key, as the API server does */
export function strategicMergePatch(resource: ServedResource, object: ApiObject, patch: Json): ApiObject {
  checkNesting(patch);
  if (!isMap(patch))
    throw unreadable(
      `json: cannot unmarshal ${jsonTypeName(patch)} into Go value of type map[string]interface {}`,
    );
  return mergedStrategically(resource.schema, object, patch) as ApiObject;
}

function unreadable(message: string): ApiError {
  return new ApiError(400, 'BadRequest', `error decoding patch: ${message}`);
}

/** RFC 7386, 2. */
function merged(target: Json | undefined, patch: JsonObject): JsonObject {
  const result = new Map(isMap(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, isMap(value) ? merged(result.get(key), value) : value);
  }
  return Object.fromEntries(result);
}

// ---- RFC 6902 ------------------------------------------------------------------------------------------------------

/** What a real server says of any operation that fails. */
function failed(): ApiError {
  return new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

function applied(target: Json, operation: Json): Json {
  const path = pointerOf(memberOf(operation, 'path'));
  switch (textAt(operation, 'op')) {
    case 'add':
      return added(target, path, operand(operation));
    case 'remove':
      return removed(target, path);
    case 'replace':
      return added(removed(target, path), path, operand(operation));
    case 'move': {
      const from = pointerOf(memberOf(operation, 'from'));
      return added(removed(target, from), path, found(target, from));
    }
    case 'copy':
      return added(target, path, found(target, pointerOf(memberOf(operation, 'from'))));
    case 'test':
      return tested(target, path, operand(operation));
    default:
      throw failed();
  }
}

function operand(operation: Json): Json {
  const value = memberOf(operation, 'value');
  if (value === undefined) throw failed();
  return value;
}

/** RFC 6901, 3 and 4. */
function pointerOf(pointer: Json | undefined): readonly string[] {
  if (pointer === '') return [];
  if (typeof pointer !== 'string' || !pointer.startsWith('/')) throw failed();
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function found(target: Json, path: readonly string[]): Json {
  return path.reduce<Json>((value, name) => {
    const inner = isList(value) ? value[indexOf(name, value.length - 1)] : memberOf(value, name);
    if (inner === undefined) throw failed();
    return inner;
  }, target);
}

/** @param most - the largest index that is there */
function indexOf(name: string, most: number): number {
  const index = /^(0|[1-9]\d*)$/.test(name) ? Number(name) : -1;
  if (index < 0 || index > most) throw failed();
  return index;
}

function tested(target: Json, path: readonly string[], want: Json): Json {
  const holder = found(target, path.slice(0, -1));
  const [name] = path.slice(-1);
  const isAbsent = name !== undefined && isMap(holder) && !Object.hasOwn(holder, name);
  if (!sameJson(isAbsent ? null : found(target, path), want)) throw failed();
  return target;
}

function added(target: Json, [name, ...rest]: readonly string[], value: Json): Json {
  if (name === undefined) return value;
  if (isList(target)) {
    if (rest.length > 0) return replacedIn(target, name, (item) => added(item, rest, value));
    const index = name === '-' ? target.length : indexOf(name, target.length);
    return target.toSpliced(index, 0, value);
  }
  if (!isMap(target)) throw failed();
  if (rest.length === 0) return withMember(target, name, value);
  return withMember(target, name, added(found(target, [name]), rest, value));
}

function removed(target: Json, [name, ...rest]: readonly string[]): Json {
  if (name === undefined) return null;
  const inner = found(target, [name]);
  if (isList(target)) {
    if (rest.length > 0) return replacedIn(target, name, (item) => removed(item, rest));
    return target.toSpliced(indexOf(name, target.length - 1), 1);
  }
  if (!isMap(target)) throw failed();
  return withMember(target, name, rest.length === 0 ? undefined : removed(inner, rest));
}

function replacedIn(list: readonly Json[], name: string, change: (item: Json) => Json): Json {
  const index = indexOf(name, list.length - 1);
  return list.with(index, change(list[index] ?? null));
}
