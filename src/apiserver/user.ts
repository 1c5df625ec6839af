// SPDX-License-Identifier: Apache-2.0
/** Who asks. */

export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: { readonly [key: string]: readonly string[] };
}

export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export const administrators = 'system:masters';

export const authenticatedGroup = 'system:authenticated';

export function authenticated(user: User): User {
  const groups = user.groups.filter((group) => group !== authenticatedGroup);
  return { ...user, groups: [...groups, authenticatedGroup] };
}

export function serviceAccountUser(namespace: string, name: string, uid: string): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
  };
}
