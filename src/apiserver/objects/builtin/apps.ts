// SPDX-License-Identifier: Apache-2.0
/**
 * Kinds that a manifest of Muslin brings and that nobody acts on here: stored, defaulted in part, told in discovery.
 *
 * No controllers run: a DaemonSet makes no pods.
 */
import { mapAt, memberOf, textAt } from '../json.ts';
import { pathSegmentFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { OpenApiSchema, ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import {
  anything,
  defaulted,
  flag,
  condition as fullCondition,
  integer,
  intOrString,
  kept,
  labelSelector,
  listByKey,
  listOf,
  long,
  object,
  text,
  time,
  written,
} from './fields.ts';
import { builtinKind, statusSubresource } from './kind.ts';
import { podTemplate } from './pod-schema.ts';

const condition = object({
  type: written(text),
  status: written(text),
  lastUpdateTime: time,
  lastTransitionTime: time,
  reason: text,
  message: text,
});

const rollout = object({
  type: text,
  rollingUpdate: object({
    maxUnavailable: kept(intOrString),
    maxSurge: kept(intOrString),
    partition: kept(integer),
  }),
});

const shared = {
  selector: labelSelector,
  template: written(podTemplate),
  minReadySeconds: integer,
  revisionHistoryLimit: kept(defaulted(integer, 10)),
};

function counts(...names: readonly string[]): { readonly [name: string]: OpenApiSchema } {
  return Object.fromEntries(names.map((name) => [name, integer]));
}

function workload(
  kind: string,
  shortName: string,
  spec: { readonly [name: string]: OpenApiSchema },
  status: { readonly [name: string]: OpenApiSchema },
): ServedResource {
  return builtinKind({
    group: 'apps',
    kind,
    shortNames: [shortName],
    categories: ['all'],
    namespaced: true,
    counts: true,
    subresources: [statusSubresource],
    fields: {
      spec: written(object(spec)),
      status: written(
        object({
          observedGeneration: long,
          collisionCount: kept(integer),
          conditions: listByKey(condition, ['type']),
          ...status,
        }),
      ),
    },
    columns: [
      textColumn('Ready', 'Pods that are ready, of those that are wanted.', (each) => readyText(each)),
    ],
    prepareForCreate: (each) => ({ ...each, status: {} }),
  });
}

function readyText(each: ApiObject): string {
  const status = mapAt(each, 'status');
  const ready = memberOf(status, 'readyReplicas') ?? memberOf(status, 'numberReady') ?? 0;
  const wanted = memberOf(mapAt(each, 'spec'), 'replicas') ?? memberOf(status, 'desiredNumberScheduled') ?? 0;
  return `${String(ready)}/${String(wanted)}`;
}

const replicas = kept(defaulted(integer, 1));

export const deployments: ServedResource = workload(
  'Deployment',
  'deploy',
  {
    replicas,
    ...shared,
    strategy: written(rollout),
    paused: flag,
    progressDeadlineSeconds: kept(defaulted(integer, 600)),
  },
  counts(
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
    'terminatingReplicas',
  ),
);

export const daemonSets: ServedResource = workload(
  'DaemonSet',
  'ds',
  { ...shared, updateStrategy: written(rollout) },
  counts(
    'currentNumberScheduled',
    'numberMisscheduled',
    'desiredNumberScheduled',
    'numberReady',
    'updatedNumberScheduled',
    'numberAvailable',
    'numberUnavailable',
  ),
);

export const replicaSets: ServedResource = workload(
  'ReplicaSet',
  'rs',
  { replicas, minReadySeconds: integer, selector: labelSelector, template: written(podTemplate) },
  counts('replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'terminatingReplicas'),
);

export const statefulSets: ServedResource = workload(
  'StatefulSet',
  'sts',
  {
    replicas,
    ...shared,
    serviceName: text,
    podManagementPolicy: defaulted(text, 'OrderedReady'),
    updateStrategy: written(rollout),
    volumeClaimTemplates: listOf(anything),
    persistentVolumeClaimRetentionPolicy: anything,
    ordinals: object({ start: written(integer) }),
  },
  {
    ...counts('replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'),
    currentRevision: text,
    updateRevision: text,
  },
);

export const podDisruptionBudgets: ServedResource = builtinKind({
  group: 'policy',
  kind: 'PodDisruptionBudget',
  shortNames: ['pdb'],
  namespaced: true,
  counts: true,
  subresources: [statusSubresource],
  fields: {
    spec: written(
      object({
        minAvailable: kept(intOrString),
        selector: { ...labelSelector, 'x-kubernetes-patch-strategy': 'replace' },
        maxUnavailable: kept(intOrString),
        unhealthyPodEvictionPolicy: kept(text),
      }),
    ),
    status: written(
      object({
        observedGeneration: long,
        disruptedPods: anything,
        disruptionsAllowed: written(integer),
        currentHealthy: written(integer),
        desiredHealthy: written(integer),
        expectedPods: written(integer),
        conditions: listByKey(fullCondition, ['type']),
      }),
    ),
  },
});

export const priorityClasses: ServedResource = builtinKind({
  group: 'scheduling.k8s.io',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  shortNames: ['pc'],
  namespaced: false,
  nameFaults: pathSegmentFaults,
  fields: {
    value: written(integer),
    globalDefault: flag,
    description: text,
    preemptionPolicy: kept(defaulted(text, 'PreemptLowerPriority')),
  },
  columns: [
    textColumn('Value', 'The value of the class.', (each) =>
      String(memberOf(each, 'value') ?? textAt(each, 'value')),
    ),
  ],
});
