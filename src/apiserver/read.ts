// SPDX-License-Identifier: Apache-2.0
/** GET of one object and of lists, page by page. */
import type { Json, JsonObject } from '../model/types.ts';
import type { ApiRequest } from './answer.ts';
import { collectionOfResource, keyOf } from './collection.ts';
import { continueToken, readToken } from './continue-token.ts';
import type { Place } from './modify.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from './objects/selectors.ts';
import type { ServedResource } from './objects/served-resource.ts';
import { type ListOptions, listOptions, revisionOf } from './options.ts';
import { type Serving, storedOf, viewOf } from './serving.ts';
import { badRequest, notFound, tooLargeRevision } from './status.ts';

export function get(serving: Serving, request: ApiRequest, place: Place): ApiObject {
  requireKnownRevision(serving, request.query.get('resourceVersion') ?? '');
  const stored = storedOf(serving, place.resource, place.namespace, place.name);
  if (!stored) throw notFound(place.resource, place.name);
  return viewOf(place.resource, stored);
}

/** @throws {ApiError} 500 for what is no number, 504 for one that is not reached yet */
export function requireKnownRevision({ store }: Serving, text: string): void {
  const revision = revisionOf(text);
  if (revision === null) throw unreadableRevision(text);
  if (revision > store.revision) throw tooLargeRevision(text, store.revision);
}

export function unreadableRevision(text: string): ApiError {
  const quoted = JSON.stringify(text);
  const message = `resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`;
  return new ApiError(500, undefined, message);
}

/** What a list shows of each object that is there. */
export type Selection = (object: ApiObject) => boolean;

/** @throws {ApiError} 400 */
export function selectionOf(
  resource: ServedResource,
  { labelSelector, fieldSelector }: Pick<ListOptions, 'labelSelector' | 'fieldSelector'>,
): Selection | null {
  if (labelSelector === '' && fieldSelector === '') return null;
  const labels = parseLabelSelector(labelSelector);
  const fields = parseFieldSelector(fieldSelector, resource);
  return (object) => matchesLabels(labels, object.metadata.labels) && matchesFields(fields, resource, object);
}

export interface Listed {
  readonly items: readonly ApiObject[];
  readonly metadata: JsonObject;
}

export function list(serving: Serving, request: ApiRequest, place: Place): Listed {
  const options = listOptions(request.query, false);
  const selection = selectionOf(place.resource, options);
  const page = pageOf(serving, options);
  const named = namedItems(serving, place, page.revision);
  const all = named.map((stored) => viewOf(place.resource, stored));
  const after = page.start === '' ? all : all.filter((object) => startOf(place, object) > page.start);
  const chosen = selection ? after.filter(selection) : after;
  const items = page.limit === 0 ? chosen : chosen.slice(0, page.limit);
  const left = chosen.length - items.length;
  const last = items.at(-1);
  const revision = page.revision ?? serving.store.revision;
  return {
    items,
    metadata: {
      resourceVersion: String(revision),
      ...(place.resource.custom ? { continue: '' } : {}),
      ...(left > 0 && last ? { continue: continueToken(page.tokenRevision, startOf(place, last)) } : {}),
      ...(left > 0 && !selection ? { remainingItemCount: left } : {}),
    },
  };
}

function namedItems({ store }: Serving, place: Place, revision: number | null): readonly ApiObject[] {
  const collection = collectionOfResource(place.resource);
  return revision === null || revision === store.revision
    ? store.list(collection, place.namespace)
    : store.listAt(collection, place.namespace, revision);
}

function startOf({ resource }: Place, { metadata }: ApiObject): string {
  return keyOf(resource.namespaced ? (metadata.namespace ?? '') : '', metadata.name);
}

interface Page {
  /** null: the present one. */
  readonly revision: number | null;
  /** That the next page's token names; -1: whatever is present then. */
  readonly tokenRevision: number;
  /** What comes after this key; '' for all. */
  readonly start: string;
  readonly limit: number;
}

function pageOf({ store }: Serving, options: ListOptions): Page {
  const { resourceVersion, limit } = options;
  if (options.continue !== '') return continuedPage(store, options);
  const revision = revisionOf(resourceVersion);
  if (revision === null) {
    const quoted = JSON.stringify(resourceVersion);
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`,
    );
  }
  if (revision > store.revision) throw tooLargeRevision(resourceVersion, store.revision);
  if (options.resourceVersionMatch === 'Exact') {
    if (revision < store.compactedRevision)
      throw new ApiError(410, 'Expired', 'The resourceVersion for the provided list is too old.');
    return { revision, tokenRevision: revision, start: '', limit };
  }
  // a list from memory is whole
  const whole = resourceVersion === '0';
  return { revision: null, tokenRevision: store.revision, start: '', limit: whole ? 0 : limit };
}

function continuedPage(store: Serving['store'], options: ListOptions): Page {
  // a list from memory is whole
  const limit = options.resourceVersion === '0' ? 0 : options.limit;
  if (!['', '0'].includes(options.resourceVersion))
    throw badRequest('specifying resource version is not allowed when using continue');
  const { revision, start } = readToken(options.continue);
  if (revision < 0) return { revision: null, tokenRevision: store.revision, start, limit };
  if (revision < store.compactedRevision) throw expiredToken(start);
  return { revision, tokenRevision: revision, start, limit };
}

function expiredToken(start: string): ApiError {
  const message = `The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.`;
  return new ApiError(410, 'Expired', message, undefined, { continue: continueToken(-1, start) });
}

/** Items of built-in kinds carry no type of their own. */
export function listObject(resource: ServedResource, { items, metadata }: Listed): JsonObject {
  return {
    kind: resource.listKind,
    apiVersion: apiVersionOf(resource),
    metadata,
    items: resource.custom ? items : items.map(withoutType),
  };
}

export function apiVersionOf({ group, version }: Pick<ServedResource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

function withoutType({ apiVersion: _, kind: __, ...object }: ApiObject): Json {
  return object as JsonObject;
}
