// SPDX-License-Identifier: Apache-2.0
/**
 * What went wrong between etcd and us, as the decision that it asks for. gRPC's codes do not tell enough: etcd's texts do
 * (its api/v3rpc/rpctypes, error.go), and the errno of a connection that never stood.
 */
import { Code, type ConnectError } from '@connectrpc/connect';
import {
  type AppError,
  ForbiddenError,
  InvalidError,
  RevisionGoneError,
  UnavailableError,
  UnsupportedError,
} from '../../lib/errors.ts';

/**
 * `unsent`: nothing was done, another try is safe. `lost`: this peer does not answer, and may have done it. `token`: who we
 * are must be said anew. `answer`: etcd has decided.
 */
export type FaultClass = 'unsent' | 'no-leader' | 'lost' | 'token' | 'answer';

/** Thrown where a connection was not made in time. */
export const connectTimeoutCode = 'CONNECT_TIMEOUT';

const unsentCodes = new Set([
  connectTimeoutCode,
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
]);
const noLeader = /no leader|proposal dropped/;
const staleToken = /invalid auth token|auth store is old|revision in header is old|user name is empty/;
const notAllowed = /authentication failed|user name is empty|permission denied|invalid auth token/;
const tooLarge = /request is too large|received message larger than max|trying to send message larger/;

export function classOf(error: ConnectError): FaultClass {
  const { rawMessage } = error;
  if (unsentCodes.has(systemCode(error)) || isCertificateFault(error)) return 'unsent';
  if (noLeader.test(rawMessage)) return 'no-leader';
  if (staleToken.test(rawMessage)) return 'token';
  return isSilence(error.code) ? 'lost' : 'answer';
}

/** @param what - `cannot list Tier: etcd at 10.0.0.1:2379` */
export function appErrorOf(error: ConnectError, what: string): AppError {
  const message = `${what}: ${detailOf(error)}`;
  const options = { cause: error };
  if (notAllowed.test(error.rawMessage) || isCertificateFault(error))
    return new ForbiddenError(message, options);
  if (/too many operations in txn/.test(error.rawMessage)) return tooManyOperations(what);
  if (tooLarge.test(error.rawMessage)) return new InvalidError(message, [], options);
  switch (error.code) {
    case Code.OutOfRange:
      return new RevisionGoneError(message, options);
    case Code.PermissionDenied:
    case Code.Unauthenticated:
      return new ForbiddenError(message, options);
    case Code.Unimplemented:
      return new UnsupportedError(`${message}: want etcd 3.4 or later`, options);
    default:
      return new UnavailableError(message, options);
  }
}

function tooManyOperations(what: string): UnsupportedError {
  return new UnsupportedError(
    `${what}: too many objects for one transaction: want at most its --max-txn-ops (128 where it is not set)`,
  );
}

function isSilence(code: Code): boolean {
  const silent = [Code.Unavailable, Code.DeadlineExceeded, Code.Canceled, Code.Aborted, Code.Internal];
  return silent.includes(code) || code === Code.Unknown;
}

/** What a TLS handshake ended with: another try ends alike. */
function isCertificateFault(error: ConnectError): boolean {
  return /^ERR_SSL_.*ALERT_(BAD_CERTIFICATE|CERTIFICATE_REQUIRED|UNKNOWN_CA|HANDSHAKE_FAILURE)/.test(
    systemCode(error),
  );
}

function detailOf(error: ConnectError): string {
  const code = systemCode(error);
  return error.rawMessage.includes(code) ? error.rawMessage : `${error.rawMessage} (${code})`;
}

/** Of the innermost cause that has one: `ECONNREFUSED`; empty: none. */
function systemCode(error: unknown): string {
  let code = '';
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') code = cause.code;
  }
  return code;
}
