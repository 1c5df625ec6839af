// SPDX-License-Identifier: Apache-2.0
/** POST, PUT and PATCH of objects. */
import { type ApiRequest, type JsonAnswer, json } from './answer.ts';
import { objectBody } from './body.ts';
import { withMetadata } from './object-meta.ts';
import { type Decoded, decode } from './objects/decode.ts';
import type { ApiObject } from './objects/object.ts';
import type { ServedResource, WriteTarget } from './objects/served-resource.ts';
import { writeOptions } from './options.ts';
import { type Serving, storedOf, viewOf } from './serving.ts';
import { badRequest, notFound } from './status.ts';
import { bear, replace, type Writing } from './writes.ts';

/** The object, or the subresource of it, that a path names. */
export interface Place {
  readonly resource: ServedResource;
  readonly namespace: string;
  /** '' for the collection. */
  readonly name: string;
  readonly target: WriteTarget;
}

export function create(serving: Serving, request: ApiRequest, place: Place): JsonAnswer {
  const options = writeOptions('CreateOptions', request);
  const { object, warnings } = decodedBody(request, place.resource, options.fieldValidation);
  // custom resources take POST at a name
  const named = place.name === '' ? object : withMetadata(object, { name: place.name });
  const stored = bear({ serving, ...place, options }, named);
  return json(201, stored, [...warnings, ...place.resource.rules.warnings(stored)]);
}

export function update(serving: Serving, request: ApiRequest, place: Place): JsonAnswer {
  const { resource, namespace, name, target } = place;
  const options = writeOptions('UpdateOptions', request);
  const { object, warnings } = decodedBody(request, resource, options.fieldValidation);
  requireSameName(object, name);
  requireSameNamespace(object, namespace);
  const writing: Writing = { serving, resource, namespace, options };
  const live = liveOf(writing, name);
  if (!live && target === 'main' && resource.rules.createOnUpdate) {
    return json(201, bear(writing, object), warnings);
  }
  if (!live) throw notFound(resource, name);
  const next = replace(writing, { live, next: object, target, isPut: true });
  return json(200, next, [...warnings, ...resource.rules.warnings(next)]);
}

export function liveOf({ serving, resource, namespace }: Writing, name: string): ApiObject | null {
  const stored = storedOf(serving, resource, namespace, name);
  return stored && viewOf(resource, stored);
}

export function decodedBody(
  request: Pick<ApiRequest, 'headers' | 'body'>,
  resource: ServedResource,
  mode: Parameters<typeof decode>[2],
): Decoded {
  const { value, duplicates } = objectBody(request, resource.kind);
  return withAnyMetadata(decode(resource, value, mode, duplicates));
}

/** What came without has none of its fields. */
export function withAnyMetadata({ object, warnings }: Decoded): Decoded {
  return { object: withMetadata(object, {}), warnings };
}

export function requireSameName({ metadata }: ApiObject, name: string): void {
  if (!metadata.name) {
    const why = name === '' ? '' : `the name of the object (${name} based on URL) was undeterminable: `;
    throw badRequest(`${why}name must be provided`);
  }
  if (metadata.name === name) return;
  throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
}

export function requireSameNamespace({ metadata }: ApiObject, namespace: string): void {
  if (!metadata.namespace || metadata.namespace === namespace) return;
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}
