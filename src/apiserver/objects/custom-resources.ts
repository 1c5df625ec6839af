// SPDX-License-Identifier: Apache-2.0
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

/** What an (established) definition makes served: one for each served version. */
export function customResources(_crd: ApiObject): readonly ServedResource[] {
  return [];
}
