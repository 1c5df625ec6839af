// SPDX-License-Identifier: Apache-2.0
/** Where the next page of a list begins; opaque to clients (k8s.io/apiserver/pkg/storage/continue.go). */

import type { Json } from '../model/types.ts';
import { isPlainObject } from './body.ts';
import { badRequest } from './status.ts';

const version = 'meta.k8s.io/v1';

/** @param start - the key after which it begins */
export function continueToken(revision: number, start: string): string {
  const fields = JSON.stringify({ v: version, rv: revision, start });
  return Buffer.from(fields).toString('base64url');
}

/** @throws {ApiError} 400 */
export function readToken(token: string): { readonly revision: number; readonly start: string } {
  const fields = parsed(Buffer.from(token, 'base64url').toString('utf8'));
  if (isPlainObject(fields) && fields.v === version) {
    const { rv: revision, start } = fields;
    if (typeof revision === 'number' && typeof start === 'string') return { revision, start };
  }
  throw badRequest('invalid continue token: continue key is not valid: want what an earlier page answered');
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
