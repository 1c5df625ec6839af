// SPDX-License-Identifier: Apache-2.0
import type { JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import type { ServedResource } from './served-resource.ts';

export function openApiV3(
  _group: string,
  _version: string,
  _resources: readonly ServedResource[],
): JsonObject {
  throw new ApiError(501, undefined, 'OpenAPI v3 is not served yet');
}

export function openApiV2(_resources: readonly ServedResource[]): JsonObject {
  throw new ApiError(501, undefined, 'OpenAPI v2 is not served yet');
}
