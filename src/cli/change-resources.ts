// SPDX-License-Identifier: Apache-2.0
/** `patch` and `label`: objects as they are stored, changed, checked as `replace` checks, and stored again. */
import { sameValue } from '../calc/same-value.ts';
import type { Stored } from '../contract/datastore.ts';
import { type Fault, InvalidError, NotFoundError } from '../lib/errors.ts';
import { listAt } from '../model/json.ts';
import { keyPath } from '../model/kinds.ts';
import { originAnnotation, type Resource, type ResourceKey } from '../model/types.ts';
import type { DryRunOptions } from './dry-run.ts';
import { untilNodesEnforce, type WaitOptions, waitingTime } from './enforcement.ts';
import type { Io } from './io.ts';
import type { Choice } from './object-choice.ts';
import { nameOfKey, objectName } from './object-name.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { plainOutput } from './plain-output.ts';
import { isBuiltinTier, isConverted, planWrites, type WritePlan } from './write-plan.ts';
import { presentRow, rowText, validResources, writePlanned } from './write-resources.ts';

export interface ChangeOptions extends PlaceOptions, WaitOptions, DryRunOptions {
  readonly output?: string;
}

export interface ResourceChange {
  readonly choose: Choice;
  /** Its answer may be invalid. @throws {InvalidError} {ConflictError} */
  readonly change: (resource: Resource) => Resource;
  /** What is said of an object that was changed, and of one that was so already. */
  readonly words: { readonly changed: string; readonly same: string };
}

/**
 * @throws {NotFoundError} for what is named and not there. {InvalidError} and nothing is stored. {ConflictError} for a
 * version that is no longer the stored one, or when others were faster five times.
 */
export async function changeResources(change: ResourceChange, options: ChangeOptions, io: Io): Promise<void> {
  const { dryRun = 'none' } = options;
  const print = plainOutput(options.output);
  const timeoutMs = waitingTime(options);
  const place = await findPlace(options, io);
  await using store = await openStore(place, io, { mayCreate: false });
  const { rows, notices } = await writePlanned(store, (stored) => planChange(change, stored), dryRun);
  for (const notice of notices) io.note(`note: ${notice}`);
  if (rows.length === 0) io.note('No resources found');
  const { changed, same } = change.words;
  const wordOf = (outcome: string) => (outcome === 'unchanged' ? same : changed);
  if (print) io.out(print(rows.map(({ resource }) => resource)));
  else io.out(rows.map((row) => rowText(row, dryRun, wordOf(row.outcome))).join(''));
  if (dryRun !== 'none') return;
  await untilNodesEnforce(place, store, { present: rows.flatMap(presentRow), deleted: [] }, timeoutMs, io);
}

function planChange({ choose, change }: ResourceChange, stored: readonly Stored[]): WritePlan {
  const byPath = new Map(stored.map((item) => [keyPath(item.key), item]));
  const keys = choose(stored);
  refuseFixed(keys, 'changed');
  const missing = keys.filter((key) => !byPath.has(keyPath(key)));
  if (missing.length > 0) throw new NotFoundError(`${missing.map(nameOfKey).join(', ')} not found`);
  const before = keys.flatMap((key) => byPath.get(keyPath(key)) ?? []);
  return planWrites('replace', validResources(before.map((item) => changedOne(item, change))), stored);
}

function changedOne({ key, resource }: Stored, change: ResourceChange['change']): Resource {
  const changed = change(resource);
  refuseRenamed(key, resource, changed);
  return withEmptied(resource, withoutStaleOrigin(resource, changed));
}

/** A store keeps these of an object that does not speak of them: what a change took away is said to be empty. */
export function withEmptied(before: Resource, after: Resource): Resource {
  const emptied = ['finalizers', 'ownerReferences'].filter(
    (field) => listAt(before, 'metadata', field).length > 0 && after.metadata[field] === undefined,
  );
  const lists = Object.fromEntries(emptied.map((field) => [field, []]));
  return { ...after, metadata: { ...after.metadata, ...lists } };
}

/** @throws {InvalidError} */
export function refuseRenamed(key: ResourceKey, before: Resource, after: Resource): void {
  const faults: Fault[] = [];
  const check = (path: string, got: unknown, want: unknown) => {
    if (got === want) return;
    const message = `${nameOfKey(key)}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}: it cannot be changed`;
    faults.push({ path, message });
  };
  check('apiVersion', after.apiVersion, before.apiVersion);
  check('kind', after.kind, before.kind);
  check('metadata.name', after.metadata?.name, before.metadata.name);
  check('metadata.namespace', after.metadata?.namespace, before.metadata.namespace);
  if (faults.length > 0) throw new InvalidError(`${objectName(before)}: another object`, faults);
}

/** A rule that was changed here stands on no line of the manifest any more. */
export function withoutStaleOrigin(before: Resource, after: Resource): Resource {
  const { annotations, ...metadata } = after.metadata;
  if (annotations?.[originAnnotation] === undefined || sameValue(before.spec, after.spec)) return after;
  const { [originAnnotation]: _, ...others } = annotations;
  const isEmpty = Object.keys(others).length === 0;
  return { ...after, metadata: isEmpty ? metadata : { ...metadata, annotations: others } };
}

/** @throws {InvalidError} for what is built in or made from other objects. */
export function refuseFixed(keys: readonly ResourceKey[], verb: 'changed' | 'deleted'): void {
  const faults = keys.flatMap((key) => {
    const path = nameOfKey(key);
    if (isBuiltinTier(key)) return [{ path, message: `the tier is built in and cannot be ${verb}` }];
    if (isConverted(key))
      return [
        {
          path,
          message: `it stands for one of Kubernetes' own policies; ${verb === 'deleted' ? 'delete' : 'change'} that one`,
        },
      ];
    return [];
  });
  if (faults.length > 0) throw new InvalidError(`${faults.length} objects that cannot be ${verb}`, faults);
}
