// SPDX-License-Identifier: Apache-2.0
/**
 * Moving a cluster from one store to another, with calicoctl's steps: lock, export, import, unlock.
 *
 * @see Calico documentation, "Migrate from etcd to the Kubernetes datastore"
 */
import type { Datastore, Stored } from '../contract/datastore.ts';
import { ConflictError, InvalidError, NotFoundError, PartialWriteError } from '../lib/errors.ts';
import { calicoVersion, keyOf, kindRow } from '../model/kinds.ts';
import type { Resource, ResourceKey, ResourceKind } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';
import { faultText } from './exit.ts';
import { type Io, readInputs } from './io.ts';
import { manifestsOf } from './manifests.ts';
import { objectName } from './object-name.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { plural } from './plural.ts';
import { withoutIdentity } from './without-identity.ts';
import { writeInParts } from './write-parts.ts';
import { planWrites } from './write-plan.ts';

export interface ExportOptions extends PlaceOptions {
  readonly calicoOnly?: boolean;
}

export interface ImportOptions extends PlaceOptions {
  readonly file: string;
}

const clusterKey: ResourceKey = { kind: 'ClusterInformation', name: 'default' };

/** @throws {ConflictError} unless the store is locked: what is written meanwhile would be lost. */
export async function exportStore(options: ExportOptions, io: Io): Promise<void> {
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: false });
  if (!isLocked(await clusterInformation(store)))
    throw new ConflictError(
      'cannot export: the datastore is not locked, want: muslin datastore migrate lock',
    );
  const { items } = await store.snapshot();
  const exported = items
    .filter(({ key }) => !options.calicoOnly || kindRow(key.kind).apiVersion === calicoVersion)
    .map(({ resource }) => withoutIdentity(resource));
  // each a line of JSON, which is YAML too: read back line by line, whatever the size
  for (const resource of exported) io.out(`---\n${JSON.stringify(resource)}\n`);
  io.note(`exported ${plural(exported.length, 'object')}`);
}

/** @throws {InvalidError} and stores nothing. {PartialWriteError} naming what the store refused after all. */
export async function importStore(options: ImportOptions, io: Io): Promise<void> {
  const resources = readExport(options.file, io);
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: true });
  const { items } = await store.snapshot();
  const keepable = resources.filter((resource) => store.writesAtomically || isKeptByKubernetes(resource));
  const { writes, rows } = planWrites('apply', keepable, items);
  await writeInParts(store, writes);
  const written = rows.filter(({ outcome }) => outcome !== 'unchanged').length;
  io.note(
    `imported ${plural(resources.length, 'object')}: ${written} written, ${rows.length - written} as they were`,
  );
  tellLeftOut(resources.filter((resource) => !keepable.includes(resource)));
}

/** Writes `datastoreReady`, which Calico's components ask before they use a store. */
export async function setLock(isLock: boolean, options: PlaceOptions, io: Io): Promise<void> {
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: false });
  const found = await clusterInformation(store);
  const spec = { ...(found?.resource.spec as object | undefined), datastoreReady: !isLock };
  const resource = {
    ...(found?.resource ?? {
      apiVersion: calicoVersion,
      kind: 'ClusterInformation',
      metadata: { name: 'default' },
    }),
    spec,
  };
  if (found) await store.update(clusterKey, resource, found.revision);
  else await store.create(clusterKey, resource);
  io.note(`datastore ${isLock ? 'locked' : 'unlocked'}`);
}

/** Of a store whose `datastoreReady` says no. */
export function isLocked(information: Pick<Stored, 'resource'> | null): boolean {
  const spec = information?.resource.spec as { datastoreReady?: unknown } | undefined;
  return spec?.datastoreReady === false;
}

async function clusterInformation(store: Datastore): Promise<Stored | null> {
  try {
    return await store.get(clusterKey);
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

/** Ours line by line; calicoctl's as the manifests that it is. */
function readExport(file: string, io: Io): readonly Resource[] {
  const inputs = readInputs([file], false, io);
  const lines = inputs
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => line !== '' && line !== '---');
  if (!lines.every((line) => line.startsWith('{'))) return manifestsOf(inputs, {}, io);
  const faults: string[] = [];
  const resources = lines.flatMap((line, i) => readLine(line, `${file}:${2 * i + 2}`, faults));
  if (faults.length > 0) throw new InvalidError(faults.join('\n'));
  return resources;
}

function readLine(line: string, place: string, faults: string[]): readonly Resource[] {
  try {
    const { resource, faults: found } = validateResource(JSON.parse(line) as Resource);
    faults.push(...found.map((fault) => `${place}: ${faultText(fault)}`));
    return resource ? [resource] : [];
  } catch (error) {
    faults.push(`${place}: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

/** Kubernetes makes these from its own objects: Calico's documentation, "Calico datastore". */
const madeByKubernetes: readonly ResourceKind[] = [
  'Profile',
  'CalicoNode',
  'CalicoWorkloadEndpoint',
  'LiveMigration',
];

function isKeptByKubernetes(resource: Resource): boolean {
  return !madeByKubernetes.includes(keyOf(resource).kind);
}

function tellLeftOut(resources: readonly Resource[]): void {
  if (resources.length === 0) return;
  const names = resources.map(objectName).join(', ');
  throw new PartialWriteError(`not imported, as Kubernetes makes these from its own objects: ${names}`);
}
