// SPDX-License-Identifier: Apache-2.0
/**
 * DELETE: at once, after a time of grace, or when the last finalizer is gone
 * (k8s.io/apiserver/pkg/registry/rest/delete.go, BeforeDelete).
 */
import type { Json, JsonObject } from '../model/types.ts';
import { type ApiRequest, type JsonAnswer, json } from './answer.ts';
import { collectionOfResource, keyOf } from './collection.ts';
import { type DeleteOptions, deleteOptions } from './delete-options.ts';
import type { Place } from './modify.ts';
import { timeText, withField, withMetadata } from './object-meta.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import type { ServedResource } from './objects/served-resource.ts';
import { list, listObject } from './read.ts';
import { type Serving, storedOf, viewOf } from './serving.ts';
import { forbidden, notFound, success } from './status.ts';

export function remove(serving: Serving, request: ApiRequest, place: Place): JsonAnswer {
  const { resource, namespace, name } = place;
  const options = deleteOptions(request);
  const stored = storedOf(serving, resource, namespace, name);
  if (!stored) throw notFound(resource, name);
  const { object, isGone } = removeObject(serving, resource, stored, options);
  if (!isGone || resource.rules.deleteAnswers === 'object' || isGraceful(resource))
    return json(200, viewOf(resource, object));
  const { group, plural } = resource;
  return json(200, success({ name, group, kind: plural, uid: stored.metadata.uid ?? '' }));
}

/** Answers with the list as it was. */
export function removeCollection(serving: Serving, request: ApiRequest, place: Place): JsonObject {
  const { resource, namespace } = place;
  const options = deleteOptions(request);
  const listed = list(serving, request, place);
  for (const { metadata } of listed.items) {
    const stored = storedOf(serving, resource, metadata.namespace ?? namespace, metadata.name);
    if (stored) removeObject(serving, resource, stored, options);
  }
  return listObject(resource, listed);
}

export interface Removal {
  /** As it is now, or was last. */
  readonly object: ApiObject;
  readonly isGone: boolean;
}

/** @throws {ApiError} 403, 409 */
export function removeObject(
  serving: Serving,
  resource: ServedResource,
  stored: ApiObject,
  options: DeleteOptions,
): Removal {
  requirePreconditions(resource, stored, options);
  const leaving = leavingObject(resource, stored, options);
  const gone = isOver(resource, leaving);
  if (options.dryRun) return { object: leaving, isGone: gone };
  const collection = collectionOfResource(resource);
  const key = keyOf(resource.namespaced ? (stored.metadata.namespace ?? '') : '', stored.metadata.name);
  const written = leaving === stored ? stored : serving.store.put(collection, key, leaving);
  if (!gone) return { object: written, isGone: false };
  return { object: serving.store.delete(collection, key) ?? written, isGone: true };
}

function requirePreconditions(
  resource: ServedResource,
  { metadata }: ApiObject,
  options: DeleteOptions,
): void {
  const { uid, resourceVersion } = options;
  if (uid !== null && uid !== metadata.uid) {
    throw preconditionFailed(resource, metadata.name, 'UID', uid, metadata.uid ?? '');
  }
  if (resourceVersion !== null && resourceVersion !== metadata.resourceVersion) {
    const current = metadata.resourceVersion ?? '';
    throw preconditionFailed(resource, metadata.name, 'ResourceVersion', resourceVersion, current);
  }
}

/** Of the kind, where other conflicts name the plural. */
function preconditionFailed(
  { group, kind }: ServedResource,
  name: string,
  what: string,
  wanted: string,
  found: string,
): ApiError {
  const qualified = group === '' ? kind : `${kind}.${group}`;
  const message = `Operation cannot be fulfilled on ${qualified} "${name}": the ${what} in the precondition (${wanted}) does not match the ${what} in record (${found}). The object might have been modified, or deleted and then recreated`;
  return new ApiError(409, 'Conflict', message, { name, group, kind });
}

function leavingObject(resource: ServedResource, stored: ApiObject, options: DeleteOptions): ApiObject {
  if (resource.group === '' && resource.kind === 'Namespace') return leavingNamespace(resource, stored);
  if (resource.kind === 'CustomResourceDefinition') return leavingDefinition(stored);
  if (isGraceful(resource)) return leavingGracefully(resource, stored, options);
  const finalizers = finalizersOf(stored, options);
  if (finalizers.length === 0) return stored;
  const isNew = stored.metadata.deletionTimestamp === undefined;
  const marked = isNew ? markedForDeletion(stored, 0, new Date()) : stored;
  const before = stored.metadata.finalizers ?? [];
  const same = finalizers.length === before.length && finalizers.every((name) => before.includes(name));
  return same ? marked : withMetadata(marked, { finalizers });
}

function isGraceful({ group, plural }: ServedResource): boolean {
  return group === '' && plural === 'pods';
}

function isOver(resource: ServedResource, leaving: ApiObject): boolean {
  if (resource.group === '' && resource.kind === 'Namespace')
    return finalizersOfNamespace(leaving).length === 0;
  if (leaving.metadata.finalizers?.length) return false;
  return !isGraceful(resource) || leaving.metadata.deletionGracePeriodSeconds === 0;
}

function markedForDeletion(object: ApiObject, grace: number, now: Date): ApiObject {
  const { generation } = object.metadata;
  return withMetadata(object, {
    deletionTimestamp: timeText(new Date(now.getTime() + grace * 1000)),
    deletionGracePeriodSeconds: grace,
    generation: generation === undefined ? undefined : generation + 1,
  });
}

function leavingGracefully(resource: ServedResource, stored: ApiObject, options: DeleteOptions): ApiObject {
  const own = resource.rules.gracePeriodSeconds(stored);
  const wanted = options.gracePeriodSeconds;
  const grace = own === 0 ? 0 : Math.max(wanted ?? own, wanted !== null && wanted < 0 ? 1 : 0);
  const finalizers = finalizersOf(stored, options);
  const named = finalizers.length === 0 ? stored : withMetadata(stored, { finalizers });
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = stored.metadata;
  if (deletionTimestamp === undefined) return markedForDeletion(named, grace, new Date());
  if (wanted === null || deletionGracePeriodSeconds <= grace) return stored;
  const shortened = Date.parse(deletionTimestamp) + (grace - deletionGracePeriodSeconds) * 1000;
  return withMetadata(stored, {
    deletionTimestamp: timeText(new Date(shortened)),
    deletionGracePeriodSeconds: grace,
  });
}

const ofCollectors = ['orphan', 'foregroundDeletion'];

/** Those that wait, with the one that asks the garbage collector for what the policy says. */
function finalizersOf({ metadata }: ApiObject, { propagationPolicy }: DeleteOptions): readonly string[] {
  const before = metadata.finalizers ?? [];
  if (propagationPolicy === null) return before;
  const others = before.filter((name) => !ofCollectors.includes(name));
  if (propagationPolicy === 'Orphan') return [...others, 'orphan'];
  return propagationPolicy === 'Foreground' ? [...others, 'foregroundDeletion'] : others;
}

// ---- kinds that end in ways of their own -----------------------------------------------------------------------------

const immortal = ['default', 'kube-system', 'kube-public'];

function finalizersOfNamespace(namespace: ApiObject): readonly string[] {
  const spec = namespace.spec as JsonObject | undefined;
  return (spec?.finalizers as readonly string[] | undefined) ?? [];
}

function leavingNamespace(resource: ServedResource, stored: ApiObject): ApiObject {
  if (immortal.includes(stored.metadata.name))
    throw forbidden(resource, stored.metadata.name, 'this namespace may not be deleted');
  if (stored.metadata.deletionTimestamp !== undefined) return stored;
  const marked = withMetadata(stored, { deletionTimestamp: timeText(new Date()) });
  return withField(marked, 'status', { ...(stored.status as JsonObject), phase: 'Terminating' });
}

/** Its objects go first. */
export const definitionFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

function leavingDefinition(stored: ApiObject): ApiObject {
  if (stored.metadata.deletionTimestamp !== undefined) return stored;
  const now = timeText(new Date());
  const others = (stored.metadata.finalizers ?? []).filter((name) => name !== definitionFinalizer);
  const marked = withMetadata(stored, {
    deletionTimestamp: now,
    finalizers: [...others, definitionFinalizer],
  });
  const condition = {
    type: 'Terminating',
    status: 'True',
    lastTransitionTime: now,
    reason: 'InstanceDeletionPending',
    message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
  };
  const status = (stored.status ?? {}) as JsonObject;
  const conditions = [...((status.conditions ?? []) as readonly Json[]), condition];
  return withField(marked, 'status', { ...status, conditions });
}
