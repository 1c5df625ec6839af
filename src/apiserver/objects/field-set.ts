// SPDX-License-Identifier: Apache-2.0
/**
 * Sets of fields, as managedFields keep them: FieldsV1, a tree whose steps are `f:<name>`, `k:<keys>`, `v:<value>`.
 *
 * A node with `.` is a member itself and has members below; one without anything below is a member.
 *
 * @see sigs.k8s.io/structured-merge-diff fieldpath
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { canonicalText, isList, isMap } from './json.ts';
import { childOf, isAtomicMap, itemsOf, listKeysOf, listTypeOf } from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';
import { itemKey } from './validate-value.ts';

/** A field by its steps, joined: no step holds the separator. */
export type FieldPath = string;
export type FieldSet = ReadonlySet<FieldPath>;

const separator = '\u0000';

export function stepsOf(path: FieldPath): readonly string[] {
  return path === '' ? [] : path.split(separator);
}

export function below(path: FieldPath, step: string): FieldPath {
  return path === '' ? step : `${path}${separator}${step}`;
}

/** The steps from a value into itself: null where it is one whole, an atomic one or a scalar. */
export function stepsInto(schema: OpenApiSchema, value: Json): ReadonlyMap<string, Part> | null {
  if (isMap(value)) return isAtomicMap(schema) ? null : membersOf(schema, value);
  if (!isList(value) || listTypeOf(schema) === 'atomic') return null;
  return itemsIn(schema, value);
}

export interface Part {
  readonly schema: OpenApiSchema;
  readonly value: Json;
}

function membersOf(schema: OpenApiSchema, value: JsonObject): ReadonlyMap<string, Part> {
  const entries = Object.entries(value).map(([name, member]): [string, Part] => [
    `f:${name}`,
    { schema: childOf(schema, name) ?? {}, value: member },
  ]);
  return new Map(entries);
}

function itemsIn(schema: OpenApiSchema, value: readonly Json[]): ReadonlyMap<string, Part> {
  return new Map(
    value.map((item): [string, Part] => [
      itemStep(schema, item),
      { schema: itemsOf(schema) ?? {}, value: item },
    ]),
  );
}

export function itemStep(schema: OpenApiSchema, item: Json): string {
  const isByKeys = listTypeOf(schema) === 'map' && listKeysOf(schema).length > 0;
  return `${isByKeys ? 'k' : 'v'}:${itemKey(schema, item)}`;
}

/** Every field that an applied object says: leaves, and items of lists themselves. */
export function fieldsOf(schema: OpenApiSchema, value: Json): FieldSet {
  const found = new Set<FieldPath>();
  collect(schema, value, '', found);
  return found;
}

function collect(schema: OpenApiSchema, value: Json, path: FieldPath, found: Set<FieldPath>): void {
  const parts = stepsInto(schema, value);
  const isItem = /^k:/.test(stepsOf(path).at(-1) ?? '');
  if (path !== '' && (!parts || parts.size === 0 || isItem)) found.add(path);
  for (const [step, part] of parts ?? []) collect(part.schema, part.value, below(path, step), found);
}

export interface Difference {
  readonly added: FieldSet;
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Fields of each kind of difference; with a whole that came or went, everything below it too. */
export function differenceOf(
  schema: OpenApiSchema,
  before: Json | undefined,
  after: Json | undefined,
): Difference {
  const found = { added: new Set<FieldPath>(), changed: new Set<FieldPath>(), removed: new Set<FieldPath>() };
  compare(schema, before, after, '', found);
  return found;
}

type Found = { readonly [name in keyof Difference]: Set<FieldPath> };

function compare(
  schema: OpenApiSchema,
  before: Json | undefined,
  after: Json | undefined,
  path: FieldPath,
  found: Found,
): void {
  const [old, now] = [before ?? null, after ?? null].map((value) => stepsInto(schema, value));
  if (path !== '') {
    if (before === undefined && after !== undefined) found.added.add(path);
    else if (before !== undefined && after === undefined) found.removed.add(path);
    else if ((!old || !now) && canonicalText(before) !== canonicalText(after)) found.changed.add(path);
  }
  for (const step of new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])) {
    const [from, to] = [old?.get(step), now?.get(step)];
    compare((to ?? from)?.schema ?? {}, from?.value, to?.value, below(path, step), found);
  }
}

// ---- FieldsV1 --------------------------------------------------------------------------------------------------------

type Tree = Map<string, Tree>;

export function fieldsV1Of(set: FieldSet): JsonObject {
  const root: Tree = new Map();
  for (const path of [...set].sort()) grow(root, stepsOf(path));
  return treeJson(root, set, '');
}

function grow(tree: Tree, [step, ...rest]: readonly string[]): void {
  if (step === undefined) return;
  const inner = tree.get(step) ?? new Map<string, Tree>();
  tree.set(step, inner);
  grow(inner, rest);
}

function treeJson(tree: Tree, set: FieldSet, path: FieldPath): JsonObject {
  const own: [string, Json][] = path !== '' && tree.size > 0 && set.has(path) ? [['.', {}]] : [];
  return Object.fromEntries([
    ...own,
    ...[...tree].map(([step, inner]): [string, Json] => [step, treeJson(inner, set, below(path, step))]),
  ]);
}

export function fieldSetOf(fieldsV1: Json): FieldSet {
  const found = new Set<FieldPath>();
  readTree(fieldsV1, '', found);
  return found;
}

function readTree(tree: Json, path: FieldPath, found: Set<FieldPath>): void {
  const steps = Object.entries(isMap(tree) ? tree : {});
  if (path !== '' && (steps.length === 0 || steps.some(([step]) => step === '.'))) found.add(path);
  for (const [step, inner] of steps) if (step !== '.') readTree(inner, below(path, normal(step)), found);
}

/** Keys and values as this server writes them, whoever wrote the list. */
function normal(step: string): string {
  if (!/^[kv]:/.test(step)) return step;
  try {
    return `${step.slice(0, 2)}${canonicalText(JSON.parse(step.slice(2)) as Json)}`;
  } catch {
    return step;
  }
}

/** For people: `.spec.parts[name="a"].weight`. */
export function pathText(path: FieldPath): string {
  return stepsOf(path).map(stepText).join('');
}

function stepText(step: string): string {
  const rest = step.slice(2);
  if (step.startsWith('f:')) return `.${rest}`;
  if (step.startsWith('v:')) return `[=${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as JsonObject);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}
