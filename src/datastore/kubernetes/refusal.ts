// SPDX-License-Identifier: Apache-2.0
/** What a Kubernetes API refuses, as the decision that the caller has. @see apimachinery, metav1.Status */
import {
  AlreadyExistsError,
  type AppError,
  ConflictError,
  type Fault,
  ForbiddenError,
  InvalidError,
  NotFoundError,
  RevisionGoneError,
  TimeoutError,
  UnavailableError,
} from '../../lib/errors.ts';
import { isObject, listAt, memberAt, textAt } from '../../model/json.ts';
import type { ApiAnswer } from './connection.ts';

/** Of etcd behind the API. */
const tooLarge = /etcdserver: request is too large/;

/** @param what - what was asked for: `cannot create Tier a`. */
export function refusalOf(what: string, { status, text, retryAfter }: ApiAnswer): AppError {
  const answer = parsed(text);
  return refusalOfStatus(what, isObject(answer) ? { ...answer, code: status } : { code: status }, retryAfter);
}

/** Of a Status object, as watches carry it in band. */
export function refusalOfStatus(what: string, status: object, retryAfter: number | null = null): AppError {
  const code = Number(memberAt(status, 'code'));
  const reason = textAt(status, 'reason');
  const message = `${what}: ${textAt(status, 'message') || `the API answered ${code}`}`;
  if (reason === 'AlreadyExists') return new AlreadyExistsError(message);
  if (tooLarge.test(message)) return new InvalidError(message); // with code 500, and no better on another try
  if (isTooNew(status)) return new RevisionGoneError(message);
  switch (code) {
    case 400:
    case 413:
    case 415:
    case 422:
      return new InvalidError(message, faultsOf(status));
    case 401:
    case 403:
      return new ForbiddenError(message);
    case 404:
      return new NotFoundError(message);
    case 409:
      return new ConflictError(message);
    case 410:
      return new RevisionGoneError(message);
    case 504:
      return new TimeoutError(message);
    default:
      return new UnavailableError(
        retryAfter === null ? message : `${message}; it asks for ${retryAfter} s of patience`,
      );
  }
}

/** A revision that the server has not come to: it was restored, or lags. A server that is slow has the same reason. */
function isTooNew(status: object): boolean {
  return listAt(status, 'details', 'causes').some(
    (cause) => textAt(cause, 'reason') === 'ResourceVersionTooLarge',
  );
}

function faultsOf(status: object): readonly Fault[] {
  return listAt(status, 'details', 'causes').map((cause) => ({
    path: textAt(cause, 'field'),
    message: textAt(cause, 'message'),
  }));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page, or plain text: the code says enough
  }
}
