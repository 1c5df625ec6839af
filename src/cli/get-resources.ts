// SPDX-License-Identifier: Apache-2.0
/** `get`: which objects were asked for, found in one snapshot of the store. */
import type { Stored } from '../contract/datastore.ts';
import { NotFoundError, UsageError } from '../lib/errors.ts';
import { recordOf, textMapAt } from '../model/json.ts';
import { type KindRow, keyOf, keyPath, kindRow } from '../model/kinds.ts';
import type { Resource } from '../model/types.ts';
import { getPrinter } from './get-output.ts';
import type { Io } from './io.ts';
import { parseLabelFilter } from './label-filter.ts';
import { nameOfKey } from './object-name.ts';
import { parseReferences, type References } from './object-reference.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { visibleResources } from './visible-resources.ts';
import { withoutIdentity } from './without-identity.ts';

export interface GetOptions extends PlaceOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly output?: string;
  /** Manifests that name the objects. */
  readonly file?: readonly string[];
  readonly recursive?: boolean;
  readonly skipEmpty?: boolean;
  /** A revision or a time that is past. */
  readonly at?: string;
  /** calicoctl's: without what belongs to this cluster alone. */
  readonly export?: boolean;
  /** `--no-headers` makes it false. */
  readonly headers?: boolean;
}

/** @throws {NotFoundError} naming what does not exist, after printing what does. {UsageError} {UnavailableError} */
export async function getResources(words: readonly string[], options: GetOptions, io: Io): Promise<void> {
  const print = getPrinter(options.output);
  const references = await referencesOf(words, options, io);
  checkOptions(references, options);
  const filter = options.selector === undefined ? null : parseLabelFilter(options.selector);
  const stored = await storedIn(options, io);
  const { resources, missing } = found(references, stored, options);
  const chosen = filter
    ? resources.filter((each) => filter(recordOf(textMapAt(each, 'metadata', 'labels'))))
    : resources;
  const shown = {
    resources: options.export ? chosen.map(withoutIdentity) : chosen,
    single: references.keys.length === 1,
    allNamespaces: options.allNamespaces ?? false,
    severalKinds: kindsAsked(references) > 1,
    headers: options.headers ?? true,
  };
  if (chosen.length > 0 || (missing.length === 0 && isDocument(options.output))) io.out(print(shown));
  else if (missing.length === 0) io.note(nothingText(references, options));
  if (missing.length > 0) throw new NotFoundError(`${missing.join(', ')} not found`);
}

/** Objects are named by words or by manifests. @throws {UsageError} */
async function referencesOf(words: readonly string[], options: GetOptions, io: Io): Promise<References> {
  if (!options.file) return parseReferences(words, options.namespace ?? 'default');
  if (words.length > 0) throw new UsageError('want KIND [NAME...] or -f FILE, not both');
  const { readManifests } = await import('./manifests.ts');
  const { file, recursive = false, skipEmpty = false, namespace } = options;
  const resources = await readManifests(
    { file, recursive, skipEmpty, ...(namespace === undefined ? {} : { namespace }) },
    io,
  );
  return { rows: [], keys: resources.map(keyOf) };
}

function checkOptions({ keys }: References, options: GetOptions): void {
  if (keys.length === 0) return;
  if (options.selector !== undefined) throw new UsageError('-l chooses among all objects: it takes no names');
  if (options.allNamespaces) throw new UsageError('-A lists all namespaces: it takes no names');
}

async function storedIn(options: GetOptions, io: Io): Promise<readonly Stored[]> {
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: false });
  if (options.at === undefined) return (await store.snapshot()).items;
  const { listedAt } = await import('./history.ts');
  return (await listedAt(store, options.at, new Date())).items;
}

function found(
  { rows, keys }: References,
  stored: readonly Stored[],
  options: GetOptions,
): { resources: readonly Resource[]; missing: readonly string[] } {
  if (rows.length > 0)
    return { resources: rows.flatMap((row) => listed(row, rows, stored, options)), missing: [] };
  const visible = new Map<string, Resource>();
  for (const row of new Set(keys.map((key) => kindRow(key.kind)))) {
    for (const resource of visibleResources(row, stored, true))
      visible.set(keyPath(keyOf(resource)), resource);
  }
  return {
    resources: keys.flatMap((key) => visible.get(keyPath(key)) ?? []),
    missing: keys.filter((key) => !visible.has(keyPath(key))).map(nameOfKey),
  };
}

/** A policy of Kubernetes is shown once: as itself where its own kind was asked for too. */
function listed(
  row: KindRow,
  rows: readonly KindRow[],
  stored: readonly Stored[],
  options: GetOptions,
): readonly Resource[] {
  const resources = visibleResources(row, stored, rows.length === 1);
  if (!row.namespaced || options.allNamespaces) return resources;
  return resources.filter((resource) => resource.metadata.namespace === (options.namespace ?? 'default'));
}

function kindsAsked({ rows, keys }: References): number {
  return rows.length > 0 ? rows.length : new Set(keys.map((key) => key.kind)).size;
}

/** An empty list is a document, an empty table is nothing. */
function isDocument(form = ''): boolean {
  return form === 'json' || form === 'yaml' || /^(jsonpath|go-template(-file)?)=/.test(form);
}

function nothingText({ rows }: References, options: GetOptions): string {
  const inNamespace = !options.allNamespaces && rows.some((row) => row.namespaced);
  return inNamespace
    ? `No resources found in ${options.namespace ?? 'default'} namespace.`
    : 'No resources found';
}
