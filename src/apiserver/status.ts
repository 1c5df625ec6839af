// SPDX-License-Identifier: Apache-2.0
/** metav1.Status: how the API says no, and how it says done. */
import type { Json, JsonObject } from '../model/types.ts';
import { present } from './object-meta.ts';
import { ApiError, type Cause, type StatusDetails } from './objects/api-error.ts';
import type { ServedResource } from './objects/served-resource.ts';

export function failure(error: ApiError): JsonObject {
  return present({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: error.metadata,
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    details: error.details && detailsOf(error.details),
    code: error.code,
  });
}

export function success(details: StatusDetails): JsonObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: detailsOf(details) };
}

/** What POST to a subresource answers when nothing else is to be said. */
export const created: JsonObject = {
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  code: 201,
};

/** Empty names are left out. */
function detailsOf(details: StatusDetails): JsonObject {
  const fields = Object.entries(details).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(fields) as { [field: string]: Json };
}

export function qualified({ plural, group }: Pick<ServedResource, 'plural' | 'group'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}

type Named = Pick<ServedResource, 'plural' | 'group'>;

function naming({ plural, group }: Named, name: string): StatusDetails {
  return { name, group, kind: plural };
}

export function notFound(resource: Named, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" not found`;
  return new ApiError(404, 'NotFound', message, naming(resource, name));
}

export function alreadyExists(resource: Named, name: string, before = ''): ApiError {
  const message = `${before}${qualified(resource)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, naming(resource, name));
}

export function conflict(resource: Named, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, naming(resource, name));
}

export const modifiedMeanwhile: string =
  'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(resource: Named, name: string, why: string, causes?: readonly Cause[]): ApiError {
  const message = `${qualified(resource)}${name === '' ? '' : ` "${name}"`} is forbidden: ${why}`;
  return new ApiError(403, 'Forbidden', message, {
    ...naming(resource, name),
    ...(causes && { causes }),
  });
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

/** go-restful's own refusals name nothing. */
export function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function methodNotAllowed(): ApiError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiError(405, 'MethodNotAllowed', message, {});
}

export function tooLargeRevision(revision: string, current: number): ApiError {
  const message = `Timeout: Too large resource version: ${revision}, current: ${current}`;
  return new ApiError(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** Custom resources say more. */
export function notSupported(resource: Named & Pick<ServedResource, 'custom'>, verb: string): ApiError {
  if (!resource.custom) return methodNotAllowed();
  const message = `${verb} is not supported on resources of kind "${qualified(resource)}"`;
  return new ApiError(405, 'MethodNotAllowed', message, { group: resource.group, kind: resource.plural });
}

/** What has no place in the API answers as a plain web server would. */
export class PlainNotFound extends Error {
  constructor() {
    super('404 page not found');
  }
}
