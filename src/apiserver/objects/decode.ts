// SPDX-License-Identifier: Apache-2.0
import type { Json } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  readonly object: ApiObject;
  /** Texts for Warning headers, without the quotes. */
  readonly warnings: readonly string[];
}

/**
 * @param duplicates - as duplicateFields gives them.
 * @throws {ApiError} 400 under Strict, and for what is no such object at all
 */
export function decode(
  _resource: ServedResource,
  _body: Json,
  _mode: FieldValidation,
  _duplicates: readonly string[] = [],
): Decoded {
  throw new ApiError(501, undefined, 'objects are not decoded yet');
}

/** Reads JSON text; the paths of fields that stand twice, as the warning names them. @throws {SyntaxError} */
export function duplicateFields(text: string): { value: Json; duplicates: readonly string[] } {
  return { value: JSON.parse(text) as Json, duplicates: [] };
}
