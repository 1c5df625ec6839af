// SPDX-License-Identifier: Apache-2.0
/** The rules of RBAC that reach a user in a namespace, as SelfSubjectRulesReview lists them. */
import { listAt, member, textAt } from '../model/json.ts';
import type { Json, JsonObject } from '../model/types.ts';
import { isPlainObject } from './body.ts';
import type { ApiObject } from './objects/object.ts';
import type { User } from './user.ts';

export function rulesFor(user: User, namespace: string, rbac: readonly ApiObject[]): readonly JsonObject[] {
  return rbac
    .filter((object) => reaches(object, namespace))
    .filter((binding) => listAt(binding, 'subjects').some((subject) => isSubject(subject, user)))
    .flatMap((binding) => rulesOfRole(binding, rbac));
}

function reaches({ kind, metadata }: ApiObject, namespace: string): boolean {
  return kind === 'ClusterRoleBinding' || (kind === 'RoleBinding' && metadata.namespace === namespace);
}

function isSubject(subject: unknown, user: User): boolean {
  const name = textAt(subject, 'name');
  switch (textAt(subject, 'kind')) {
    case 'User':
      return name === user.name;
    case 'Group':
      return user.groups.includes(name);
    default:
      return user.name === `system:serviceaccount:${textAt(subject, 'namespace')}:${name}`;
  }
}

function rulesOfRole(binding: ApiObject, rbac: readonly ApiObject[]): readonly JsonObject[] {
  const kind = textAt(binding, 'roleRef', 'kind');
  const name = textAt(binding, 'roleRef', 'name');
  const role = rbac.find(
    ({ kind: found, metadata }) =>
      found === kind &&
      metadata.name === name &&
      (kind === 'ClusterRole' || metadata.namespace === binding.metadata.namespace),
  );
  return role ? [...ownRules(role), ...aggregatedRules(role, rbac)] : [];
}

function ownRules(role: ApiObject): readonly JsonObject[] {
  return (listAt(role, 'rules') as readonly Json[]).filter(isPlainObject);
}

function aggregatedRules(role: ApiObject, rbac: readonly ApiObject[]): readonly JsonObject[] {
  const selectors = listAt(role, 'aggregationRule', 'clusterRoleSelectors');
  return rbac
    .filter(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name !== role.metadata.name)
    .filter(({ metadata }) =>
      selectors.some((selector) => hasLabels(metadata.labels, member(selector, 'matchLabels'))),
    )
    .flatMap(ownRules);
}

function hasLabels(labels: { readonly [key: string]: string } | undefined, wanted: unknown): boolean {
  const pairs = Object.entries((wanted ?? {}) as { readonly [key: string]: string });
  return pairs.length > 0 && pairs.every(([key, value]) => labels?.[key] === value);
}
