// SPDX-License-Identifier: Apache-2.0
/**
 * Pod: what the server and its admission plug-ins fill in, what may change, and when it is gone.
 *
 * @see kubernetes pkg/registry/core/pod/strategy.go, pkg/apis/core/validation, plugin/pkg/admission
 */

import { tryParseAddress } from '../../../lib/address.ts';
import type { Json, JsonObject } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { duplicate, forbidden, invalid, notSupported, required } from '../causes.ts';
import { isMap, listAt, mapAt, memberOf, sameJson, textAt, withMember } from '../json.ts';
import { badPort, labelFaults, portNameFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext, ServedResource, TableColumn } from '../served-resource.ts';
import { ageOf } from '../table.ts';
import { textColumn } from './core.ts';
import { written } from './fields.ts';
import { builtinKind, statusSubresource } from './kind.ts';
import { withServiceAccount } from './pod-account.ts';
import { podSpec, podStatus } from './pod-schema.ts';

const selectableNames = [
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'spec.hostNetwork',
  'status.phase',
  'status.podIP',
  'status.podIPs',
  'status.nominatedNodeName',
];

export const pods: ServedResource = builtinKind({
  group: '',
  kind: 'Pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  counts: true,
  subresources: [
    { name: 'binding', kind: 'Binding', verbs: ['create'] },
    { name: 'eviction', group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] },
    statusSubresource,
  ],
  fields: { spec: written(podSpec), status: written(podStatus) },
  columns: [
    textColumn('Ready', 'Containers that are ready, of all.', readyText),
    textColumn('Status', 'The phase, or why it does not run.', statusText),
    textColumn('Restarts', 'Restarts of all containers.', restarts),
    wide('IP', (each) => textAt(each, 'status', 'podIP') || '<none>'),
    wide('Node', (each) => textAt(each, 'spec', 'nodeName') || '<none>'),
  ],
  fillIn: (each) => {
    const status = memberOf(each, 'status');
    const filled = { ...each, spec: specWithDefaults(mapAt(each, 'spec')) };
    return isMap(status) ? { ...filled, status: statusWithAddresses(status) } : filled;
  },
  prepareForCreate: born,
  prepareForUpdate: (next, previous, target) => (target === 'status' ? withQosOf(next, previous) : next),
  validate: (each) => specCauses(mapAt(each, 'spec')),
  validateUpdate: (next, previous, target) =>
    target === 'status' ? statusCauses(next) : specUpdateCauses(next, previous),
  selectable: (each) =>
    Object.fromEntries(selectableNames.map((name) => [name, fieldText(each, name)] as const)),
  selectableNames,
  gracePeriodSeconds,
});

function fieldText(each: ApiObject, name: string): string {
  if (name === 'spec.hostNetwork') return String(memberOf(mapAt(each, 'spec'), 'hostNetwork') === true);
  if (name === 'status.podIPs')
    return listAt(each, 'status', 'podIPs')
      .map((one) => textAt(one, 'ip'))
      .join(',');
  return textAt(each, ...name.split('.'));
}

/** A pod that no node runs is gone at once. */
function gracePeriodSeconds(each: ApiObject): number {
  const isOver = ['Failed', 'Succeeded'].includes(textAt(each, 'status', 'phase'));
  if (isOver || textAt(each, 'spec', 'nodeName') === '') return 0;
  const period = memberOf(mapAt(each, 'spec'), 'terminationGracePeriodSeconds');
  return typeof period === 'number' ? period : 30;
}

// ---- columns ---------------------------------------------------------------------------------------------------------

function wide(name: string, cell: TableColumn['cell']): TableColumn {
  return { ...textColumn(name, `${name} of the pod.`, cell), priority: 1 };
}

function readyText(each: ApiObject): string {
  const ready = listAt(each, 'status', 'containerStatuses').filter((one) => memberOf(one, 'ready') === true);
  return `${ready.length}/${listAt(each, 'spec', 'containers').length}`;
}

function statusText(each: ApiObject): string {
  if (textAt(each, 'metadata', 'deletionTimestamp') !== '') return 'Terminating';
  const waiting = listAt(each, 'status', 'containerStatuses').map((one) =>
    textAt(one, 'state', 'waiting', 'reason'),
  );
  return (
    waiting.find((reason) => reason !== '') ??
    (textAt(each, 'status', 'reason') || textAt(each, 'status', 'phase'))
  );
}

function restarts(each: ApiObject, now: Date): string {
  const statuses = listAt(each, 'status', 'containerStatuses');
  const count = statuses.reduce<number>((sum, one) => sum + Number(memberOf(one, 'restartCount') ?? 0), 0);
  const ends = statuses
    .map((one) => textAt(one, 'lastState', 'terminated', 'finishedAt'))
    .filter((at) => at !== '');
  const last = ends.sort().at(-1);
  return last === undefined ? String(count) : `${count} (${ageOf(last, now)} ago)`;
}

// ---- defaults --------------------------------------------------------------------------------------------------------

function specWithDefaults(spec: JsonObject): JsonObject {
  const isOnHost = memberOf(spec, 'hostNetwork') === true;
  const lists = ['initContainers', 'containers'].filter((name) => listAt(spec, name).length > 0);
  const account = textAt(spec, 'serviceAccountName') || textAt(spec, 'serviceAccount');
  const volumes = listAt(spec, 'volumes').map((one) =>
    Object.keys(mapAt(one)).length > 1 ? one : { ...mapAt(one), emptyDir: {} },
  );
  return {
    ...spec,
    ...(volumes.length > 0 ? { volumes } : {}),
    ...Object.fromEntries(
      lists.map((name) => [name, listAt(spec, name).map((one) => containerWithDefaults(one, isOnHost))]),
    ),
    ...(account === '' ? {} : { serviceAccountName: account, serviceAccount: account }),
  };
}

function containerWithDefaults(one: Json, isOnHost: boolean): Json {
  const policy = textAt(one, 'imagePullPolicy') || pullPolicy(textAt(one, 'image'));
  const limits = mapAt(one, 'resources', 'limits');
  const requests = { ...limits, ...mapAt(one, 'resources', 'requests') };
  const resources =
    Object.keys(limits).length > 0 ? { ...mapAt(one, 'resources'), requests } : mapAt(one, 'resources');
  const ports = listAt(one, 'ports').map((port) =>
    isOnHost && memberOf(port, 'hostPort') === undefined
      ? { ...mapAt(port), hostPort: memberOf(port, 'containerPort') ?? 0 }
      : port,
  );
  return { ...mapAt(one), ...(ports.length > 0 ? { ports } : {}), resources, imagePullPolicy: policy };
}

/** A digest ends like a tag, and is not `latest`. */
function pullPolicy(image: string): string {
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** podIP is the first of podIPs, whichever of them was sent. */
function statusWithAddresses(status: JsonObject): JsonObject {
  const [ip, ips] = [textAt(status, 'podIP'), listAt(status, 'podIPs')];
  if (ip !== '' && ips.length === 0) return { ...status, podIPs: [{ ip }] };
  const first = textAt(ips[0], 'ip');
  return first === '' || first === ip ? status : { ...status, podIP: first };
}

function born(each: ApiObject, context: RequestContext): ApiObject {
  const served = withServiceAccount(each, context);
  const spec = mapAt(served, 'spec');
  const scheduled = {
    ...spec,
    tolerations: withNodeTolerations(listAt(spec, 'tolerations')),
    priority: memberOf(spec, 'priority') ?? 0,
    preemptionPolicy: memberOf(spec, 'preemptionPolicy') ?? 'PreemptLowerPriority',
  };
  return { ...served, spec: scheduled, status: { phase: 'Pending', qosClass: qosClass(spec) } };
}

/** The admission plug-in DefaultTolerationSeconds: a pod stays five minutes on a node that is lost. */
function withNodeTolerations(tolerations: readonly Json[]): readonly Json[] {
  const added = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].filter(
    (key) =>
      !tolerations.some(
        (one) => [key, ''].includes(textAt(one, 'key')) && ['NoExecute', ''].includes(textAt(one, 'effect')),
      ),
  );
  return [
    ...tolerations,
    ...added.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 })),
  ];
}

function qosClass(spec: JsonObject): string {
  const all = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')];
  const needs = all.flatMap((one) =>
    ['cpu', 'memory'].map((name) => [
      textAt(one, 'resources', 'limits', name),
      textAt(one, 'resources', 'requests', name),
    ]),
  );
  if (needs.every(([limit, request]) => limit === '' && request === '')) return 'BestEffort';
  return needs.every(([limit, request]) => limit !== '' && limit === request) ? 'Guaranteed' : 'Burstable';
}

function withQosOf(next: ApiObject, previous: ApiObject): ApiObject {
  const qos = memberOf(mapAt(previous, 'status'), 'qosClass');
  return { ...next, status: withMember(mapAt(next, 'status'), 'qosClass', qos) };
}

// ---- faults ----------------------------------------------------------------------------------------------------------

function specCauses(spec: JsonObject): readonly Cause[] {
  const containers = listAt(spec, 'containers');
  const policy = textAt(spec, 'restartPolicy');
  return [
    ...(containers.length === 0 ? [required('spec.containers')] : []),
    ...containerListCauses(containers, 'spec.containers'),
    ...containerListCauses(listAt(spec, 'initContainers'), 'spec.initContainers'),
    ...(['Always', 'OnFailure', 'Never'].includes(policy)
      ? []
      : [notSupported('spec.restartPolicy', policy, ['Always', 'OnFailure', 'Never'])]),
  ];
}

function containerListCauses(list: readonly Json[], field: string): readonly Cause[] {
  const names = list.map((one) => textAt(one, 'name'));
  return list.flatMap((one, i) => [
    ...(names.indexOf(names[i] ?? '') < i ? [duplicate(`${field}[${i}].name`, names[i] ?? '')] : []),
    ...containerCauses(one, `${field}[${i}]`),
  ]);
}

function containerCauses(one: Json, field: string): readonly Cause[] {
  const name = textAt(one, 'name');
  return [
    ...(name === ''
      ? [required(`${field}.name`)]
      : labelFaults(name).map((fault) => invalid(`${field}.name`, name, fault))),
    ...(textAt(one, 'image') === '' ? [required(`${field}.image`)] : []),
    ...listAt(one, 'ports').flatMap((port, i) => portCauses(port, `${field}.ports[${i}]`)),
  ];
}

function portCauses(port: Json, field: string): readonly Cause[] {
  const [name, number, protocol] = [
    textAt(port, 'name'),
    memberOf(port, 'containerPort') ?? 0,
    textAt(port, 'protocol'),
  ];
  const known = ['SCTP', 'TCP', 'UDP'];
  const isIn = typeof number === 'number' && number >= 1 && number <= 65535;
  return [
    ...(name === '' ? [] : portNameFaults(name).map((fault) => invalid(`${field}.name`, name, fault))),
    ...(number === 0 ? [required(`${field}.containerPort`)] : []),
    ...(isIn || number === 0 ? [] : [invalid(`${field}.containerPort`, number, badPort)]),
    ...(known.includes(protocol) ? [] : [notSupported(`${field}.protocol`, protocol, known)]),
  ];
}

function statusCauses(each: ApiObject): readonly Cause[] {
  return listAt(each, 'status', 'podIPs').flatMap((one, i) => {
    const ip = textAt(one, 'ip');
    if (tryParseAddress(ip)) return [];
    const fault = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
    return [invalid(`status.podIPs[${i}]`, ip, fault)];
  });
}

const mayChange =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

function specUpdateCauses(next: ApiObject, previous: ApiObject): readonly Cause[] {
  const [found, before] = [mapAt(next, 'spec'), mapAt(previous, 'spec')];
  if (!sameJson(fixedPart(found), fixedPart(before))) return [forbidden('spec', mayChange)];
  const tolerations = listAt(found, 'tolerations');
  const gone = listAt(before, 'tolerations').some(
    (old) => !tolerations.some((one) => sameJson(tolerated(one), tolerated(old))),
  );
  return gone
    ? [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]
    : [];
}

function tolerated(toleration: Json): Json {
  return withMember(mapAt(toleration), 'tolerationSeconds', undefined);
}

/** A gated pod's node selectors and gates may change as well: they only ever get narrower, which nobody checks here. */
function fixedPart(spec: JsonObject): Json {
  const free = ['activeDeadlineSeconds', 'tolerations', 'ephemeralContainers', 'schedulingGates'];
  const rest = free.reduce((all, name) => withMember(all, name, undefined), spec);
  const lists = ['containers', 'initContainers'].filter((name) => memberOf(rest, name) !== undefined);
  const imageless = lists.map(
    (name) => [name, listAt(rest, name).map((one) => withMember(mapAt(one), 'image', ''))] as const,
  );
  return { ...rest, ...Object.fromEntries(imageless) };
}
