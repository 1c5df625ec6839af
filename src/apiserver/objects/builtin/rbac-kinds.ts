// SPDX-License-Identifier: Apache-2.0
/** rbac.authorization.k8s.io/v1: roles and bindings. */
import type { Json } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { invalid, notSupported, required } from '../causes.ts';
import { isMap, listAt, mapAt, memberOf, sameJson, textAt } from '../json.ts';
import { pathSegmentFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import { atomic, labelSelector, listOf, object, text, texts, written } from './fields.ts';
import { type BuiltinKind, builtinKind } from './kind.ts';

const group = 'rbac.authorization.k8s.io';

const rule = object({
  verbs: written(texts),
  apiGroups: texts,
  resources: texts,
  resourceNames: texts,
  nonResourceURLs: texts,
});
const subject = atomic(object({ kind: written(text), apiGroup: text, name: written(text), namespace: text }));
const roleRef = atomic(object({ apiGroup: written(text), kind: written(text), name: written(text) }));

const shared: Pick<BuiltinKind, 'group' | 'nameFaults' | 'createOnUpdate'> = {
  group,
  nameFaults: pathSegmentFaults,
  createOnUpdate: true,
};

export const roles: ServedResource = builtinKind({
  ...shared,
  kind: 'Role',
  namespaced: true,
  fields: { rules: written(listOf(rule)) },
  validate: (each) => ruleCauses(each, true),
});

export const clusterRoles: ServedResource = builtinKind({
  ...shared,
  kind: 'ClusterRole',
  namespaced: false,
  fields: {
    rules: written(listOf(rule)),
    aggregationRule: object({ clusterRoleSelectors: listOf(labelSelector) }),
  },
  validate: (each) => ruleCauses(each, false),
});

function bindingKind(kind: string, namespaced: boolean): ServedResource {
  return builtinKind({
    ...shared,
    kind,
    namespaced,
    fields: { subjects: listOf(subject), roleRef: written(roleRef) },
    columns: [
      textColumn(
        'Role',
        'The role that is given.',
        (each) => `${textAt(each, 'roleRef', 'kind')}/${textAt(each, 'roleRef', 'name')}`,
      ),
    ],
    fillIn: bindingWithDefaults,
    validate: (each) => bindingCauses(each, namespaced),
    validateUpdate: roleRefCauses,
  });
}

export const roleBindings: ServedResource = bindingKind('RoleBinding', true);
export const clusterRoleBindings: ServedResource = bindingKind('ClusterRoleBinding', false);

function bindingWithDefaults(each: ApiObject): ApiObject {
  const ref = mapAt(each, 'roleRef');
  const filled = { ...each, roleRef: { ...ref, apiGroup: textAt(ref, 'apiGroup') || group } };
  const subjects = listAt(each, 'subjects').map(subjectWithGroup);
  return subjects.length > 0 ? { ...filled, subjects } : filled;
}

function subjectWithGroup(each: Json): Json {
  if (!isMap(each) || textAt(each, 'apiGroup') !== '' || textAt(each, 'kind') === 'ServiceAccount')
    return each;
  return { ...each, apiGroup: group };
}

function ruleCauses(each: ApiObject, isNamespaced: boolean): readonly Cause[] {
  return listAt(each, 'rules').flatMap((one, i) => {
    const field = `rules[${i}]`;
    const causes: Cause[] = [];
    const has = (name: string) => listAt(one, name).length > 0;
    if (!has('verbs')) causes.push(required(`${field}.verbs`, 'verbs must contain at least one value'));
    if (has('nonResourceURLs')) {
      if (isNamespaced)
        causes.push(
          invalid(
            `${field}.nonResourceURLs`,
            memberOf(one, 'nonResourceURLs') ?? null,
            'namespaced rules cannot apply to non-resource URLs',
          ),
        );
      if (has('apiGroups') || has('resources') || has('resourceNames'))
        causes.push(
          invalid(
            `${field}.nonResourceURLs`,
            memberOf(one, 'nonResourceURLs') ?? null,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        );
      return causes;
    }
    if (!has('apiGroups'))
      causes.push(required(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
    if (!has('resources'))
      causes.push(required(`${field}.resources`, 'resource rules must supply at least one resource'));
    return causes;
  });
}

function bindingCauses(each: ApiObject, isNamespaced: boolean): readonly Cause[] {
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  const kind = textAt(each, 'roleRef', 'kind');
  return [
    ...(kinds.includes(kind) ? [] : [notSupported('roleRef.kind', kind, kinds)]),
    ...(textAt(each, 'roleRef', 'name') === '' ? [required('roleRef.name')] : []),
    ...listAt(each, 'subjects').flatMap((one, i) => subjectCauses(one, `subjects[${i}]`)),
  ];
}

function subjectCauses(one: Json, field: string): readonly Cause[] {
  const kinds = ['ServiceAccount', 'User', 'Group'];
  const kind = textAt(one, 'kind');
  return [
    ...(kinds.includes(kind) ? [] : [notSupported(`${field}.kind`, kind, kinds)]),
    ...(textAt(one, 'name') === '' ? [required(`${field}.name`)] : []),
    ...(kind === 'ServiceAccount' && textAt(one, 'namespace') === '' ? [required(`${field}.namespace`)] : []),
  ];
}

function roleRefCauses(next: ApiObject, previous: ApiObject): readonly Cause[] {
  const [found, before] = [mapAt(next, 'roleRef'), mapAt(previous, 'roleRef')];
  return sameJson(found, before) ? [] : [invalid('roleRef', found, 'cannot change roleRef')];
}
