// SPDX-License-Identifier: Apache-2.0
/**
 * Lists of one kind: streamed where the server can (watch-list, KEP-3157), page by page where it cannot.
 *
 * @see Kubernetes documentation, "API concepts": streaming lists, retrieving large results sets in chunks
 */
import type { Stored } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { RevisionGoneError, UnavailableError } from '../../lib/errors.ts';
import { isObject, memberAt, textAt } from '../../model/json.ts';
import type { ApiAnswer, Connection } from './connection.ts';
import { storedOf } from './object.ts';
import { refusalOf, refusalOfStatus } from './refusal.ts';
import { collectionPath, type ServedKind } from './served-kinds.ts';

export interface KindList {
  readonly items: readonly Stored[];
  readonly revision: Revision;
}

interface Page {
  readonly objects: readonly unknown[];
  readonly revision: string;
  readonly continue: string;
}

const pageSize = 500;
/** A list may expire under its reader once, and twice; not for ever. */
const attempts = 3;

/** Metadata alone: an index of large objects stays small. */
export const metadataOnly =
  'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';

export interface ListOptions {
  readonly namespace?: string;
  readonly accept?: string;
}

/** Of the collection, as it is now. @throws {UnavailableError} {ForbiddenError} */
export async function pagedList(
  connection: Connection,
  served: ServedKind,
  options: ListOptions = {},
): Promise<KindList> {
  const path = collectionPath(served, options.namespace);
  for (let attempt = 1; ; attempt++) {
    try {
      return await allPages(connection, served, path, options.accept);
    } catch (error) {
      if (!(error instanceof RevisionGoneError) || attempt === attempts) throw error;
    }
  }
}

async function allPages(
  connection: Connection,
  served: ServedKind,
  path: string,
  accept: string | undefined,
): Promise<KindList> {
  const items: Stored[] = [];
  for (let token = ''; ; ) {
    const query = new URLSearchParams({
      limit: String(pageSize),
      ...(token === '' ? {} : { continue: token }),
    });
    const page = await onePage(connection, `${path}?${query}`, accept);
    for (const object of page.objects) items.push(readable(served, object));
    token = page.continue;
    if (token === '') return { items, revision: page.revision as Revision };
  }
}

/** Where the store stands, as a list of that kind tells it. */
export async function revisionOf(connection: Connection, served: ServedKind): Promise<bigint> {
  const page = await onePage(connection, `${collectionPath(served)}?limit=1`, metadataOnly);
  return BigInt(page.revision);
}

async function onePage(connection: Connection, path: string, accept: string | undefined): Promise<Page> {
  const answer = await connection.send({ method: 'GET', path, ...(accept === undefined ? {} : { accept }) });
  if (answer.status !== 200) throw refusalOf(`cannot list ${path.split('?')[0]}`, answer);
  return pageOf(path.split('?')[0] ?? '', parsedAnswer(answer));
}

/** Go writes an empty list as null. What has neither items nor a revision is not an empty list, but none. */
function pageOf(path: string, list: unknown): Page {
  const revision = textAt(list, 'metadata', 'resourceVersion');
  const items = isObject(list) && Object.hasOwn(list, 'items') ? (list.items ?? []) : null;
  if (!Array.isArray(items) || !/^\d+$/.test(revision))
    throw new UnavailableError(
      `cannot list ${path}: got an answer that is no list, want items and a revision`,
    );
  return { objects: items, revision, continue: textAt(list, 'metadata', 'continue') };
}

/** Left out it would count as deleted: better no list than a wrong one. */
function readable(served: ServedKind, object: unknown): Stored {
  const stored = storedOf(served, object);
  if (stored && /^\d+$/.test(stored.revision)) return stored;
  throw new UnavailableError(`cannot list ${served.plural}: got an object without name or revision`);
}

/** @returns why there is none: the server has no watch-list, or did not finish this one. @throws as pagedList. */
export async function streamedList(
  connection: Connection,
  served: ServedKind,
): Promise<KindList | 'unsupported' | 'unfinished'> {
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const still = new AbortController();
  const timer = setTimeout(() => still.abort(), connection.patienceMs);
  const items: Stored[] = [];
  try {
    for await (const lines of connection.lines(`${collectionPath(served)}?${query}`, still.signal)) {
      timer.refresh();
      if (!isLines(lines)) return refusedStream(lines, served);
      const revision = takeLines(served, lines, items);
      if (revision !== null) return { items, revision };
    }
  } finally {
    clearTimeout(timer);
  }
  return 'unfinished'; // by an old server, that takes it for an ordinary watch; by one that restarts, or stands still
}

/** @returns the revision of the list where it ends. */
function takeLines(served: ServedKind, lines: readonly string[], items: Stored[]): Revision | null {
  for (const line of lines) {
    const { type, object } = eventOf(line);
    if (type === 'ERROR')
      throw refusalOfStatus(`cannot list ${served.plural}`, isObject(object) ? object : {});
    if (isEndOfList(type, object)) return endOf(served, object);
    if (type !== 'BOOKMARK') items.push(readable(served, object));
  }
  return null;
}

function endOf(served: ServedKind, bookmark: unknown): Revision {
  const revision = textAt(bookmark, 'metadata', 'resourceVersion');
  if (/^\d+$/.test(revision)) return revision as Revision;
  throw new UnavailableError(`cannot list ${served.plural}: got the end of a list without a revision`);
}

export function isLines(answer: ApiAnswer | readonly string[]): answer is readonly string[] {
  return Array.isArray(answer);
}

/** Older servers call the parameters unknown or forbidden. */
function refusedStream(answer: ApiAnswer, served: ServedKind): 'unsupported' {
  if ([400, 422].includes(answer.status)) return 'unsupported';
  throw refusalOf(`cannot list ${served.plural}`, answer);
}

function isEndOfList(type: string, object: unknown): boolean {
  const mark = memberAt(object, 'metadata', 'annotations', 'k8s.io/initial-events-end');
  return type === 'BOOKMARK' && mark === 'true';
}

export interface RawEvent {
  /** ADDED, MODIFIED, DELETED, BOOKMARK, ERROR; '' for what is no event. */
  readonly type: string;
  readonly object: unknown;
}

export function eventOf(line: string): RawEvent {
  try {
    const event: unknown = JSON.parse(line);
    return { type: textAt(event, 'type'), object: memberAt(event, 'object') };
  } catch {
    return { type: '', object: null };
  }
}

export function parsedAnswer({ text }: ApiAnswer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnavailableError('got an answer that is no JSON, want a list');
  }
}
