// SPDX-License-Identifier: Apache-2.0
/**
 * The one way of objects into the store: born, changed, gone. Rules of the kind come from objects/, what all kinds share
 * is here (k8s.io/apiserver/pkg/registry/rest, BeforeCreate and BeforeUpdate).
 */
import type { JsonObject } from '../model/types.ts';
import { collectionOf, collectionOfResource, keyOf } from './collection.ts';
import { present, sameJson, timeText, withMetadata } from './object-meta.ts';
import { ApiError, type Cause } from './objects/api-error.ts';
import { recordManager } from './objects/apply.ts';
import { invalid, forbidden as notAllowed, refusal } from './objects/causes.ts';
import type { ApiObject } from './objects/object.ts';
import type { ServedResource, WriteTarget } from './objects/served-resource.ts';
import type { WriteOptions } from './options.ts';
import { revisionOf } from './options.ts';
import { contextOf, type Serving, storedForm, storedOf, viewOf } from './serving.ts';
import { alreadyExists, badRequest, conflict, forbidden, modifiedMeanwhile, notFound } from './status.ts';

export interface Writing {
  readonly serving: Serving;
  readonly resource: ServedResource;
  /** '' for what is in none. */
  readonly namespace: string;
  readonly options: WriteOptions;
}

const randomPartOfName = 5;
const longestGeneratedBase = 63 - randomPartOfName;

// ---- birth -----------------------------------------------------------------------------------------------------------

/**
 * @param applied - its managedFields are there already
 * @throws {ApiError} 400, 403, 404, 409, 422
 */
export function bear(writing: Writing, object: ApiObject, applied = false): ApiObject {
  const { serving, resource, namespace, options } = writing;
  requireNamespaceOf(object, namespace);
  const context = contextOf(serving);
  const named = generatedName(object, context.newSuffix);
  requireLivingNamespace(writing, named.metadata.name ?? '');
  const newborn = withMetadata(named, {
    namespace: namespace === '' ? undefined : namespace,
    uid: context.newUid(),
    creationTimestamp: timeText(context.now),
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
    selfLink: undefined,
    resourceVersion: undefined,
  });
  const filled = resource.rules.fillIn(newborn);
  const managed = applied ? filled : withManager(writing, null, filled, 'main');
  const prepared = resource.rules.prepareForCreate(managed, context);
  refuse(resource, prepared, resource.rules.validateCreate(prepared, context));
  if (!isUnset(object.metadata.resourceVersion))
    throw new ApiError(500, undefined, 'resourceVersion should not be set on objects to be created');
  requireAbsent(writing, prepared.metadata.name);
  if (options.dryRun) return prepared;
  return serving.store.put(
    collectionOfResource(resource),
    keyOf(namespace, prepared.metadata.name),
    prepared,
  );
}

function generatedName(object: ApiObject, newSuffix: (length: number) => string): ApiObject {
  const { name, generateName } = object.metadata;
  if (name || !generateName) return object;
  return withMetadata(object, {
    name: generateName.slice(0, longestGeneratedBase) + newSuffix(randomPartOfName),
  });
}

function requireNamespaceOf({ metadata }: ApiObject, namespace: string): void {
  if (!metadata.namespace || metadata.namespace === namespace) return;
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** The admission of NamespaceLifecycle. */
function requireLivingNamespace({ serving, resource, namespace }: Writing, name: string): void {
  if (namespace === '') return;
  const found = serving.store.get(collectionOf('', 'namespaces'), namespace);
  if (!found) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (found.metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const message = `namespace ${namespace} is being terminated`;
  throw forbidden(resource, name, why, [
    { reason: 'NamespaceTerminating', message, field: 'metadata.namespace' },
  ]);
}

function requireAbsent({ serving, resource, namespace }: Writing, name: string): void {
  const found = storedOf(serving, resource, namespace, name);
  if (!found) return;
  const leaving = found.metadata.deletionTimestamp !== undefined;
  throw alreadyExists(resource, name, leaving ? 'object is being deleted: ' : '');
}

// ---- change ----------------------------------------------------------------------------------------------------------

export interface Replacement {
  readonly live: ApiObject;
  readonly next: ApiObject;
  readonly target: WriteTarget;
  /** Its managedFields are there already. */
  readonly applied?: boolean;
  /** PUT asks for more than a patch. */
  readonly isPut?: boolean;
}

/** @returns the object as it is now. @throws {ApiError} 404, 409, 422, 500 */
export function replace(writing: Writing, replacement: Replacement): ApiObject {
  const { serving, resource, namespace, options } = writing;
  const { live, target } = replacement;
  requireRevision(resource, replacement);
  const context = contextOf(serving);
  const kept = keepIdentity(replacement.next, live);
  const prepared = resource.rules.prepareForUpdate(resource.rules.fillIn(kept), live, target, context);
  refuse(resource, prepared, [
    ...newFinalizers(prepared, live),
    ...resource.rules.validateUpdate(prepared, live, target, context),
  ]);
  const managed = replacement.applied ? prepared : withManager(writing, live, prepared, target);
  const next = withOldTimes(live, managed);
  if (sameJson(next, live) || options.dryRun) return next;
  const collection = collectionOfResource(resource);
  const key = keyOf(namespace, live.metadata.name);
  if (!isFinished(next)) {
    return viewOf(resource, serving.store.put(collection, key, storedForm(resource, next)));
  }
  serving.store.delete(collection, key);
  return next;
}

function requireRevision(resource: ServedResource, { live, next, isPut }: Replacement): void {
  const { name, resourceVersion: current } = live.metadata;
  const { resourceVersion: given, uid } = next.metadata;
  if (isUnset(given)) {
    if (isPut && !resource.rules.unconditionalUpdate) throw unconditionalRefused(resource, name);
  } else if (revisionOf(given ?? '') === null) {
    throw new ApiError(500, undefined, `strconv.ParseUint: parsing ${JSON.stringify(given)}: invalid syntax`);
  } else if (given !== current) throw conflict(resource, name, modifiedMeanwhile);
  if (uid && uid !== live.metadata.uid) {
    if (!isPut) throw refusal(resource, name, [invalid('metadata.uid', uid, 'field is immutable')]);
    const found = `UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid}`;
    throw conflict(resource, name, `Precondition failed: ${found}`);
  }
}

function unconditionalRefused(resource: ServedResource, name: string): ApiError {
  // of the plural, where other refusals name the kind
  const { group, plural: kind } = resource;
  const cause = invalid('metadata.resourceVersion', 0, 'must be specified for an update');
  return refusal({ group, kind }, name, [cause]);
}

/** What a client cannot change. */
function keepIdentity(next: ApiObject, { metadata }: ApiObject): ApiObject {
  return withMetadata(next, {
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    creationTimestamp: metadata.creationTimestamp,
    deletionTimestamp: metadata.deletionTimestamp,
    deletionGracePeriodSeconds: metadata.deletionGracePeriodSeconds,
    generation: metadata.generation,
    resourceVersion: metadata.resourceVersion,
    selfLink: undefined,
  });
}

/** What is being deleted is waited for by those that waited already, and by nobody else. */
function newFinalizers({ metadata }: ApiObject, live: ApiObject): readonly Cause[] {
  if (metadata.deletionTimestamp === undefined) return [];
  const before = live.metadata.finalizers ?? [];
  const added = (metadata.finalizers ?? []).filter((name) => !before.includes(name));
  if (added.length === 0) return [];
  const list = added.map((name) => JSON.stringify(name)).join(', ');
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
  return [notAllowed('metadata.finalizers', why)];
}

/** Nobody waits for it any more. */
function isFinished({ metadata, ...object }: ApiObject): boolean {
  if (metadata.deletionTimestamp === undefined || metadata.finalizers?.length) return false;
  if (object.kind !== 'Namespace') return metadata.deletionGracePeriodSeconds === 0;
  const spec = (object as JsonObject).spec as JsonObject | undefined;
  return ((spec?.finalizers as readonly string[] | undefined) ?? []).length === 0;
}

/** A write that changes nothing but the times of its managers changes nothing. */
function withOldTimes(live: ApiObject, next: ApiObject): ApiObject {
  const { managedFields: before } = live.metadata;
  const { managedFields: after } = next.metadata;
  if (!before || !after || !sameJson(before.map(withoutTime), after.map(withoutTime))) return next;
  const kept = withMetadata(next, { managedFields: before });
  return sameJson(kept, live) ? kept : next;
}

function withoutTime(entry: unknown): JsonObject {
  return present({ ...(entry as JsonObject), time: undefined });
}

// ---- both ------------------------------------------------------------------------------------------------------------

function withManager(
  { resource, options }: Writing,
  before: ApiObject | null,
  after: ApiObject,
  target: WriteTarget,
): ApiObject {
  return recordManager({
    resource,
    before,
    after,
    manager: options.fieldManager,
    operation: 'Update',
    now: new Date(),
    subresource: target === 'main' ? '' : target,
  });
}

function refuse(resource: ServedResource, object: ApiObject, causes: readonly Cause[]): void {
  if (causes.length > 0) throw refusal(resource, object.metadata.name ?? '', causes);
}

export function isUnset(revision: string | undefined): boolean {
  return revision === undefined || revision === '' || revision === '0';
}
