// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../model/types.ts';
import type { ApiObject } from './object.ts';
import { type AccessRequest, allowed, builtinRbac } from './rbac.ts';

const apiVersion = 'rbac.authorization.k8s.io/v1';

function role(
  kind: string,
  name: string,
  rules: readonly Json[],
  more: JsonObject = {},
  metadata: JsonObject = {},
): ApiObject {
  return { apiVersion, kind, metadata: { name, ...metadata }, rules, ...more } as ApiObject;
}

function binding(
  kind: string,
  roleRef: readonly [string, string],
  subjects: readonly Json[],
  namespace?: string,
): ApiObject {
  const metadata = { name: 'b', ...(namespace === undefined ? {} : { namespace }) };
  return {
    apiVersion,
    kind,
    metadata,
    roleRef: { kind: roleRef[0], name: roleRef[1] },
    subjects,
  } as ApiObject;
}

function asks(
  user: string,
  verb: string,
  resource: string,
  namespace = '',
  name = '',
  group = '',
): AccessRequest {
  const [plural = '', subresource = ''] = resource.split('/');
  return {
    user,
    groups: [`group-of-${user}`],
    verb,
    target: { group, resource: plural, subresource, namespace, name },
  };
}

const objects = [
  role(
    'Role',
    'reader',
    [
      { apiGroups: [''], resources: ['configmaps', '*/status'], verbs: ['get', 'list'] },
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['*'] },
    ],
    {},
    { namespace: 'a' },
  ),
  role('ClusterRole', 'nodes', [
    { apiGroups: ['', 'apps'], resources: ['nodes', 'nodes/status'], verbs: ['get'] },
    { nonResourceURLs: ['/metrics', '/logs/*'], verbs: ['get'] },
  ]),
  role('ClusterRole', 'all', [], {
    aggregationRule: {
      clusterRoleSelectors: [
        { matchLabels: { to: 'all' } },
        { matchExpressions: [{ key: 'also', operator: 'Exists' }] },
      ],
    },
  }),
  role(
    'ClusterRole',
    'part',
    [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }],
    {},
    { labels: { to: 'all' } },
  ),
  role(
    'ClusterRole',
    'other-part',
    [{ apiGroups: ['*'], resources: ['services'], verbs: ['list'] }],
    {},
    { labels: { also: '' } },
  ),
  binding(
    'RoleBinding',
    ['Role', 'reader'],
    [
      { kind: 'User', name: 'ann' },
      { kind: 'ServiceAccount', name: 'sa' },
    ],
    'a',
  ),
  binding('RoleBinding', ['ClusterRole', 'nodes'], [{ kind: 'User', name: 'ann' }], 'b'),
  binding('ClusterRoleBinding', ['ClusterRole', 'nodes'], [{ kind: 'Group', name: 'group-of-bob' }]),
  binding('ClusterRoleBinding', ['ClusterRole', 'all'], [{ kind: 'User', name: 'eve' }]),
  binding('ClusterRoleBinding', ['ClusterRole', 'missing'], [{ kind: 'User', name: 'ann' }]),
];

test('roles allow what they say, where they are bound', () => {
  const table: [AccessRequest, boolean][] = [
    [asks('ann', 'get', 'configmaps', 'a', 'x'), true],
    [asks('ann', 'list', 'configmaps', 'a'), true],
    [asks('ann', 'watch', 'configmaps', 'a'), false],
    [asks('ann', 'list', 'configmaps', 'b'), false],
    [asks('ann', 'list', 'configmaps'), false],
    [asks('ann', 'list', 'configmaps', 'a', '', 'apps'), false],
    [asks('ann', 'get', 'pods/status', 'a', 'x'), true],
    [asks('ann', 'get', 'pods/log', 'a', 'x'), false],
    [asks('ann', 'get', 'configmaps/x', 'a', 'x'), false],
    [asks('ann', 'delete', 'secrets', 'a', 'one'), true],
    [asks('ann', 'delete', 'secrets', 'a', 'two'), false],
    [asks('ann', 'list', 'secrets', 'a'), false],
    [asks('system:serviceaccount:a:sa', 'get', 'configmaps', 'a', 'x'), true],
    [asks('system:serviceaccount:b:sa', 'get', 'configmaps', 'a', 'x'), false],
    [asks('ann', 'get', 'nodes', '', 'n'), false],
    [asks('bob', 'get', 'nodes', '', 'n'), true],
    [asks('bob', 'get', 'nodes/status', '', 'n', 'apps'), true],
    [asks('eve', 'list', 'pods', 'c'), true],
    [asks('eve', 'list', 'services'), true],
    [asks('eve', 'list', 'nodes'), false],
  ];
  for (const [request, expected] of table)
    assert.equal(allowed(request, objects).allowed, expected, JSON.stringify(request));
});

test('paths outside of resources', () => {
  const path = (user: string, path: string) =>
    allowed({ user, groups: [`group-of-${user}`], verb: 'get', target: { path } }, objects).allowed;
  assert.deepEqual(
    [path('bob', '/metrics'), path('bob', '/metrics/x'), path('bob', '/logs/x/y'), path('ann', '/metrics')],
    [true, false, true, false],
  );
});

test('a cluster is born with the roles that tools lean on', () => {
  const asking = (groups: readonly string[], verb: string, target: AccessRequest['target']) =>
    allowed({ user: 'u', groups, verb, target }, builtinRbac).allowed;
  const pods = { group: '', resource: 'pods', subresource: '', namespace: 'a', name: '' };
  const own = { ...pods, group: 'authorization.k8s.io', resource: 'selfsubjectaccessreviews', namespace: '' };
  assert.equal(asking(['system:masters'], 'delete', pods), true);
  assert.equal(asking(['system:authenticated'], 'list', pods), false);
  assert.equal(asking(['system:authenticated'], 'create', own), true);
  assert.equal(asking(['system:authenticated'], 'get', { path: '/apis/x' }), true);
  assert.equal(asking(['system:unauthenticated'], 'get', { path: '/healthz' }), true);
  assert.equal(asking(['system:unauthenticated'], 'get', { path: '/apis' }), false);
  const edit = binding('RoleBinding', ['ClusterRole', 'edit'], [{ kind: 'User', name: 'u' }], 'a');
  const editing = (verb: string) =>
    allowed({ user: 'u', groups: [], verb, target: pods }, [...builtinRbac, edit]).allowed;
  assert.deepEqual([editing('create'), editing('list'), editing('frob')], [true, true, false]);
});
