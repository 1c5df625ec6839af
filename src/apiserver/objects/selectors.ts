// SPDX-License-Identifier: Apache-2.0
import type { JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

/** All of them must hold. */
export type LabelSelector = readonly LabelRequirement[];

export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  readonly values: readonly string[];
}

export type FieldSelector = readonly FieldRequirement[];

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** @throws {ApiError} 400 */
export function parseLabelSelector(text: string): LabelSelector {
  if (text === '') return [];
  throw new ApiError(501, undefined, `label selectors are not served yet: got ${text}`);
}

export function matchesLabels(selector: LabelSelector, _labels: JsonObject | undefined): boolean {
  return selector.length === 0;
}

/** @throws {ApiError} 400 */
export function parseFieldSelector(text: string, _resource: ServedResource): FieldSelector {
  if (text === '') return [];
  throw new ApiError(501, undefined, `field selectors are not served yet: got ${text}`);
}

export function matchesFields(
  selector: FieldSelector,
  _resource: ServedResource,
  _object: ApiObject,
): boolean {
  return selector.length === 0;
}
