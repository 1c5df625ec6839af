// SPDX-License-Identifier: Apache-2.0
/**
 * From the JSON of a request to an object of its kind.
 *
 * Owns:       what is read and what is told of fields that the kind does not have, or that stand twice.
 * Gives out:  decode for bodies, decodePatched for what a patch made of an object, duplicateFields for texts.
 * Invariants: texts of warnings are those of a real server: clients read them. Built-in objects come out as Go structs
 *             write them (typed.ts), custom ones pruned by their schema (prune.ts).
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import { refusal } from './causes.ts';
import { isMap, memberOf, textAt, withMember } from './json.ts';
import { type ReadText, readJson } from './json-text.ts';
import { checkNesting } from './nesting.ts';
import type { ApiObject } from './object.ts';
import { objectMeta } from './object-meta.ts';
import { pruned } from './prune.ts';
import type { ServedResource } from './served-resource.ts';
import { typedObject, Untypable } from './typed.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  readonly object: ApiObject;
  /** Texts for Warning headers, without the quotes. */
  readonly warnings: readonly string[];
}

/**
 * @param duplicates - as duplicateFields gives them.
 * @throws {ApiError} 400 under Strict and for what is no such object at all; 422 for a custom object of another kind
 */
export function decode(
  resource: ServedResource,
  body: Json,
  mode: FieldValidation,
  duplicates: readonly string[] = [],
): Decoded {
  if (!isMap(body)) throw unrecognized(resource, body);
  checkNesting(body);
  if (resource.custom) checkCustomType(resource, body);
  else checkType(resource, body);
  const faults = duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`);
  const object = read(resource, body, (path) => faults.push(`unknown field ${JSON.stringify(path)}`));
  if (mode === 'Strict' && faults.length > 0)
    throw unfit(resource, resource.version, `strict decoding error: ${faults.join(', ')}`);
  return { object, warnings: mode === 'Warn' ? faults : [] };
}

/**
 * What a patch made of a stored object. A fault is one of the patch: 422 with the cause `patch`.
 *
 * @throws {ApiError}
 */
export function decodePatched(resource: ServedResource, result: Json, mode: FieldValidation): Decoded {
  try {
    return decode(resource, result, mode);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error;
    const text = error.message.replace(/^.* cannot be handled as a \w+: /, '');
    const message = `Invalid value: ${JSON.stringify(JSON.stringify(result))}: ${text}`;
    throw refusal({ group: '', kind: '' }, '', [{ reason: 'FieldValueInvalid', message, field: 'patch' }]);
  }
}

/** Reads JSON text; the paths of fields that stand twice, as the warning names them. @throws {SyntaxError} */
export function duplicateFields(text: string): ReadText {
  return readJson(text);
}

function read(resource: ServedResource, body: JsonObject, unknown: (path: string) => void): ApiObject {
  try {
    const whole = { ...body, ...typeMeta(resource) };
    return (
      resource.custom
        ? readCustom(resource, whole, unknown)
        : typedObject(resource.schema, whole, '', unknown)
    ) as ApiObject;
  } catch (error) {
    if (error instanceof Untypable) throw unfit(resource, resource.version, error.message);
    throw error;
  }
}

function readCustom(resource: ServedResource, body: JsonObject, unknown: (path: string) => void): JsonObject {
  const found: string[] = [];
  const sent = memberOf(body, 'metadata') ?? {};
  if (!isMap(sent))
    throw new Untypable('json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta');
  const metadata = typedObject(objectMeta, sent, 'metadata', (path) => found.push(path));
  const object = pruned(resource.schema, withMember(body, 'metadata', metadata), (path) => found.push(path));
  for (const path of found.sort()) unknown(path);
  return object;
}

function typeMeta({ group, version, kind }: ServedResource): { apiVersion: string; kind: string } {
  return { apiVersion: group === '' ? version : `${group}/${version}`, kind };
}

/** A built-in body may leave out what the path says already. */
function checkType(resource: ServedResource, body: JsonObject): void {
  const want = typeMeta(resource);
  const kind = textAt(body, 'kind') || want.kind;
  const apiVersion = textAt(body, 'apiVersion') || want.apiVersion;
  if (apiVersion !== want.apiVersion)
    throw unfit(
      { kind },
      versionIn(apiVersion),
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
      resource.kind,
    );
  if (kind !== want.kind)
    throw unfit(
      { kind },
      resource.version,
      `converting (${resource.version}.${kind}) to (${resource.group || 'core'}.${want.kind}): unknown conversion`,
      resource.kind,
    );
}

function versionIn(apiVersion: string): string {
  return apiVersion.slice(apiVersion.indexOf('/') + 1);
}

function checkCustomType(resource: ServedResource, body: JsonObject): void {
  const want = typeMeta(resource);
  const kind = textAt(body, 'kind');
  const apiVersion = textAt(body, 'apiVersion');
  if (kind === '') throw withoutKind(resource, body);
  if (apiVersion !== want.apiVersion)
    throw new ApiError(
      400,
      'BadRequest',
      `the API version in the data (${apiVersion}) does not match the expected API version (${want.apiVersion})`,
      undefined,
      {},
      unknownToOtherVersion(body),
    );
  if (kind !== want.kind)
    throw refusal({ group: resource.group, kind }, textAt(body, 'metadata', 'name'), [
      {
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(kind)}: must be ${want.kind}`,
        field: 'kind',
      },
    ]);
}

/** A version that the definition does not have knows no field but the common ones, and says so before it is refused. */
function unknownToOtherVersion(body: JsonObject): readonly string[] {
  const common = ['apiVersion', 'kind', 'metadata'];
  const names = Object.keys(body).filter((name) => !common.includes(name));
  return names.sort().map((name) => `unknown field ${JSON.stringify(name)}`);
}

function withoutKind({ kind }: ServedResource, body: JsonObject): ApiError {
  const text = JSON.stringify(body);
  return new ApiError(
    400,
    'BadRequest',
    `the object provided is unrecognized (must be of type ${kind}): Object 'Kind' is missing in '${text}' (${text.slice(0, 30)} ...)`,
  );
}

function unrecognized({ kind }: ServedResource, body: Json): ApiError {
  const found = isMap(body) ? 'object' : Array.isArray(body) ? 'array' : typeof body;
  return new ApiError(
    400,
    'BadRequest',
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${found} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
  );
}

function unfit(
  { kind }: Pick<ServedResource, 'kind'>,
  version: string,
  fault: string,
  want: string = kind,
): ApiError {
  return new ApiError(
    400,
    'BadRequest',
    `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${want}: ${fault}`,
  );
}
