// SPDX-License-Identifier: Apache-2.0
/** A refusal as the Kubernetes API gives it: a Status of the HTTP code, a reason for programs and a sentence for people. */
import type { JsonObject } from '../../model/types.ts';

/** metav1.StatusReason; absent where a real server gives none. */
export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'Invalid'
  | 'Timeout'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'UnsupportedMediaType'
  | 'RequestEntityTooLarge'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable';

/** metav1.StatusCause. */
export interface Cause {
  /** `FieldValueRequired`, `FieldValueInvalid`, `FieldManagerConflict`... */
  readonly reason: string;
  readonly message: string;
  /** Dotted path, `spec.ports[0].port`; absent where a real server gives none. */
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The plural with most reasons, the kind with Invalid. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
}

export class ApiError extends Error {
  readonly code: number;
  readonly reason: StatusReason | undefined;
  readonly details: StatusDetails | undefined;
  /** Beyond the code: the fresh continue token of an expired one, for instance. */
  readonly metadata: JsonObject;
  /** Said in Warning headers beside the refusal. */
  readonly warnings: readonly string[];

  constructor(
    code: number,
    reason: StatusReason | undefined,
    message: string,
    details?: StatusDetails,
    metadata: JsonObject = {},
    warnings: readonly string[] = [],
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.metadata = metadata;
    this.warnings = warnings;
  }
}
