// SPDX-License-Identifier: Apache-2.0
/** PATCH, of all four kinds. */
import type { Json } from '../model/types.ts';
import { type ApiRequest, type JsonAnswer, json } from './answer.ts';
import { isPlainObject, syntaxChecked } from './body.ts';
import { clauseOf } from './media.ts';
import { liveOf, type Place, requireSameName, withAnyMetadata } from './modify.ts';
import { ApiError } from './objects/api-error.ts';
import { serverSideApply } from './objects/apply.ts';
import { invalid, refusal } from './objects/causes.ts';
import { type Decoded, decode, duplicateFields, type FieldValidation } from './objects/decode.ts';
import type { ApiObject } from './objects/object.ts';
import { jsonPatch, mergePatch, strategicMergePatch } from './objects/patch.ts';
import type { ServedResource } from './objects/served-resource.ts';
import { type ApplyOptions, patchOptions } from './options.ts';
import type { Serving } from './serving.ts';
import { badRequest, notFound } from './status.ts';
import { bear, replace, type Writing } from './writes.ts';
import { parseYaml } from './yaml-text.ts';

const types = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
} as const;

type PatchType = (typeof types)[keyof typeof types];

export function patch(serving: Serving, request: ApiRequest, place: Place): JsonAnswer {
  const type = typeOf(request.headers['content-type'] ?? '', place.resource);
  const options = patchOptions(request, type === 'apply');
  const { resource, namespace } = place;
  const writing: Writing = { serving, resource, namespace, options };
  if (type === 'apply') return apply(writing, options, request, place);
  const change = patchBody(request.body.toString('utf8'));
  if (type === 'json' && !Array.isArray(change))
    throw badRequest('error decoding patch: want a list of operations, got something else');
  const live = liveOf(writing, place.name);
  if (!live) throw notFound(resource, place.name);
  const { object, warnings } = decodedPatch(resource, patched(type, resource, live, change), options);
  requireSameName(object, place.name);
  const next = replace(writing, { live, next: object, target: place.target });
  return json(200, next, [...warnings, ...resource.rules.warnings(next)]);
}

/** @throws {ApiError} 415 */
function typeOf(contentType: string, resource: ServedResource): PatchType {
  const { type } = clauseOf(contentType);
  const found = Object.hasOwn(types, type) ? types[type as keyof typeof types] : null;
  if (found && !(resource.custom && found === 'strategic')) return found;
  const accepted = Object.keys(types).filter(
    (name) => !resource.custom || types[name as keyof typeof types] !== 'strategic',
  );
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  throw new ApiError(415, 'UnsupportedMediaType', message);
}

function patchBody(text: string): Json {
  try {
    return duplicateFields(text).value;
  } catch (error) {
    if (error instanceof SyntaxError) throw badRequest(`error decoding patch: ${error.message}`);
    throw error;
  }
}

function patched(
  type: Exclude<PatchType, 'apply'>,
  resource: ServedResource,
  live: ApiObject,
  change: Json,
): ApiObject {
  switch (type) {
    case 'json':
      return jsonPatch(live, change);
    case 'merge':
      return mergePatch(live, change);
    case 'strategic':
      return strategicMergePatch(resource, live, change);
  }
}

/** What a patch makes is refused as a fault of the patch. @throws {ApiError} 422 */
function decodedPatch(
  resource: ServedResource,
  made: ApiObject,
  { fieldValidation }: { readonly fieldValidation: FieldValidation },
): Decoded {
  try {
    return withAnyMetadata(decode(resource, made, fieldValidation));
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error;
    throw refusal({ group: '', kind: '' }, '', [invalid('patch', made, error.message)]);
  }
}

function apply(writing: Writing, options: ApplyOptions, request: ApiRequest, place: Place): JsonAnswer {
  const { resource } = writing;
  const applied = syntaxChecked(() => parseYaml(request.body.toString('utf8')), 'error decoding YAML');
  if (!isPlainObject(applied)) throw badRequest('error decoding YAML: want an object');
  const live = liveOf(writing, place.name);
  if (!live && place.target !== 'main') throw notFound(resource, place.name);
  const subresource = place.target === 'main' ? '' : place.target;
  const { fieldManager: manager, force } = options;
  const made = serverSideApply({ resource, live, applied, manager, force, now: new Date(), subresource });
  const { object, warnings } = withAnyMetadata(decode(resource, made, options.fieldValidation));
  requireSameName(object, place.name);
  const status = live ? 200 : 201;
  const stored = live
    ? replace(writing, { live, next: object, target: place.target, applied: true })
    : bear(writing, object, true);
  return json(status, stored, [...warnings, ...resource.rules.warnings(stored)]);
}
