// SPDX-License-Identifier: Apache-2.0
/** What the shell is told, and what people are told when it is not 0. */
import { AppError, type Fault, InvalidError } from '../lib/errors.ts';

export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  invalid: 5,
  unreachable: 6,
  partial: 7,
  problems: 8,
  timeout: 9,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const byErrorCode: { readonly [C in AppError['code']]: ExitCode } = {
  USAGE: exitCodes.usage,
  NOT_FOUND: exitCodes.notFound,
  ALREADY_EXISTS: exitCodes.conflict,
  CONFLICT: exitCodes.conflict,
  INVALID: exitCodes.invalid,
  UNAVAILABLE: exitCodes.unreachable,
  REVISION_GONE: exitCodes.unreachable,
  TIMEOUT: exitCodes.timeout,
  FORBIDDEN: exitCodes.unreachable,
  PARTIAL: exitCodes.partial,
  UNSUPPORTED: exitCodes.error,
  KERNEL: exitCodes.error,
};

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof AppError ? byErrorCode[error.code] : exitCodes.error;
}

/** Every fault on a line of its own, the place first, as compilers do and editors read. */
export function errorText(error: unknown): string {
  if (error instanceof InvalidError && error.faults.length > 0) return error.faults.map(faultText).join('\n');
  if (error instanceof AppError) return `error: ${error.message}`;
  if (isOfTheSystem(error)) return `error: ${error.message}`;
  return `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

/** A file or socket that the system refuses: where in our code that was helps nobody. */
function isOfTheSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}

export function faultText(fault: Fault): string {
  const place = [fault.file, fault.line, fault.column].filter((part) => part !== undefined).join(':');
  const what = printable([fault.path, fault.message].filter((part) => part !== '').join(': '));
  return place === '' ? `error: ${what}` : `${place}: error: ${what}`;
}

/** What others wrote must not drive the reader's terminal, nor turn its text round: ECMA-48, Unicode's bidi controls. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
