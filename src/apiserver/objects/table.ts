// SPDX-License-Identifier: Apache-2.0
import type { JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

/** meta.k8s.io/v1 Table. @param include - what of each object its row carries */
export function tableOf(
  _resource: ServedResource,
  _objects: readonly ApiObject[],
  _listMeta: JsonObject,
  _include: 'None' | 'Metadata' | 'Object',
  _now: Date,
): JsonObject {
  throw new ApiError(501, undefined, 'tables are not served yet');
}

/** meta.k8s.io/v1 PartialObjectMetadata. */
export function partialMetadata(object: ApiObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
