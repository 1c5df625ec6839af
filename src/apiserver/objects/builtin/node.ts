// SPDX-License-Identifier: Apache-2.0
/** Node. */
import type { Json } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { forbidden, invalid, notSupported } from '../causes.ts';
import { listAt, mapAt, memberOf, sameJson, textAt } from '../json.ts';
import { qualifiedFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import {
  anything,
  flag,
  integer,
  kept,
  listByKey,
  listOf,
  long,
  object,
  quantities,
  setOf,
  text,
  texts,
  time,
  written,
} from './fields.ts';
import { builtinKind, statusSubresource } from './kind.ts';

const taint = object({ key: written(text), value: text, effect: written(text), timeAdded: time });

const condition = object({
  type: written(text),
  status: written(text),
  lastHeartbeatTime: written(time),
  lastTransitionTime: written(time),
  reason: text,
  message: text,
});

const infoNames = [
  'machineID',
  'systemUUID',
  'bootID',
  'kernelVersion',
  'osImage',
  'containerRuntimeVersion',
  'kubeletVersion',
  'kubeProxyVersion',
  'operatingSystem',
  'architecture',
];

const status = object({
  capacity: quantities,
  allocatable: quantities,
  phase: text,
  conditions: listByKey(condition, ['type']),
  addresses: listByKey(object({ type: written(text), address: written(text) }), ['type']),
  daemonEndpoints: written(object({ kubeletEndpoint: written(object({ Port: written(integer) })) })),
  nodeInfo: written(
    object({
      ...Object.fromEntries(infoNames.map((name) => [name, written(text)])),
      swap: object({ capacity: kept(long) }),
    }),
  ),
  images: listOf(object({ names: texts, sizeBytes: long })),
  volumesInUse: texts,
  volumesAttached: listOf(object({ name: written(text), devicePath: written(text) })),
  config: anything,
  runtimeHandlers: listOf(anything),
  features: object({ supplementalGroupsPolicy: kept(flag) }),
  declaredFeatures: texts,
});

export const nodes: ServedResource = builtinKind({
  group: '',
  kind: 'Node',
  shortNames: ['no'],
  namespaced: false,
  subresources: [statusSubresource],
  fields: {
    spec: written(
      object({
        podCIDR: text,
        podCIDRs: setOf(text),
        providerID: text,
        unschedulable: flag,
        taints: listOf(taint),
        configSource: anything,
        externalID: text,
      }),
    ),
    status: written(status),
  },
  columns: [
    textColumn('Status', 'The status of the node', statusText),
    textColumn('Roles', 'The roles of the node', rolesText),
  ],
  fillIn: (each) => {
    const cidr = memberOf(mapAt(each, 'spec'), 'podCIDR');
    if (cidr === undefined || listAt(each, 'spec', 'podCIDRs').length > 0) return each;
    return { ...each, spec: { ...mapAt(each, 'spec'), podCIDRs: [cidr] } };
  },
  prepareForCreate: withNotReadyTaint,
  validate: (each) => [
    ...listAt(each, 'spec', 'taints').flatMap((one, i) => taintCauses(one, `metadata.taints[${i}]`)),
  ],
  validateUpdate: cidrCauses,
  selectable: (each) => ({
    'spec.unschedulable': String(memberOf(mapAt(each, 'spec'), 'unschedulable') === true),
  }),
  selectableNames: ['spec.unschedulable'],
});

/** The admission plug-in TaintNodesByCondition: a new node takes no pods until its controller says that it is ready. */
function withNotReadyTaint(each: ApiObject): ApiObject {
  const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  const taints = listAt(each, 'spec', 'taints');
  if (taints.some((one) => textAt(one, 'key') === notReady.key && textAt(one, 'effect') === notReady.effect))
    return each;
  return { ...each, spec: { ...mapAt(each, 'spec'), taints: [...taints, notReady] } };
}

function statusText(each: ApiObject): string {
  const ready = listAt(each, 'status', 'conditions').find((one) => textAt(one, 'type') === 'Ready');
  const word = ready === undefined ? 'Unknown' : textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
  return memberOf(mapAt(each, 'spec'), 'unschedulable') === true ? `${word},SchedulingDisabled` : word;
}

const rolePrefix = 'node-role.kubernetes.io/';

function rolesText(each: ApiObject): string {
  const roles = Object.keys(mapAt(each, 'metadata', 'labels')).filter((key) => key.startsWith(rolePrefix));
  return roles.map((key) => key.slice(rolePrefix.length)).join(',') || '<none>';
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function taintCauses(one: Json, field: string): readonly Cause[] {
  const [key, effect] = [textAt(one, 'key'), textAt(one, 'effect')];
  return [
    ...qualifiedFaults(key).map((fault) => invalid(`${field}.key`, key, fault)),
    ...(effects.includes(effect) ? [] : [notSupported(`${field}.effect`, effect, effects)]),
  ];
}

function cidrCauses(next: ApiObject, previous: ApiObject): readonly Cause[] {
  const before = listAt(previous, 'spec', 'podCIDRs');
  if (before.length === 0 || sameJson(before, listAt(next, 'spec', 'podCIDRs'))) return [];
  return [forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')];
}
