// SPDX-License-Identifier: Apache-2.0
/** Who may do what: RBAC over the stored roles, and the sentence with which it is refused. */
import type { JsonObject } from '../model/types.ts';
import type { ApiRequest } from './answer.ts';
import { collectionOf } from './collection.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import { allowed } from './objects/rbac.ts';
import type { RequestPath, ResourcePath } from './request-path.ts';
import { rulesFor } from './rules-of-user.ts';
import { forbidden } from './status.ts';
import type { ApiStore } from './store.ts';
import { administrators, type User } from './user.ts';

const rbacGroup = 'rbac.authorization.k8s.io';
const rbacPlurals = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'] as const;

const everything: JsonObject = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  incomplete: false,
};

export interface Verdict {
  readonly allowed: boolean;
  readonly reason: string;
}

export class Access {
  readonly #store: ApiStore;
  #rules: readonly ApiObject[] | null = null;

  constructor(store: ApiStore) {
    this.#store = store;
    for (const plural of rbacPlurals) {
      store.follow(collectionOf(rbacGroup, plural), () => {
        this.#rules = null;
      });
    }
  }

  verdict(user: User, path: RequestPath): Verdict {
    if (user.groups.includes(administrators)) return { allowed: true, reason: '' };
    const { name, groups } = user;
    const target =
      path.type === 'other'
        ? { path: path.path }
        : {
            group: path.group,
            resource: path.resource,
            subresource: path.subresource,
            namespace: path.namespace,
            name: path.name,
          };
    return allowed({ user: name, groups, verb: path.verb, target }, this.#current());
  }

  /** @throws {ApiError} 403 */
  require({ user }: Pick<ApiRequest, 'user'>, path: RequestPath): void {
    const { allowed: may, reason } = this.verdict(user, path);
    if (may) return;
    const because = reason === '' ? '' : `: ${reason}`;
    if (path.type === 'resource') throw resourceForbidden(user, path, because);
    const message = `forbidden: User "${user.name}" cannot ${path.verb} path "${path.path}"${because}`;
    throw new ApiError(403, 'Forbidden', message, {});
  }

  /** status of a SelfSubjectRulesReview. */
  rulesOf(user: User, namespace: string): JsonObject {
    if (user.groups.includes(administrators)) return everything;
    const rules = rulesFor(user, namespace, this.#current());
    const of = (field: string) => rules.filter((rule) => Object.hasOwn(rule, field));
    return { resourceRules: of('resources'), nonResourceRules: of('nonResourceURLs'), incomplete: false };
  }

  #current(): readonly ApiObject[] {
    this.#rules ??= rbacPlurals.flatMap((plural) => this.#store.list(collectionOf(rbacGroup, plural)));
    return this.#rules;
  }
}

function resourceForbidden(user: User, path: ResourcePath, because: string): ApiError {
  const { group, verb, resource, subresource, namespace, name } = path;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user.name}" cannot ${verb} resource "${full}" in API group "${group}" ${where}${because}`;
  return forbidden({ group, plural: resource }, name, why);
}
