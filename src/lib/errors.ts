// SPDX-License-Identifier: Apache-2.0
/**
 * One error class for each decision that a caller can make. Programmer errors stay TypeError and RangeError:
 * they are caught only at the top, end the process, and it is restarted.
 *
 * Message formula: *cannot* verb object: reason: got *value*, want *rule*.
 */

export type ErrorCode =
  | 'INVALID'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'CONFLICT'
  | 'REVISION_GONE'
  | 'UNAVAILABLE'
  | 'UNSUPPORTED'
  | 'KERNEL'
  | 'USAGE'
  | 'PARTIAL'
  | 'FORBIDDEN'
  | 'TIMEOUT';

export abstract class AppError extends Error {
  abstract readonly code: ErrorCode;
  override get name(): string {
    return this.constructor.name;
  }
}

/** One fault of a resource or manifest. Lines and columns count from 1; absent where there is no text. */
export interface Fault {
  /** Dotted path to the field: `spec.ingress[0].action`; empty for the whole. */
  readonly path: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** What was written does not mean anything: show it to its author. Carries every fault, not the first. */
export class InvalidError extends AppError {
  readonly code = 'INVALID';
  readonly faults: readonly Fault[];
  constructor(message: string, faults: readonly Fault[] = [], options?: ErrorOptions) {
    super(message, options);
    this.faults = faults;
  }
}

/** Nothing under that key: ignore it or create it. */
export class NotFoundError extends AppError {
  readonly code = 'NOT_FOUND';
}

/** The key is taken: adopt it or choose another. */
export class AlreadyExistsError extends AppError {
  readonly code = 'ALREADY_EXISTS';
}

/** Someone else wrote meanwhile: read again, change, write again. */
export class ConflictError extends AppError {
  readonly code = 'CONFLICT';
}

/** The history asked for was compacted away: list again, then watch from there. */
export class RevisionGoneError extends AppError {
  readonly code = 'REVISION_GONE';
}

/** What answers was put in the place of what we knew, or restored from a backup: list again, and believe it though it is older. */
export class HistoryReplacedError extends RevisionGoneError {}

/** The other side cannot be reached now: wait and repeat; status is not ready. */
export class UnavailableError extends AppError {
  readonly code = 'UNAVAILABLE';
}

/** This host or build cannot do it: choose another way, or report at start. */
export class UnsupportedError extends AppError {
  readonly code = 'UNSUPPORTED';
}

/** The command line is wrong: print the usage. */
export class UsageError extends AppError {
  readonly code = 'USAGE';
}

/** The other side knows the caller too little, or allows him too little: other credentials, not another try. */
export class ForbiddenError extends AppError {
  readonly code = 'FORBIDDEN';
}

/** Some of it was done and the rest was not: the message names both, the caller decides what becomes of the first. */
export class PartialWriteError extends AppError {
  readonly code = 'PARTIAL';
}

/** It did not come about in the time allowed. */
export class TimeoutError extends AppError {
  readonly code = 'TIMEOUT';
}

/** The kernel refused: the row stays pending and is tried again. */
export class KernelError extends AppError {
  readonly code = 'KERNEL';
  readonly operation: string;
  /** Positive errno, for instance 17 for EEXIST; 0 if the kernel gave none. */
  readonly errno: number;
  constructor(operation: string, errno: number, detail: string, options?: ErrorOptions) {
    super(`cannot ${operation}: ${detail}`, options);
    this.operation = operation;
    this.errno = errno;
  }
}

/** Makes the compiler prove that every member of a closed union was treated. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected ${JSON.stringify(value)}`);
}
