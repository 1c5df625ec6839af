// SPDX-License-Identifier: Apache-2.0
/**
 * The roles and bindings that a cluster is born with, as far as users and their tools lean on them.
 *
 * @see kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go
 */
import type { Json, JsonObject } from '../../model/types.ts';
import type { ApiObject } from './object.ts';

const apiGroup = 'rbac.authorization.k8s.io';
const apiVersion = `${apiGroup}/v1`;

function metadata(name: string, more: JsonObject = {}): ApiObject['metadata'] {
  return {
    name,
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...more },
    annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  };
}

function role(name: string, rules: readonly Json[], labels: JsonObject = {}): ApiObject {
  return { apiVersion, kind: 'ClusterRole', metadata: metadata(name, labels), rules };
}

/** A role that is made of all those labelled for it. */
function gathering(name: string, labels: JsonObject = {}): ApiObject {
  return {
    apiVersion,
    kind: 'ClusterRole',
    metadata: metadata(name, labels),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`${aggregateTo}${name}`]: 'true' } }] },
    rules: [],
  };
}

const aggregateTo = 'rbac.authorization.k8s.io/aggregate-to-';

function partOf(name: string, rules: readonly Json[]): ApiObject {
  return role(`system:aggregate-to-${name}`, rules, { [`${aggregateTo}${name}`]: 'true' });
}

function binding(name: string, groups: readonly string[], roleName: string = name): ApiObject {
  return {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name),
    roleRef: { apiGroup, kind: 'ClusterRole', name: roleName },
    subjects: groups.map((group) => ({ kind: 'Group', apiGroup, name: group })),
  };
}

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];

function onResources(
  apiGroups: readonly string[],
  resources: readonly string[],
  verbs: readonly string[],
): Json {
  return { apiGroups, resources, verbs };
}

const discoveryPaths = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];
const publicPaths = ['/healthz', '/livez', '/readyz', '/version', '/version/'];

const workloads = ['daemonsets', 'deployments', 'replicasets', 'statefulsets'];
const plainKinds = ['configmaps', 'endpoints', 'pods', 'serviceaccounts', 'services'];

export const bornRoles: readonly ApiObject[] = [
  role('cluster-admin', [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ]),
  gathering('admin'),
  gathering('edit', { [`${aggregateTo}admin`]: 'true' }),
  gathering('view', { [`${aggregateTo}edit`]: 'true' }),
  partOf('admin', [
    onResources(['authorization.k8s.io'], ['localsubjectaccessreviews'], ['create']),
    onResources([apiGroup], ['rolebindings', 'roles'], [...write, ...read]),
  ]),
  partOf('edit', [
    onResources(
      [''],
      ['secrets', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'services/proxy'],
      read,
    ),
    onResources(
      [''],
      [...plainKinds, 'secrets', 'events', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'],
      write,
    ),
    onResources([''], ['pods/eviction', 'serviceaccounts/token'], ['create']),
    onResources(['apps'], workloads, write),
    onResources(['policy'], ['poddisruptionbudgets'], write),
    onResources(['networking.k8s.io'], ['networkpolicies'], write),
    onResources(['coordination.k8s.io'], ['leases'], [...write, ...read]),
  ]),
  partOf('view', [
    onResources(
      [''],
      [
        ...plainKinds,
        'events',
        'namespaces',
        'namespaces/status',
        'pods/log',
        'pods/status',
        'services/status',
      ],
      read,
    ),
    onResources(['apps'], [...workloads, ...workloads.map((name) => `${name}/status`)], read),
    onResources(['policy'], ['poddisruptionbudgets', 'poddisruptionbudgets/status'], read),
    onResources(['networking.k8s.io'], ['networkpolicies'], read),
    onResources(['discovery.k8s.io'], ['endpointslices'], read),
  ]),
  role('system:discovery', [{ nonResourceURLs: discoveryPaths, verbs: ['get'] }]),
  role('system:public-info-viewer', [{ nonResourceURLs: publicPaths, verbs: ['get'] }]),
  role('system:basic-user', [
    onResources(
      ['authorization.k8s.io'],
      ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      ['create'],
    ),
    onResources(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
  ]),
  role('system:auth-delegator', [
    onResources(['authentication.k8s.io'], ['tokenreviews'], ['create']),
    onResources(['authorization.k8s.io'], ['subjectaccessreviews'], ['create']),
  ]),
  role('system:monitoring', [
    {
      nonResourceURLs: [
        '/healthz',
        '/healthz/*',
        '/livez',
        '/livez/*',
        '/metrics',
        '/metrics/*',
        '/readyz',
        '/readyz/*',
      ],
      verbs: ['get'],
    },
  ]),
];

export const bornBindings: readonly ApiObject[] = [
  binding('cluster-admin', ['system:masters']),
  binding('system:discovery', ['system:authenticated']),
  binding('system:basic-user', ['system:authenticated']),
  binding('system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']),
  binding('system:monitoring', ['system:monitoring']),
];
