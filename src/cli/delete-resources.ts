// SPDX-License-Identifier: Apache-2.0
/** Deleting: all of what was named, with what lives in it, or nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Datastore, Stored, Write } from '../contract/datastore.ts';
import { ConflictError, NotFoundError, TimeoutError, UsageError } from '../lib/errors.ts';
import { listAt, textAt } from '../model/json.ts';
import { keyPath } from '../model/kinds.ts';
import { isPolicyKind } from '../model/policy-value.ts';
import type { ResourceKey } from '../model/types.ts';
import { refuseFixed } from './change-resources.ts';
import { type DryRunOptions, dryRunMarks, writeOrTry } from './dry-run.ts';
import { untilNodesEnforce, type WaitOptions, waitingTime } from './enforcement.ts';
import type { Io } from './io.ts';
import type { Choice } from './object-choice.ts';
import { nameOfKey } from './object-name.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';

export interface DeleteOptions extends PlaceOptions, WaitOptions, DryRunOptions {
  readonly ignoreNotFound?: boolean;
  /** `name`. */
  readonly output?: string;
}

const attempts = 5;

/**
 * @throws {NotFoundError} when one does not exist. {InvalidError} for what is built in or made from other objects.
 * {ConflictError} for a tier that still has policies. {TimeoutError} when something keeps one of them.
 * {Told} when nodes did not follow in time.
 */
export async function deleteResources(choose: Choice, options: DeleteOptions, io: Io): Promise<void> {
  const { dryRun = 'none', output } = options;
  const timeoutMs = waitingTime(options);
  if (output !== undefined && output !== 'name')
    throw new UsageError(`-o: got ${JSON.stringify(output)}, want name`);
  refuseFixed(choose([]), 'deleted'); // what is named is known before anything is read
  const place = await findPlace(options, io);
  await using store = await openStore(place, io, { mayCreate: false });
  const doomed = await deleteAll(store, choose, options);
  const mark = output === 'name' ? '' : ` deleted${dryRunMarks[dryRun]}`;
  io.out(doomed.map((item) => `${nameOfKey(item.key)}${mark}\n`).join(''));
  if (doomed.length === 0) io.note('No resources found');
  if (dryRun !== 'none') return;
  const start = performance.now();
  if (timeoutMs !== null) await untilGone(store, doomed, timeoutMs);
  const left = timeoutMs === null ? null : Math.max(1, timeoutMs - (performance.now() - start));
  await untilNodesEnforce(place, store, { present: [], deleted: doomed.map(({ key }) => key) }, left, io);
}

async function deleteAll(
  store: Datastore,
  choose: Choice,
  { ignoreNotFound = false, dryRun = 'none' }: DeleteOptions,
): Promise<readonly Stored[]> {
  for (let attempt = 1; ; attempt++) {
    const { items } = await store.snapshot();
    const doomed = planDeletion(choose(items), items, ignoreNotFound);
    const writes = doomed.map((item): Write => ({ op: 'delete', key: item.key, ifRevision: item.revision }));
    try {
      await writeOrTry(store, writes, dryRun);
      return doomed;
    } catch (error) {
      const lostRace = error instanceof ConflictError || error instanceof NotFoundError;
      if (!lostRace || attempt === attempts) throw error;
    }
  }
}

/** Objects asked after at a time. */
const atOnce = 16;

/** Stores of one transaction delete at once. An API keeps what has finalizers until whoever set them takes them away. */
async function untilGone(store: Datastore, doomed: readonly Stored[], timeoutMs: number): Promise<void> {
  if (store.writesAtomically) return;
  const deadline = performance.now() + timeoutMs;
  let left = doomed;
  for (let pauseMs = 50; ; pauseMs = Math.min(1000, pauseMs * 2)) {
    left = await stillThere(store, left);
    if (left.length === 0) return;
    if (performance.now() + pauseMs > deadline) throw notGone(left, timeoutMs);
    await delay(pauseMs);
  }
}

async function stillThere(store: Datastore, asked: readonly Stored[]): Promise<readonly Stored[]> {
  const left: Stored[] = [];
  for (let at = 0; at < asked.length; at += atOnce) {
    const found = await Promise.all(asked.slice(at, at + atOnce).map((item) => foundAgain(store, item)));
    left.push(...found.filter((item) => item !== null));
  }
  return left;
}

/** Another object of that name is not the one that was deleted. */
async function foundAgain(store: Datastore, { key, resource }: Stored): Promise<Stored | null> {
  try {
    const found = await store.get(key);
    return found.resource.metadata.uid === resource.metadata.uid ? found : null;
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

function notGone(left: readonly Stored[], timeoutMs: number): TimeoutError {
  const names = left.map(({ key, resource }) => {
    const finalizers = listAt(resource, 'metadata', 'finalizers').join(', ');
    return `${nameOfKey(key)}${finalizers === '' ? '' : ` (finalizers ${finalizers})`}`;
  });
  return new TimeoutError(
    `deleted, but not gone after ${timeoutMs} ms: ${names.join(', ')}; --wait=false does not wait for that`,
  );
}

/** What has to go: contents before what contains them. Pure. */
export function planDeletion(
  keys: readonly ResourceKey[],
  stored: readonly Stored[],
  ignoreNotFound: boolean,
): readonly Stored[] {
  const byPath = new Map<string, Stored>(stored.map((item) => [keyPath(item.key), item]));
  const missing = keys.filter((key) => !byPath.has(keyPath(key)));
  if (missing.length > 0 && !ignoreNotFound)
    throw new NotFoundError(`${missing.map(nameOfKey).join(', ')} not found`);
  const named = new Set<Stored>(keys.flatMap((key) => byPath.get(keyPath(key)) ?? []));
  const namespaces = new Set(
    [...named].filter(({ key }) => key.kind === 'Namespace').map(({ key }) => key.name),
  );
  const inside = stored.filter(({ key }) => key.namespace !== undefined && namespaces.has(key.namespace));
  const doomed = new Set<Stored>([...inside, ...[...named].sort((a, b) => rank(a) - rank(b))]);
  for (const { key } of doomed) if (key.kind === 'Tier') refuseUsedTier(key, stored, doomed);
  return [...doomed];
}

function rank({ key }: Stored): number {
  return ['Tier', 'ServiceAccount', 'Namespace'].indexOf(key.kind);
}

function refuseUsedTier(tier: ResourceKey, stored: readonly Stored[], doomed: ReadonlySet<Stored>): void {
  const users = stored.filter(
    (item) =>
      isPolicyKind(item.key.kind) && textAt(item.resource, 'spec', 'tier') === tier.name && !doomed.has(item),
  );
  if (users.length === 0) return;
  throw new ConflictError(
    `cannot delete ${nameOfKey(tier)}: it has policies: ${users.map(({ key }) => nameOfKey(key)).join(', ')}`,
  );
}
