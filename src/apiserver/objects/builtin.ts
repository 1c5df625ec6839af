// SPDX-License-Identifier: Apache-2.0
/** Every kind that the server has without a definition, groups in the order in which a real server lists them. */
import {
  daemonSets,
  deployments,
  podDisruptionBudgets,
  priorityClasses,
  replicaSets,
  statefulSets,
} from './builtin/apps.ts';
import { events, groupEvents, leases } from './builtin/coordination.ts';
import { configMaps, namespaces, secrets, serviceAccounts } from './builtin/core.ts';
import { customResourceDefinitions } from './builtin/custom-resource-definition.ts';
import { endpointSlices, endpoints } from './builtin/endpoint-slice.ts';
import { networkPolicies } from './builtin/network-policy.ts';
import { nodes } from './builtin/node.ts';
import { pods } from './builtin/pod.ts';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from './builtin/rbac-kinds.ts';
import {
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  tokenReviews,
} from './builtin/reviews.ts';
import { services } from './builtin/service.ts';
import type { ServedResource } from './served-resource.ts';

export const builtinResources: readonly ServedResource[] = [
  configMaps,
  endpoints,
  events,
  namespaces,
  nodes,
  pods,
  secrets,
  serviceAccounts,
  services,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
  groupEvents,
  selfSubjectReviews,
  tokenReviews,
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  networkPolicies,
  podDisruptionBudgets,
  clusterRoleBindings,
  clusterRoles,
  roleBindings,
  roles,
  customResourceDefinitions,
  priorityClasses,
  leases,
  endpointSlices,
];
