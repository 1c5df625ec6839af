// SPDX-License-Identifier: Apache-2.0
/**
 * `apply --server-side`: the Kubernetes API merges, and knows who said what.
 *
 * One object after another: there are no transactions, and who manages a field is the server's to say.
 *
 * @see Kubernetes documentation, "Server-Side Apply"
 */
import type { Stored } from '../contract/datastore.ts';
import { KubernetesStore } from '../datastore/kubernetes/store.ts';
import { AppError, NotFoundError, PartialWriteError, UnsupportedError } from '../lib/errors.ts';
import { keyOf } from '../model/kinds.ts';
import { originAnnotation, type Resource, type ResourceKey } from '../model/types.ts';
import type { ApplyOptions } from './apply-resources.ts';
import { type DryRun, dryRunMarks } from './dry-run.ts';
import { untilNodesEnforce, waitingTime } from './enforcement.ts';
import type { Io } from './io.ts';
import { nameOfKey, objectName } from './object-name.ts';
import { findPlace, openStore } from './place.ts';
import { plainOutput } from './plain-output.ts';
import { refuseReserved, withKept } from './write-plan.ts';
import { validResources } from './write-resources.ts';

export interface ServerSideOptions extends ApplyOptions {
  readonly serverSide?: boolean;
  readonly forceConflicts?: boolean;
  readonly fieldManager?: string;
}

/**
 * @throws {UnsupportedError} on other stores. {ConflictError} for fields that others manage. {PartialWriteError} naming
 * what was applied before the one that was refused.
 */
export async function applyServerSide(
  resources: readonly Resource[],
  options: ServerSideOptions,
  io: Io,
): Promise<void> {
  const { dryRun = 'none' } = options;
  const print = plainOutput(options.output);
  const timeoutMs = waitingTime(options);
  const valid = validResources(resources);
  refuseReserved(valid);
  const place = await findPlace(options, io);
  await using store = await openStore(place, io, { mayCreate: false });
  if (!(store instanceof KubernetesStore))
    throw new UnsupportedError(
      `cannot apply on the server's side: got a datastore of type ${place.config.type}, want kubernetes; leave --server-side out`,
    );
  const applied = await applyEach(store, valid, options);
  const line = ({ key }: Stored) => `${nameOfKey(key)} serverside-applied${dryRunMarks[dryRun]}\n`;
  io.out(print ? print(applied.map(({ resource }) => resource)) : applied.map(line).join(''));
  if (dryRun === 'none')
    await untilNodesEnforce(place, store, { present: applied, deleted: [] }, timeoutMs, io);
}

async function applyEach(
  store: KubernetesStore,
  resources: readonly Resource[],
  { dryRun = 'none', forceConflicts: force = false, fieldManager: manager = 'muslin' }: ServerSideOptions,
): Promise<readonly Stored[]> {
  const applied: Stored[] = [];
  for (const resource of resources) {
    try {
      const key = keyOf(resource);
      const object = withoutOrigin(await keeping(store, key, resource));
      applied.push(await store.apply(key, object, { manager, force, dryRun: isDry(dryRun) }));
    } catch (error) {
      throw withWhatWasDone(error, resource, applied);
    }
  }
  return applied;
}

/** What `apply` keeps (a pod's node, a Service's address) it manages from then on: to leave it out would take it away. */
async function keeping(store: KubernetesStore, key: ResourceKey, resource: Resource): Promise<Resource> {
  try {
    return withKept(resource, (await store.get(key)).resource);
  } catch (error) {
    if (error instanceof NotFoundError) return resource;
    throw error;
  }
}

function isDry(dryRun: DryRun): boolean {
  return dryRun !== 'none';
}

function withWhatWasDone(error: unknown, resource: Resource, applied: readonly Stored[]): unknown {
  if (applied.length === 0 || !(error instanceof AppError)) return error;
  const names = applied.map(({ key }) => nameOfKey(key)).join(', ');
  return new PartialWriteError(
    `${error.message}; applied before: ${names}; not applied: ${objectName(resource)} and what follows it`,
    { cause: error },
  );
}

/** It would be a field that we manage, and changes with each file that the manifest is read from. */
function withoutOrigin(resource: Resource): Resource {
  const { annotations: { [originAnnotation]: _, ...others } = {}, ...metadata } = resource.metadata;
  const isEmpty = Object.keys(others).length === 0;
  return { ...resource, metadata: isEmpty ? metadata : { ...metadata, annotations: others } };
}
