// SPDX-License-Identifier: Apache-2.0
/** What is posted under an object: bindings, evictions, requests for tokens. */

import { memberAt, textAt } from '../model/json.ts';
import type { Json, JsonObject } from '../model/types.ts';
import { type ApiRequest, type JsonAnswer, json } from './answer.ts';
import { isPlainObject, objectBody } from './body.ts';
import { collectionOfResource, keyOf } from './collection.ts';
import { checkedOptions } from './delete-options.ts';
import type { Place } from './modify.ts';
import { present, timeText, withField } from './object-meta.ts';
import type { ApiError } from './objects/api-error.ts';
import { tokenRequests } from './objects/builtin/reviews.ts';
import { invalid, refusal, required } from './objects/causes.ts';
import { decode } from './objects/decode.ts';
import type { ApiObject } from './objects/object.ts';
import { writeOptions } from './options.ts';
import { removeObject } from './remove.ts';
import { type Serving, storedOf } from './serving.ts';
import { badRequest, conflict, created, notFound } from './status.ts';
import { ownAudience, type Tokens } from './tokens.ts';

export function bind(serving: Serving, request: ApiRequest, place: Place): JsonAnswer {
  const { dryRun } = writeOptions('CreateOptions', request);
  const binding = bodyOf(request, 'Binding');
  const node = textAt(binding, 'target', 'name');
  const { resource, namespace, name } = place;
  if (node === '') throw refusal({ group: '', kind: 'Binding' }, name, [required('target.name')]);
  const pod = existing(serving, place);
  const spec = pod.spec as JsonObject;
  const current = textAt(spec, 'nodeName');
  if (pod.metadata.deletionTimestamp !== undefined)
    throw conflict(ofBinding, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (current !== '') throw conflict(ofBinding, name, `pod ${name} is already assigned to node "${current}"`);
  const bound = withCondition(withField(pod, 'spec', { ...spec, nodeName: node }), { type: 'PodScheduled' });
  if (!dryRun) serving.store.put(collectionOfResource(resource), keyOf(namespace, name), bound);
  return json(201, created);
}

const ofBinding = { group: '', plural: 'pods/binding' };

function withCondition(pod: ApiObject, condition: JsonObject): ApiObject {
  const status = (pod.status ?? {}) as JsonObject;
  const others = ((status.conditions ?? []) as readonly Json[]).filter(
    (other) => textAt(other, 'type') !== condition.type,
  );
  const met = { status: 'True', lastProbeTime: null, lastTransitionTime: timeText(new Date()), ...condition };
  return withField(pod, 'status', { ...status, conditions: [...others, met] });
}

const evicted = {
  type: 'DisruptionTarget',
  reason: 'EvictionByEvictionAPI',
  message: 'Eviction API: evicting',
};

export function evict(serving: Serving, request: ApiRequest, place: Place): JsonAnswer {
  const { dryRun } = writeOptions('CreateOptions', request);
  const options = checkedOptions((bodyOf(request, 'Eviction').deleteOptions ?? {}) as JsonObject);
  const pod = existing(serving, place);
  removeObject(serving, place.resource, withCondition(pod, evicted), {
    ...options,
    dryRun: dryRun || options.dryRun,
  });
  return json(201, created);
}

const shortestToken = 600;
const defaultToken = 3600;

export function requestToken(
  serving: Serving,
  request: ApiRequest,
  place: Place,
  tokens: Tokens,
): JsonAnswer {
  const { value, duplicates } = objectBody(request, 'TokenRequest');
  const { object: body } = decode(tokenRequests, value, 'Warn', duplicates);
  const account = existing(serving, place);
  const spec = (body.spec ?? {}) as JsonObject;
  const seconds = memberAt(spec, 'expirationSeconds') ?? defaultToken;
  if (typeof seconds !== 'number' || seconds < shortestToken) throw tooShort(seconds as Json);
  const asked = (spec.audiences ?? []) as readonly string[];
  const audiences = asked.length > 0 ? asked : [ownAudience];
  const now = new Date();
  const { name, namespace = '', uid = '' } = account.metadata;
  const token = tokens.issue({ namespace, name, uid }, audiences, seconds, now);
  return json(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: present({ name, namespace, uid, creationTimestamp: timeText(now) }),
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null },
    status: { token, expirationTimestamp: timeText(new Date(now.getTime() + seconds * 1000)) },
  });
}

function tooShort(seconds: Json): ApiError {
  return refusal({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [
    invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes'),
  ]);
}

function bodyOf(request: ApiRequest, kind: string): JsonObject {
  const { value } = objectBody(request, kind);
  if (!isPlainObject(value)) throw badRequest(`cannot read ${kind}: want an object`);
  const found = value.kind ?? kind;
  if (found === kind) return value;
  throw badRequest(`cannot read ${kind}: got a body of kind ${JSON.stringify(found)}`);
}

function existing(serving: Serving, { resource, namespace, name }: Place): ApiObject {
  const found = storedOf(serving, resource, namespace, name);
  if (found) return found;
  throw notFound(resource, name);
}
