// SPDX-License-Identifier: Apache-2.0
/** From credentials to a user: client certificate, bearer token, or nobody; and those who act for others. */
import type { Access } from './access.ts';
import { ApiError } from './objects/api-error.ts';
import type { RequestPath } from './request-path.ts';
import type { Tokens } from './tokens.ts';
import { administrators, anonymous, authenticated, type User } from './user.ts';

export interface Credentials {
  readonly headers: { readonly [name: string]: string | undefined };
  /** Of a certificate that our authority signed: CN and O. */
  readonly certificate: { readonly name: string; readonly groups: readonly string[] } | null;
  /** On the Unix socket: whoever may open it is an administrator. */
  readonly trusted: boolean;
}

/** @throws {ApiError} 401 */
export function identify({ headers, certificate, trusted }: Credentials, tokens: Tokens): User {
  const token = /^Bearer +(\S.*)$/i.exec(headers.authorization ?? '')?.[1];
  if (certificate) return authenticated(certificate);
  if (token !== undefined) {
    const user = tokens.userOf(token.trim());
    if (user) return authenticated(user);
    throw new ApiError(401, 'Unauthorized', 'Unauthorized');
  }
  return trusted ? authenticated({ name: 'admin', groups: [administrators] }) : anonymous;
}

/**
 * The user for whom he acts, who may do so by his own roles.
 *
 * @throws {ApiError} 403
 */
export function impersonated(
  user: User,
  headers: Credentials['headers'],
  access: Access,
  path: RequestPath,
): User {
  const name = headers['impersonate-user'];
  if (name === undefined || name === '') return user;
  const groups = (headers['impersonate-group'] ?? '').split(',').flatMap((group) => group.trim() || []);
  for (const [resource, value] of [['users', name], ...groups.map((group) => ['groups', group])] as const) {
    const asking = { ...impersonation, resource: resource ?? '', name: value ?? '', path: path.path };
    if (!access.verdict(user, asking).allowed) throw refused(user, path, access);
  }
  return authenticated({ name, groups });
}

const impersonation = {
  type: 'resource',
  verb: 'impersonate',
  group: '',
  version: 'v1',
  namespace: '',
  subresource: '',
  rest: [],
  inNamespace: false,
} as const;

function refused(user: User, path: RequestPath, access: Access): ApiError {
  const verb = `impersonate-on:user-info:${path.verb}`;
  try {
    access.require({ user }, { ...path, verb });
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  return new ApiError(403, 'Forbidden', `User "${user.name}" cannot impersonate`, {});
}
