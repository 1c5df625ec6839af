// SPDX-License-Identifier: Apache-2.0
import type { Json } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

export function jsonPatch(_object: ApiObject, _patch: Json): ApiObject {
  throw new ApiError(501, undefined, 'JSON patches are not served yet');
}

export function mergePatch(_object: ApiObject, _patch: Json): ApiObject {
  throw new ApiError(501, undefined, 'merge patches are not served yet');
}

export function strategicMergePatch(_resource: ServedResource, _object: ApiObject, _patch: Json): ApiObject {
  throw new ApiError(501, undefined, 'strategic merge patches are not served yet');
}
