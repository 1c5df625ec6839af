// SPDX-License-Identifier: Apache-2.0
/**
 * Service: defaults, addresses and ports at birth, what may change.
 *
 * @see kubernetes pkg/registry/core/service (strategy.go, storage/alloc.go), pkg/apis/core/validation
 */
import type { Json, JsonObject } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { invalid, notSupported, required } from '../causes.ts';
import { listAt, mapAt, memberOf, sameJson, textAt, valueAt, withMember, withValueAt } from '../json.ts';
import { badPort, labelFaults, portNameFaults, subdomainFaults } from '../names.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext, ServedResource } from '../served-resource.ts';
import { textColumn } from './core.ts';
import { specialAddressCauses } from './endpoint-slice.ts';
import {
  atomic,
  condition,
  defaulted,
  flag,
  integer,
  intOrString,
  kept,
  listByKey,
  listOf,
  object,
  text,
  texts,
  written,
} from './fields.ts';
import { builtinKind, statusSubresource } from './kind.ts';
import { allocated, hasClusterIp, isHeadless, nodePortsWanted } from './service-allocation.ts';

const port = object({
  name: text,
  protocol: defaulted(text, 'TCP'),
  appProtocol: kept(text),
  port: written(integer),
  targetPort: intOrString,
  nodePort: integer,
});

const spec = object({
  ports: listByKey(port, ['port', 'protocol']),
  selector: atomic({ type: 'object', additionalProperties: text }),
  clusterIP: text,
  clusterIPs: texts,
  type: defaulted(text, 'ClusterIP'),
  externalIPs: texts,
  sessionAffinity: defaulted(text, 'None'),
  loadBalancerIP: text,
  loadBalancerSourceRanges: texts,
  externalName: text,
  externalTrafficPolicy: text,
  healthCheckNodePort: integer,
  publishNotReadyAddresses: flag,
  sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: kept(integer) }) }),
  ipFamilies: texts,
  ipFamilyPolicy: kept(text),
  allocateLoadBalancerNodePorts: kept(flag),
  loadBalancerClass: kept(text),
  internalTrafficPolicy: kept(text),
  trafficDistribution: kept(text),
});

const ingress = object({
  ip: text,
  hostname: text,
  ipMode: kept(text),
  ports: listOf(object({ port: written(integer), protocol: written(text), error: kept(text) })),
});

export const services: ServedResource = builtinKind({
  group: '',
  kind: 'Service',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  createOnUpdate: true,
  deleteAnswers: 'object',
  subresources: [statusSubresource],
  fields: {
    spec: written(spec),
    status: written(
      object({
        loadBalancer: written(object({ ingress: listOf(ingress) })),
        conditions: listByKey(condition, ['type']),
      }),
    ),
  },
  columns: [
    textColumn('Type', 'How the service is exposed.', (each) => textAt(each, 'spec', 'type')),
    textColumn(
      'Cluster-IP',
      'The address of the service inside the cluster.',
      (each) => textAt(each, 'spec', 'clusterIP') || '<none>',
    ),
    textColumn('External-IP', 'Addresses from outside.', externalText),
    textColumn(
      'Port(s)',
      'The ports that the service exposes.',
      (each) => listAt(each, 'spec', 'ports').map(portText).join(',') || '<none>',
    ),
  ],
  nameFaults: labelFaults,
  fillIn: (each) => ({ ...each, spec: specWithDefaults(mapAt(each, 'spec')), ...statusWithDefaults(each) }),
  prepareForCreate: (each, context) => allocated({ ...each, status: { loadBalancer: {} } }, null, context),
  prepareForUpdate: (next, previous, target, context) =>
    target === 'main' ? updated(next, previous, context) : next,
  validate: (each) => causesOf(mapAt(each, 'spec')),
  validateUpdate: clusterIpCauses,
  warnings: (each) => {
    const distribution = textAt(each, 'spec', 'trafficDistribution');
    if (distribution !== 'PreferClose') return [];
    return ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'];
  },
  selectable: (each) => ({
    'spec.clusterIP': textAt(each, 'spec', 'clusterIP'),
    'spec.type': textAt(each, 'spec', 'type'),
  }),
  selectableNames: ['spec.clusterIP', 'spec.type'],
});

function externalText(each: ApiObject): string {
  const type = textAt(each, 'spec', 'type');
  if (type === 'ExternalName') return textAt(each, 'spec', 'externalName');
  const external = listAt(each, 'spec', 'externalIPs').map(String);
  const balanced = listAt(each, 'status', 'loadBalancer', 'ingress').map(
    (one) => textAt(one, 'ip') || textAt(one, 'hostname'),
  );
  const all = type === 'LoadBalancer' ? [...balanced, ...external] : external;
  return all.join(',') || (type === 'LoadBalancer' ? '<pending>' : '<none>');
}

function portText(one: Json): string {
  const nodePort = memberOf(one, 'nodePort');
  const number = String(memberOf(one, 'port'));
  return `${number}${nodePort === undefined ? '' : `:${String(nodePort)}`}/${textAt(one, 'protocol')}`;
}

// ---- defaults --------------------------------------------------------------------------------------------------------

function specWithDefaults(found: JsonObject): JsonObject {
  const type = textAt(found, 'type');
  const filled = new Map<string, Json>(Object.entries(found));
  const fill = (name: string, value: Json) => {
    if (!filled.has(name)) filled.set(name, value);
  };
  if (filled.has('ports')) filled.set('ports', listAt(found, 'ports').map(portWithTarget));
  if (
    textAt(found, 'sessionAffinity') === 'ClientIP' &&
    valueAt(found, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds') === undefined
  )
    filled.set('sessionAffinityConfig', { clientIP: { timeoutSeconds: 10800 } });
  if (textAt(found, 'sessionAffinity') === 'None') filled.delete('sessionAffinityConfig');
  if (isExternal(found)) fill('externalTrafficPolicy', 'Cluster');
  if (type !== 'ExternalName') fill('internalTrafficPolicy', 'Cluster');
  if (type === 'LoadBalancer') fill('allocateLoadBalancerNodePorts', true);
  return Object.fromEntries(filled);
}

function portWithTarget(one: Json): Json {
  const target = memberOf(one, 'targetPort');
  if (target !== undefined && target !== 0 && target !== '') return one;
  return { ...mapAt(one), targetPort: memberOf(one, 'port') ?? 0 };
}

function isExternal(found: JsonObject): boolean {
  const type = textAt(found, 'type');
  return (
    type === 'NodePort' ||
    type === 'LoadBalancer' ||
    (type === 'ClusterIP' && listAt(found, 'externalIPs').length > 0)
  );
}

function statusWithDefaults(each: ApiObject): JsonObject {
  const points = listAt(each, 'status', 'loadBalancer', 'ingress');
  if (points.length === 0) return {};
  const filled = points.map((one) =>
    textAt(one, 'ip') !== '' && memberOf(one, 'ipMode') === undefined
      ? { ...mapAt(one), ipMode: 'VIP' }
      : one,
  );
  return { status: withValueAt(mapAt(each, 'status'), ['loadBalancer', 'ingress'], filled) };
}

// ---- changes ---------------------------------------------------------------------------------------------------------

/** What the client leaves out of what the server gave stays; what only the old type had goes. */
function updated(next: ApiObject, previous: ApiObject, context: RequestContext): ApiObject {
  const [before, found] = [mapAt(previous, 'spec'), mapAt(next, 'spec')];
  const dropped = droppedByType(found, before);
  const carried = hasClusterIp(dropped) && hasClusterIp(before) ? withClusterIpOf(dropped, before) : dropped;
  return allocated({ ...next, spec: carried }, previous, context);
}

function withClusterIpOf(found: JsonObject, before: JsonObject): JsonObject {
  const names = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'];
  const missing = names.filter((name) => memberOf(found, name) === undefined);
  return missing.reduce((all, name) => withMember(all, name, memberOf(before, name)), found);
}

/** dropTypeDependentFields of strategy.go: what was sent back unchanged with the old type's values. */
function droppedByType(found: JsonObject, before: JsonObject): JsonObject {
  const gone: string[] = [];
  const isSame = (name: string) => sameJson(memberOf(found, name), memberOf(before, name));
  if (hasClusterIp(before) && !hasClusterIp(found))
    gone.push(
      ...['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'].filter(isSame),
    );
  if (isExternal(before) && !isExternal(found)) gone.push(...['externalTrafficPolicy'].filter(isSame));
  if (textAt(found, 'type') !== 'LoadBalancer')
    gone.push(
      ...['healthCheckNodePort', 'allocateLoadBalancerNodePorts', 'loadBalancerClass'].filter(isSame),
    );
  const kept = gone.reduce((all, name) => withMember(all, name, undefined), found);
  if (!nodePortsWanted(before) || nodePortsWanted(found)) return kept;
  return {
    ...kept,
    ports: listAt(kept, 'ports').map((one) => withMember(mapAt(one), 'nodePort', undefined)),
  };
}

function clusterIpCauses(next: ApiObject, previous: ApiObject): readonly Cause[] {
  const [found, before] = [mapAt(next, 'spec'), mapAt(previous, 'spec')];
  if (!hasClusterIp(found) || !hasClusterIp(before)) return [];
  const [old] = listAt(before, 'clusterIPs');
  const [now] = listAt(found, 'clusterIPs');
  if (old === undefined || old === now) return [];
  return [invalid('spec.clusterIPs[0]', listAt(found, 'clusterIPs'), 'may not change once set')];
}

// ---- faults ----------------------------------------------------------------------------------------------------------

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

function causesOf(found: JsonObject): readonly Cause[] {
  const type = textAt(found, 'type');
  const ports = listAt(found, 'ports');
  return [
    ...(types.includes(type) ? [] : [notSupported('spec.type', type, types)]),
    ...(ports.length > 0 || isHeadless(found) || type === 'ExternalName' ? [] : [required('spec.ports')]),
    ...ports.flatMap((one, i) => portCauses(one, ports.length > 1, `spec.ports[${i}]`)),
    ...duplicatePorts(ports),
    ...listAt(found, 'externalIPs').flatMap((address, i) =>
      specialAddressCauses(String(address), `spec.externalIPs[${i}]`),
    ),
    ...policyCauses(found),
    ...externalNameCauses(found),
  ];
}

function portCauses(one: Json, isNameWanted: boolean, field: string): readonly Cause[] {
  const name = textAt(one, 'name');
  const protocol = textAt(one, 'protocol');
  const known = ['SCTP', 'TCP', 'UDP'];
  return [
    ...(name === '' && isNameWanted ? [required(`${field}.name`)] : []),
    ...(name === '' ? [] : labelFaults(name).map((fault) => invalid(`${field}.name`, name, fault))),
    ...numberCauses(memberOf(one, 'port'), `${field}.port`),
    ...(known.includes(protocol) ? [] : [notSupported(`${field}.protocol`, protocol, known)]),
    ...numberCauses(memberOf(one, 'targetPort'), `${field}.targetPort`),
  ];
}

function numberCauses(found: Json | undefined, field: string): readonly Cause[] {
  if (typeof found === 'number') return found >= 1 && found <= 65535 ? [] : [invalid(field, found, badPort)];
  if (typeof found !== 'string') return [];
  return portNameFaults(found).map((fault) => invalid(field, found, fault));
}

function duplicatePorts(ports: readonly Json[]): readonly Cause[] {
  const repeated = (key: (one: Json) => string) => {
    const keys = ports.map(key);
    return keys.map((each, i) => (each !== '' && keys.indexOf(each) < i ? i : -1)).filter((i) => i >= 0);
  };
  const told = (i: number, name: string): Cause => ({
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${JSON.stringify(name === '' ? (ports[i] ?? null) : textAt(ports[i], name))}`,
    field: `spec.ports[${i}]${name === '' ? '' : `.${name}`}`,
  });
  return [
    ...repeated((one) => textAt(one, 'name')).map((i) => told(i, 'name')),
    ...repeated((one) => `${textAt(one, 'protocol')}/${String(memberOf(one, 'port'))}`).map((i) =>
      told(i, ''),
    ),
  ];
}

function policyCauses(found: JsonObject): readonly Cause[] {
  const policies = ['Cluster', 'Local'];
  const [external, internal] = [
    textAt(found, 'externalTrafficPolicy'),
    textAt(found, 'internalTrafficPolicy'),
  ];
  const affinity = textAt(found, 'sessionAffinity');
  const causes: Cause[] = [];
  if (external !== '' && !isExternal(found))
    causes.push(
      invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'),
    );
  else if (external !== '' && !policies.includes(external))
    causes.push(notSupported('spec.externalTrafficPolicy', external, policies));
  if (internal !== '' && !policies.includes(internal))
    causes.push(notSupported('spec.internalTrafficPolicy', internal, policies));
  if (!['ClientIP', 'None'].includes(affinity))
    causes.push(notSupported('spec.sessionAffinity', affinity, ['ClientIP', 'None']));
  return causes;
}

function externalNameCauses(found: JsonObject): readonly Cause[] {
  if (textAt(found, 'type') !== 'ExternalName') return [];
  const name = textAt(found, 'externalName').replace(/\.$/, '');
  if (name === '') return [required('spec.externalName')];
  return subdomainFaults(name).map((fault) => invalid('spec.externalName', name, fault));
}
