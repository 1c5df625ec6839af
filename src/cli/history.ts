// SPDX-License-Identifier: Apache-2.0
/** What a store remembers: the changes of one object, and everything as it was at one moment. */
import type { Datastore, History, Listed, PastChange, PointInTime } from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import { NotFoundError, UnsupportedError, UsageError } from '../lib/errors.ts';
import { manifestText } from '../model/manifest/print.ts';
import type { Resource } from '../model/types.ts';
import { parseDurationMs } from './duration.ts';
import type { Io } from './io.ts';
import { nameOfKey } from './object-name.ts';
import { parseReferences } from './object-reference.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { jsonText } from './plain-output.ts';
import { tableText } from './table.ts';
import { changesBetween } from './value-diff.ts';

export interface HistoryOptions extends PlaceOptions {
  readonly namespace?: string;
  readonly output?: 'json' | 'yaml';
}

/** @throws {NotFoundError} for what was never there, as far as is known. {UnsupportedError} {UsageError} */
export async function printHistory(words: readonly string[], options: HistoryOptions, io: Io): Promise<void> {
  const { keys } = parseReferences(words, options.namespace ?? 'default');
  const [key] = keys;
  if (!key || keys.length > 1) throw new UsageError('want one object: KIND/NAME');
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: false });
  const changes = await historyOf(store).changes(key);
  if (changes.length === 0)
    throw new NotFoundError(`${nameOfKey(key)} not found, now or in what is remembered`);
  const rows = changes.map((change, i) => rowOf(change, changes[i - 1]));
  if (options.output === 'json') io.out(jsonText(rows));
  else if (options.output === 'yaml') io.out(manifestText(rows));
  else io.out(tableText([['REVISION', 'TIME', 'BY', 'CHANGE'], ...rows.map(cells)]));
}

/** `--at`: a revision, a time in RFC 3339, or how long ago: `10m`. @throws {UsageError} {UnsupportedError} {RevisionGoneError} */
export async function listedAt(store: Datastore, at: string, now: Date): Promise<Listed> {
  return historyOf(store).at(parsePoint(at, now));
}

function parsePoint(text: string, now: Date): PointInTime {
  if (/^\d{1,15}$/.test(text)) return { revision: text as Revision };
  if (/^[\d.]+(ms|s|m|h)$/.test(text))
    return { time: new Date(now.getTime() - parseDurationMs(text, '--at')) };
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(time.getTime())) return { time };
  throw new UsageError(
    `--at: got ${JSON.stringify(text)}, want a revision, a time such as 2026-01-31T12:00:00Z, or 10m`,
  );
}

function historyOf(store: Datastore): History {
  if (store.history) return store.history;
  throw new UnsupportedError(
    'this datastore keeps no history that we can read: got etcd or Kubernetes, want the embedded one',
  );
}

interface HistoryRow {
  readonly revision: string;
  /** null: from a time when none was kept. */
  readonly time: string | null;
  readonly by: string;
  readonly change: 'created' | 'changed' | 'deleted';
  /** `spec.order: 10 -> 20`. */
  readonly fields: readonly string[];
  readonly resource: Resource | null;
}

function rowOf({ revision, time, writer, resource }: PastChange, before: PastChange | undefined): HistoryRow {
  const past = before?.resource ?? null;
  const fields = resource && past ? changesBetween(past, resource) : [];
  return {
    revision,
    time: time.getTime() === 0 ? null : time.toISOString(),
    by: writer,
    change: resource === null ? 'deleted' : past === null ? 'created' : 'changed',
    fields,
    resource,
  };
}

function cells({ revision, time, by, change, fields }: HistoryRow): readonly string[] {
  return [revision, time ?? '-', by || '-', change === 'changed' ? fields.join('; ') || 'nothing' : change];
}
