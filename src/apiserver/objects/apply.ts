// SPDX-License-Identifier: Apache-2.0
/**
 * Server-side apply, and who manages what after every other write.
 *
 * Owns:       the merge of an applied object into the stored one, conflicts, metadata.managedFields.
 * Takes in:   the stored object with its managedFields; what a client applied or a write made.
 * Gives out:  the new object, not yet defaulted, prepared or validated; ApiError 409 with a cause for each conflict.
 * Invariants: how lists and maps merge comes from the schema alone (field-set.ts). Who applies a list again without an
 *             item takes the item away, unless another manager has it too.
 *
 * @see sigs.k8s.io/structured-merge-diff/merge, k8s.io/apimachinery/pkg/util/managedfields
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { ApiError, type Cause } from './api-error.ts';
import {
  below,
  differenceOf,
  type FieldPath,
  type FieldSet,
  fieldsOf,
  itemStep,
  pathText,
  stepsInto,
} from './field-set.ts';
import { isList, isMap, listAt, textAt } from './json.ts';
import {
  common,
  isReset,
  isSameManager,
  type Manager,
  managed,
  managersOf,
  sameSet,
  union,
  withManagers,
  without,
  withoutManagers,
} from './managed-fields.ts';
import { checkNesting } from './nesting.ts';
import type { ApiObject } from './object.ts';
import { childOf, itemsOf } from './schema.ts';
import type { OpenApiSchema, ServedResource } from './served-resource.ts';
import { typedObject } from './typed.ts';
import { typeFault } from './typed-patch.ts';

export interface Application {
  readonly resource: ServedResource;
  readonly live: ApiObject | null;
  /** As the client sent it. */
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly now: Date;
  /** '' for the object itself. */
  readonly subresource: string;
}

/** @throws {ApiError} 409 with one cause for each field that another one manages; 400 and 500 for what is no such object */
export function serverSideApply(application: Application): ApiObject {
  const { resource, applied } = application;
  checkApplied(resource, applied);
  const live = application.live ?? emptyOf(applied);
  const managers = knownManagers(application);
  const content = withoutManagers(applied);
  const me = ownEntry(application, content);
  const last = managers.find((each) => isSameManager(each, me))?.fields ?? new Set<FieldPath>();
  const others = managers.filter((each) => !isSameManager(each, me));
  const merged = mergedValue(resource.schema, withoutManagers(live), content) as JsonObject;
  const gone = abandoned(last, me.fields, others);
  const result = pruned(resource.schema, merged, '', gone) as ApiObject;
  const { added, changed, removed } = differenceOf(resource.schema, withoutManagers(live), result);
  const left = settled(others, union(added, changed), application.force);
  const kept = left.map((each) => ({ ...each, fields: without(each.fields, removed) }));
  const mine = sameSet(last, me.fields) ? managers.find((each) => isSameManager(each, me)) : undefined;
  return withManagers(result, [...kept, mine ?? me]);
}

function checkApplied(resource: ServedResource, applied: JsonObject): void {
  checkNesting(applied);
  const [apiVersion, kind] = [textAt(applied, 'apiVersion'), textAt(applied, 'kind')];
  if (apiVersion === '' || kind === '')
    throw new ApiError(400, 'BadRequest', `invalid object type: ${apiVersion || '/'}, Kind=${kind}`);
  if (listAt(applied, 'metadata', 'managedFields').length > 0)
    throw new ApiError(400, 'BadRequest', 'metadata.managedFields must be nil');
  const fault = typeFault(resource.schema, withoutManagers(applied), '');
  if (fault === null) return;
  const name = `${textAt(applied, 'metadata', 'namespace')}/${textAt(applied, 'metadata', 'name')}`;
  throw new ApiError(
    500,
    undefined,
    `failed to create typed patch object (${name}; ${apiVersion}, Kind=${kind}): ${fault}`,
  );
}

function emptyOf({ apiVersion = '', kind = '' }: JsonObject): JsonObject {
  return { apiVersion, kind, metadata: {} };
}

/** An object that was written before anyone was recorded: whatever it says belongs to `before-first-apply`. */
function knownManagers({ resource, live, now }: Application): readonly Manager[] {
  const managers = managersOf(live);
  if (managers.length > 0 || !live) return managers;
  const { added } = differenceOf(resource.schema, emptyOf(live), withoutManagers(live));
  const fields = managed(added, 'all');
  return [
    {
      name: 'before-first-apply',
      operation: 'Update',
      apiVersion: live.apiVersion,
      subresource: '',
      time: timeText(now),
      fields,
    },
  ];
}

function ownEntry({ resource, manager, now, subresource }: Application, content: JsonObject): Manager {
  return {
    name: manager,
    operation: 'Apply',
    apiVersion: textAt(content, 'apiVersion'),
    subresource,
    time: timeText(now),
    fields: managed(fieldsOf(resource.schema, content), partOf(resource, subresource)),
  };
}

function partOf(resource: ServedResource, subresource: string): 'status' | 'main' | 'all' {
  if (subresource === 'status') return resource.custom ? 'status' : 'all';
  return resource.subresources.some(({ name }) => name === 'status') ? 'main' : 'all';
}

function timeText(now: Date): string {
  return `${now.toISOString().slice(0, 19)}Z`;
}

// ---- merging ---------------------------------------------------------------------------------------------------------

function mergedValue(schema: OpenApiSchema, live: Json | undefined, applied: Json): Json {
  if (live === undefined || !stepsInto(schema, applied) || !stepsInto(schema, live)) return applied;
  if (isMap(live) && isMap(applied)) return mergedMap(schema, live, applied);
  return isList(live) && isList(applied) ? mergedList(schema, live, applied) : applied;
}

function mergedMap(schema: OpenApiSchema, live: JsonObject, applied: JsonObject): JsonObject {
  const members = new Map(Object.entries(live));
  for (const [name, value] of Object.entries(applied))
    members.set(name, mergedValue(childOf(schema, name) ?? {}, members.get(name), value));
  return Object.fromEntries(members);
}

/** Applied items in their order; live ones that nobody applied stay before the applied one that they preceded. */
function mergedList(schema: OpenApiSchema, live: readonly Json[], applied: readonly Json[]): readonly Json[] {
  const items = itemsOf(schema) ?? {};
  const rest = live.map((item) => ({ item, step: itemStep(schema, item) }));
  const wanted = new Set(applied.map((item) => itemStep(schema, item)));
  const old = new Map(rest.map(({ item, step }) => [step, item]));
  const merged = new Set<string>();
  const result: Json[] = [];
  let at = 0;
  const takeLive = () => {
    for (let next = rest[at]; next && (!wanted.has(next.step) || merged.has(next.step)); next = rest[++at])
      if (!wanted.has(next.step)) result.push(next.item);
  };
  takeLive();
  for (const item of applied) {
    const step = itemStep(schema, item);
    result.push(mergedValue(items, old.get(step), item));
    merged.add(step);
    takeLive();
  }
  return result;
}

/** What the manager had and does not say any more, and nobody else has. */
function abandoned(last: FieldSet, now: FieldSet, others: readonly Manager[]): FieldSet {
  const held = others.reduce<FieldSet>((all, each) => union(all, each.fields), now);
  const gone = without(last, held);
  return new Set([...gone].filter((path) => ![...held].some((each) => each.startsWith(`${path}\u0000`))));
}

function pruned(schema: OpenApiSchema, value: Json, path: FieldPath, gone: FieldSet): Json {
  if (gone.size === 0) return value;
  const parts = stepsInto(schema, value);
  if (!parts) return value;
  const left = [...parts].filter(([step]) => !gone.has(below(path, step)));
  const inner = left.map(
    ([step, part]) => [step, pruned(part.schema, part.value, below(path, step), gone)] as const,
  );
  if (isList(value)) return inner.map(([, item]) => item);
  return Object.fromEntries(inner.map(([step, member]) => [step.slice(2), member]));
}

// ---- conflicts -------------------------------------------------------------------------------------------------------

interface Conflict {
  readonly manager: Manager;
  readonly path: FieldPath;
}

/** The others, without the fields that they lose. @throws {ApiError} 409 */
function settled(others: readonly Manager[], touched: FieldSet, force: boolean): readonly Manager[] {
  const conflicts = others.flatMap((manager) =>
    [...common(manager.fields, touched)].map((path) => ({ manager, path })),
  );
  if (conflicts.length > 0 && !force) throw conflict(conflicts);
  return others.map((each) => ({ ...each, fields: without(each.fields, touched) }));
}

function conflict(conflicts: readonly Conflict[]): ApiError {
  const causes = conflicts
    .map(
      ({ manager, path }): Cause => ({
        reason: 'FieldManagerConflict',
        message: `conflict with ${managerText(manager)}`,
        field: pathText(path),
      }),
    )
    .sort((a, b) => ((a.field ?? '') < (b.field ?? '') ? -1 : 1));
  const count = `${causes.length} conflict${causes.length === 1 ? '' : 's'}`;
  return new ApiError(409, 'Conflict', `Apply failed with ${count}: ${conflictText(causes)}`, { causes });
}

function managerText({ name, operation, apiVersion, subresource }: Manager): string {
  const by =
    subresource === ''
      ? JSON.stringify(name)
      : `${JSON.stringify(name)} with subresource ${JSON.stringify(subresource)}`;
  return operation === 'Update' ? `${by} using ${apiVersion}` : by;
}

function conflictText(causes: readonly Cause[]): string {
  const [only] = causes;
  if (only && causes.length === 1) return `${only.message}: ${only.field}`;
  const messages = [...new Set(causes.map(({ message }) => message))].sort();
  return messages
    .flatMap((message) => [
      `${message.replace('conflict', 'conflicts')}:`,
      ...causes.filter((each) => each.message === message).map(({ field }) => `- ${field}`),
    ])
    .join('\n');
}

// ---- ordinary writes -------------------------------------------------------------------------------------------------

export interface OrdinaryWrite {
  readonly resource: ServedResource;
  readonly before: ApiObject | null;
  readonly after: ApiObject;
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly now: Date;
  readonly subresource: string;
}

/** Updates by more than this many managers are put together, the oldest first. */
const maxUpdaters = 10;

/** `after` with managedFields of who changed what; without any where the client sent an empty entry. */
export function recordManager(write: OrdinaryWrite): ApiObject {
  const { resource, before, after, manager, operation, now, subresource } = write;
  const known = managersOf(before);
  if (isReset(after) || (before && known.length === 0)) return withManagers(after, []);
  const old = before ? withoutManagers(before) : bornFrom(resource, after);
  const { added, changed, removed } = differenceOf(resource.schema, old, withoutManagers(after));
  const touched = managed(union(added, changed), partOf(resource, subresource));
  const me = { name: manager, operation, apiVersion: after.apiVersion, subresource };
  const others = known
    .filter((each) => !isSameManager(each, me))
    .map((each) => ({ ...each, fields: without(without(each.fields, removed), touched) }));
  const mine = known.find((each) => isSameManager(each, me));
  const fields = union(without(mine?.fields ?? new Set<FieldPath>(), removed), touched);
  const time = mine && sameSet(mine.fields, fields) ? mine.time : timeText(now);
  return withManagers(after, capped([...others, { ...me, time, fields }]));
}

/** What an empty built-in object says already (structs that are not behind pointers) is nobody's. */
function bornFrom(resource: ServedResource, after: ApiObject): JsonObject {
  const empty = emptyOf(after);
  return resource.custom ? empty : typedObject(resource.schema, empty, '', () => {});
}

function capped(managers: readonly Manager[]): readonly Manager[] {
  const updaters = managers.filter(
    ({ operation, subresource }) => operation === 'Update' && subresource === '',
  );
  const surplus = updaters.length - maxUpdaters;
  if (surplus <= 0) return managers;
  const oldest = [...updaters].sort((a, b) => (a.time < b.time ? -1 : 1)).slice(0, surplus + 1);
  const [first] = oldest;
  if (!first) return managers;
  const fields = oldest.reduce<FieldSet>((all, each) => union(all, each.fields), new Set());
  const ancient: Manager = {
    ...first,
    name: 'ancient-changes',
    time: oldest.at(-1)?.time ?? first.time,
    fields,
  };
  return [...managers.filter((each) => !oldest.includes(each)), ancient];
}
