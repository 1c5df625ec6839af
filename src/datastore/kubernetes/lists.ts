// SPDX-License-Identifier: Apache-2.0
/**
 * Lists of one kind: streamed where the server can (watch-list, KEP-3157), page by page where it cannot.
 *
 * @see Kubernetes documentation, "API concepts": streaming lists, retrieving large results sets in chunks
 */
import type { Stored } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { RevisionGoneError, UnavailableError } from '../../lib/errors.ts';
import { isObject, listAt, memberAt, textAt } from '../../model/json.ts';
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

/** Of the collection, as it is now. @throws {UnavailableError} {ForbiddenError} */
export async function pagedList(
  connection: Connection,
  served: ServedKind,
  namespace?: string,
  accept?: string,
): Promise<KindList> {
  const path = collectionPath(served, namespace);
  for (let attempt = 1; ; attempt++) {
    try {
      return await allPages(connection, served, path, accept);
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
    items.push(...page.objects.flatMap((object) => storedOf(served, object) ?? []));
    token = page.continue;
    if (token === '') return { items, revision: page.revision as Revision };
  }
}

/** Where the store stands, as a list of that kind tells it. */
export async function revisionOf(connection: Connection, served: ServedKind): Promise<bigint> {
  const page = await onePage(connection, `${collectionPath(served)}?limit=1`, metadataOnly);
  if (!/^\d+$/.test(page.revision))
    throw new UnavailableError(
      `list of ${served.plural}: got revision ${JSON.stringify(page.revision)}, want a number`,
    );
  return BigInt(page.revision);
}

async function onePage(connection: Connection, path: string, accept: string | undefined): Promise<Page> {
  const answer = await connection.send({ method: 'GET', path, ...(accept === undefined ? {} : { accept }) });
  if (answer.status !== 200) throw refusalOf(`cannot list ${path.split('?')[0]}`, answer);
  const list = parsedAnswer(answer);
  return {
    objects: listAt(list, 'items'),
    revision: textAt(list, 'metadata', 'resourceVersion'),
    continue: textAt(list, 'metadata', 'continue'),
  };
}

/** @returns null where the server has no watch-list. @throws as pagedList. */
export async function streamedList(
  connection: Connection,
  served: ServedKind,
  signal: AbortSignal,
): Promise<KindList | null> {
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const items: Stored[] = [];
  for await (const lines of connection.lines(`${collectionPath(served)}?${query}`, signal)) {
    if (!isLines(lines)) return refusedStream(lines, served);
    for (const line of lines) {
      const { type, object } = eventOf(line);
      if (type === 'ERROR')
        throw refusalOfStatus(`cannot list ${served.plural}`, isObject(object) ? object : {});
      if (isEndOfList(type, object))
        return { items, revision: textAt(object, 'metadata', 'resourceVersion') as Revision };
      if (type !== 'BOOKMARK') items.push(...[storedOf(served, object)].filter((each) => each !== null));
    }
  }
  return null; // a server that takes it for an ordinary watch ends it without the mark
}

export function isLines(answer: ApiAnswer | readonly string[]): answer is readonly string[] {
  return Array.isArray(answer);
}

/** Older servers call the parameters unknown or forbidden. */
function refusedStream(answer: ApiAnswer, served: ServedKind): null {
  if ([400, 422].includes(answer.status)) return null;
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

function parsedAnswer({ text }: ApiAnswer): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnavailableError(
      `got an answer that is no JSON, want a list: ${error instanceof Error ? error.message.slice(0, 80) : ''}`,
    );
  }
}
