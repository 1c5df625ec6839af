// SPDX-License-Identifier: Apache-2.0
/**
 * Role-based access: whether the roles that somebody is bound to allow what is asked.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { bornBindings, bornRoles } from './builtin-rbac.ts';
import { isMap, listAt, mapAt, memberOf, textAt } from './json.ts';
import type { ApiObject } from './object.ts';

export interface AccessRequest {
  readonly user: string;
  readonly groups: readonly string[];
  readonly verb: string;
  readonly target:
    | {
        readonly group: string;
        readonly resource: string;
        readonly subresource: string;
        /** '' for cluster-wide. */
        readonly namespace: string;
        /** '' for any. */
        readonly name: string;
      }
    | { readonly path: string };
}

export interface AccessVerdict {
  readonly allowed: boolean;
  /** Which binding allows it; '' where none does. */
  readonly reason: string;
}

/** What a cluster is born with. */
export const builtinRbac: readonly ApiObject[] = [...bornRoles, ...bornBindings];

/** @param objects - Roles, ClusterRoles and their bindings, in any order */
export function allowed(request: AccessRequest, objects: readonly ApiObject[]): AccessVerdict {
  const namespace = 'path' in request.target ? '' : request.target.namespace;
  const binding = objects.find(
    (each) =>
      reaches(each, namespace) &&
      listAt(each, 'subjects').some((subject) =>
        isSubject(subject, request, textAt(each, 'metadata', 'namespace')),
      ) &&
      rulesOf(each, objects).some((rule) => allows(rule, request)),
  );
  if (!binding) return { allowed: false, reason: '' };
  const role = `${textAt(binding, 'roleRef', 'kind')} ${JSON.stringify(textAt(binding, 'roleRef', 'name'))}`;
  return {
    allowed: true,
    reason: `RBAC: allowed by ${binding.kind} ${JSON.stringify(titleOf(binding))} of ${role}`,
  };
}

function titleOf({ metadata }: ApiObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.name}/${metadata.namespace}`;
}

function reaches({ kind, metadata }: ApiObject, namespace: string): boolean {
  if (kind === 'ClusterRoleBinding') return true;
  return kind === 'RoleBinding' && namespace !== '' && metadata.namespace === namespace;
}

/** @param home - the binding's namespace: a service account without one is of it */
function isSubject(subject: Json, { user, groups }: AccessRequest, home: string): boolean {
  const name = textAt(subject, 'name');
  switch (textAt(subject, 'kind')) {
    case 'User':
      return name === user;
    case 'Group':
      return groups.includes(name);
    case 'ServiceAccount':
      return user === `system:serviceaccount:${textAt(subject, 'namespace') || home}:${name}`;
    default:
      return false;
  }
}

function rulesOf(binding: ApiObject, objects: readonly ApiObject[]): readonly Json[] {
  const [kind, name] = [textAt(binding, 'roleRef', 'kind'), textAt(binding, 'roleRef', 'name')];
  const role = objects.find(
    (each) =>
      each.kind === kind &&
      each.metadata.name === name &&
      (kind === 'ClusterRole' || each.metadata.namespace === binding.metadata.namespace),
  );
  return role ? [...listAt(role, 'rules'), ...aggregated(role, objects)] : [];
}

/** What a controller would write into the role: the rules of every role that it selects by labels. */
function aggregated(
  role: ApiObject,
  objects: readonly ApiObject[],
  seen: ReadonlySet<ApiObject> = new Set(),
): readonly Json[] {
  const selectors = listAt(role, 'aggregationRule', 'clusterRoleSelectors');
  if (selectors.length === 0 || seen.has(role)) return [];
  const known = new Set([...seen, role]);
  return objects
    .filter(
      (each) => each.kind === 'ClusterRole' && each !== role && selectors.some((one) => selects(one, each)),
    )
    .flatMap((each) => [...listAt(each, 'rules'), ...aggregated(each, objects, known)]);
}

function selects(selector: Json, role: ApiObject): boolean {
  const labels = Object.entries(mapAt(selector, 'matchLabels'));
  const found = mapAt(role, 'metadata', 'labels');
  const expressions = listAt(selector, 'matchExpressions');
  return (
    labels.every(([key, value]) => memberOf(found, key) === value) &&
    expressions.every((each) => matches(each, found))
  );
}

function matches(expression: Json, labels: JsonObject): boolean {
  const label = memberOf(labels, textAt(expression, 'key'));
  const isListed = label !== undefined && listAt(expression, 'values').includes(label);
  switch (textAt(expression, 'operator')) {
    case 'In':
      return isListed;
    case 'NotIn':
      return !isListed;
    case 'Exists':
      return label !== undefined;
    default:
      return label === undefined;
  }
}

function allows(rule: Json, { verb, target }: AccessRequest): boolean {
  if (!isMap(rule) || !hasAny(rule, 'verbs', verb)) return false;
  if ('path' in target)
    return listAt(rule, 'nonResourceURLs').some((pattern) => fitsPath(String(pattern), target.path));
  return (
    hasAny(rule, 'apiGroups', target.group) &&
    listAt(rule, 'resources').some((pattern) =>
      fitsResource(String(pattern), target.resource, target.subresource),
    ) &&
    fitsName(rule, target.name)
  );
}

function hasAny(rule: JsonObject, field: string, wanted: string): boolean {
  const values = listAt(rule, field);
  return values.includes('*') || values.includes(wanted);
}

// `*`, `pods`, `pods/status`, or one subresource of everything.
function fitsResource(pattern: string, resource: string, subresource: string): boolean {
  if (pattern === '*') return true;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  return pattern === full || (subresource !== '' && pattern === `*/${subresource}`);
}

function fitsName(rule: JsonObject, name: string): boolean {
  const names = listAt(rule, 'resourceNames');
  return names.length === 0 || (name !== '' && names.includes(name));
}

function fitsPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));
}
