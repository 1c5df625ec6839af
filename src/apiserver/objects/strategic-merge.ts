// SPDX-License-Identifier: Apache-2.0
/**
 * Kubernetes' strategic merge: lists that the schema gives a merge key are merged item by item.
 *
 * Directives: `$patch: delete | replace` in an object or as an item, `$deleteFromPrimitiveList/<list>`,
 * `$setElementOrder/<list>`, `$retainKeys`.
 *
 * @see k8s.io/apimachinery/pkg/util/strategicpatch/patch.go
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { isList, isMap, memberOf, sameJson, textAt, withMember } from './json.ts';
import { childOf, itemsOf } from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';

const deletion = '$deleteFromPrimitiveList/';
const order = '$setElementOrder/';

/** @throws {ApiError} */
export function mergedStrategically(
  schema: OpenApiSchema,
  original: JsonObject,
  patch: JsonObject,
): JsonObject {
  const directive = memberOf(patch, '$patch');
  if (directive === 'replace') return replacement(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined) throw unprocessable(`Unknown patch type found: ${JSON.stringify(directive)}`);
  const result = new Map(Object.entries(retained(original, patch)));
  for (const list of listsOf(patch)) mergeList(result, schema, list, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    mergeMember(result, schema, key, value, patch);
  }
  return Object.fromEntries(result);
}

/** Lists that only a directive names are merged as well: with nothing added. */
function listsOf(patch: JsonObject): readonly string[] {
  const named = Object.keys(patch).flatMap((key) => {
    const prefix = [deletion, order].find((each) => key.startsWith(each));
    return prefix === undefined ? [] : [key.slice(prefix.length)];
  });
  return [...new Set(named)].filter((name) => !isList(memberOf(patch, name)));
}

function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const keys = memberOf(patch, '$retainKeys');
  if (!isList(keys)) return original;
  return Object.fromEntries(Object.entries(original).filter(([key]) => keys.includes(key)));
}

function mergeMember(
  result: Map<string, Json>,
  schema: OpenApiSchema,
  key: string,
  value: Json,
  patch: JsonObject,
): void {
  const old = result.get(key);
  const inner = childOf(schema, key) ?? {};
  if (value === null) result.delete(key);
  else if (old === undefined || old === null) setNew(result, key, value);
  else if (isMap(value) && isMap(old)) mergeMap(result, inner, key, old, value);
  else if (isList(value) && isList(old))
    result.set(key, mergedLists(inner, old, value, patch[`${deletion}${key}`], patch[`${order}${key}`]));
  else result.set(key, withoutDirectives(value) ?? null);
}

/** A map with a directive in it has nothing to be about, and goes whole. */
function setNew(result: Map<string, Json>, key: string, value: Json): void {
  const clean = withoutDirectives(withoutNulls(value));
  if (clean !== undefined) result.set(key, clean);
}

function mergeMap(
  result: Map<string, Json>,
  schema: OpenApiSchema,
  key: string,
  old: JsonObject,
  value: JsonObject,
): void {
  if (memberOf(value, '$patch') === 'delete') result.delete(key);
  else if (strategyOf(schema).includes('replace')) result.set(key, replacement(value));
  else result.set(key, mergedStrategically(schema, old, value));
}

function mergeList(result: Map<string, Json>, schema: OpenApiSchema, key: string, patch: JsonObject): void {
  const old = result.get(key);
  if (!isList(old)) return;
  const inner = childOf(schema, key) ?? {};
  result.set(key, mergedLists(inner, old, [], patch[`${deletion}${key}`], patch[`${order}${key}`]));
}

function strategyOf(schema: OpenApiSchema): readonly string[] {
  return textAt(schema, 'x-kubernetes-patch-strategy').split(',');
}

function mergedLists(
  schema: OpenApiSchema,
  old: readonly Json[],
  patch: readonly Json[],
  toDelete: Json | undefined,
  wantedOrder: Json | undefined,
): readonly Json[] {
  if (!strategyOf(schema).includes('merge')) return patch.map((item) => withoutDirectives(item) ?? item);
  if (patch.some((item) => memberOf(item, '$patch') === 'replace'))
    return patch.filter((item) => memberOf(item, '$patch') === undefined);
  const key = textAt(schema, 'x-kubernetes-patch-merge-key');
  const merged = key === '' ? mergedValues(old, patch, toDelete) : mergedItems(schema, key, old, patch);
  const listed = isList(wantedOrder) ? wantedOrder : patch;
  return inOrder(merged, old, listed, (a, b) => (key === '' ? sameJson(a, b) : sameKey(key, a, b)));
}

function mergedValues(
  old: readonly Json[],
  patch: readonly Json[],
  toDelete: Json | undefined,
): readonly Json[] {
  const gone = isList(toDelete) ? toDelete : [];
  const all = [...old, ...patch].filter((item) => !gone.some((each) => sameJson(each, item)));
  return all.filter((item, i) => all.findIndex((each) => sameJson(each, item)) === i);
}

function sameKey(key: string, a: Json, b: Json): boolean {
  return sameJson(memberOf(a, key), memberOf(b, key));
}

function mergedItems(
  schema: OpenApiSchema,
  key: string,
  old: readonly Json[],
  patch: readonly Json[],
): readonly Json[] {
  const result = [...old];
  for (const item of patch) {
    if (!isMap(item)) throw unprocessable(`got ${JSON.stringify(item)} in a list of objects`);
    if (!Object.hasOwn(item, key)) throw withoutMergeKey(item, key);
    const at = result.findIndex((each) => sameKey(key, each, item));
    mergeItem(result, at, itemsOf(schema) ?? {}, item);
  }
  return result;
}

function mergeItem(result: Json[], at: number, schema: OpenApiSchema, item: JsonObject): void {
  const old = result[at];
  if (memberOf(item, '$patch') === 'delete') {
    if (at >= 0) result.splice(at, 1);
  } else if (isMap(old)) result[at] = mergedStrategically(schema, old, item);
  else result.push(withoutDirectives(withoutNulls(item)) ?? item);
}

/** 500 without a reason: what a real server answers. */
function withoutMergeKey(item: JsonObject, key: string): ApiError {
  const members = Object.entries(item).map(([name, value]) => `${name}:${String(value)}`);
  return new ApiError(
    500,
    undefined,
    `map: map[${members.join(' ')}] does not contain declared merge key: ${key}`,
  );
}

/**
 * Items that the patch names in its order; others between them where the old list has them: an item goes before the
 * first named one that it preceded (mergeSortedSlice of patch.go).
 */
function inOrder(
  items: readonly Json[],
  old: readonly Json[],
  listed: readonly Json[],
  same: (a: Json, b: Json) => boolean,
): readonly Json[] {
  const place = (list: readonly Json[], item: Json) => list.findIndex((each) => same(each, item));
  const named = items.filter((item) => place(listed, item) >= 0);
  named.sort((a, b) => place(listed, a) - place(listed, b));
  const others = items.filter((item) => place(listed, item) < 0);
  const result: Json[] = [];
  for (const item of named) {
    const at = place(old, item);
    while (at >= 0 && others[0] !== undefined && place(old, others[0]) < at)
      result.push(others.shift() ?? null);
    result.push(item);
  }
  return [...result, ...others];
}

function replacement(patch: JsonObject): JsonObject {
  const plain = withoutDirectives(withMember(patch, '$patch', undefined));
  return isMap(plain) ? plain : {};
}

/** A value of a patch as it is where nothing was: undefined for a map with `$patch`. */
function withoutDirectives(value: Json): Json | undefined {
  if (isList(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isMap(value)) return value;
  if (Object.hasOwn(value, '$patch')) return undefined;
  const members = Object.entries(value).flatMap(([key, member]): [string, Json][] => {
    const clean = key.startsWith('$') ? undefined : withoutDirectives(member);
    return clean === undefined ? [] : [[key, clean]];
  });
  return Object.fromEntries(members);
}

function withoutNulls(value: Json): Json {
  if (!isMap(value)) return value;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([key, member]) => [key, withoutNulls(member)]));
}

function unprocessable(message: string): ApiError {
  return new ApiError(422, 'Invalid', message, {});
}
