// SPDX-License-Identifier: Apache-2.0
/** Deleting: all of what was named, with what lives in it, or nothing. */
import type { Stored, Write } from '../contract/datastore.ts';
import { ConflictError, InvalidError, NotFoundError } from '../lib/errors.ts';
import { textAt } from '../model/json.ts';
import { keyPath } from '../model/kinds.ts';
import { isPolicyKind } from '../model/policy-value.ts';
import type { ResourceKey } from '../model/types.ts';
import { untilNodesEnforce, type WaitOptions, waitingTime } from './enforcement.ts';
import type { Io } from './io.ts';
import { nameOfKey } from './object-name.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { isBuiltinTier, isConverted } from './write-plan.ts';

export interface DeleteOptions extends PlaceOptions, WaitOptions {
  readonly ignoreNotFound?: boolean;
}

const attempts = 5;

/**
 * @throws {NotFoundError} when one does not exist. {InvalidError} for what is built in or made from other objects.
 * {ConflictError} for a tier that still has policies. {Told} when nodes did not follow in time.
 */
export async function deleteResources(
  keys: readonly ResourceKey[],
  options: DeleteOptions,
  io: Io,
): Promise<void> {
  const timeoutMs = waitingTime(options);
  refuseFixed(keys);
  const place = await findPlace(options, io);
  await using store = await openStore(place, io, { mayCreate: false });
  let doomed: readonly Stored[] = [];
  for (let attempt = 1; ; attempt++) {
    doomed = planDeletion(keys, (await store.snapshot()).items, options.ignoreNotFound ?? false);
    try {
      await store.writeAll(
        doomed.map((item): Write => ({ op: 'delete', key: item.key, ifRevision: item.revision })),
      );
      io.out(doomed.map((item) => `${nameOfKey(item.key)} deleted\n`).join(''));
      break;
    } catch (error) {
      const lostRace = error instanceof ConflictError || error instanceof NotFoundError;
      if (!lostRace || attempt === attempts) throw error;
    }
  }
  await untilNodesEnforce(
    place,
    store,
    { present: [], deleted: doomed.map(({ key }) => key) },
    timeoutMs,
    io,
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

function refuseFixed(keys: readonly ResourceKey[]): void {
  const faults = keys.flatMap((key) => {
    const path = nameOfKey(key);
    if (isBuiltinTier(key)) return [{ path, message: 'the tier is built in and cannot be deleted' }];
    if (isConverted(key))
      return [{ path, message: "it stands for one of Kubernetes' own policies; delete that one" }];
    return [];
  });
  if (faults.length > 0) throw new InvalidError(`${faults.length} objects that cannot be deleted`, faults);
}
