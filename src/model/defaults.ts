// SPDX-License-Identifier: Apache-2.0
/**
 * What a resource means where its author wrote nothing: filled in once, here, before it is stored.
 *
 * A policy's `types` follow from the number of its rules, not from the presence of their fields: Calico's library and
 * its admission policy differ there (`egress: []` governs egress for one and not for the other); Muslin takes the
 * library's rule. Protocols and ports are brought to the one spelling that Calico gives back (`tcp` -> TCP, `"80"` -> 80).
 */
import { familyOf } from '../lib/address.ts';
import { portRangeText, tryParsePortRange } from '../lib/ports.ts';
import { protocolName, protocolNumbers, tryParseProtocol } from '../lib/protocol.ts';
import { builtinTiers, defaultTier } from './builtin.ts';
import { copyObject, isObject, listAt, member, textAt } from './json.ts';
import { schemaOf } from './schema/catalogue.ts';
import { compileDefaults } from './schema/fill.ts';
import type { Json, JsonObject, ResourceKind } from './types.ts';
import { tierLabel } from './validate/policy.ts';

export const defaultNamespace = 'default';
/** Tiers without an order stand together with the default tier. */
const usualTierOrder = 1_000_000;

const fills = new Map<ResourceKind, ((value: Json) => Json) | null>();

/** @param resource - valid. */
export function withDefaults(kind: ResourceKind, resource: JsonObject): JsonObject {
  return derivedDefaults(kind, schemaDefaults(kind, resource));
}

/** Those that are constants of the kind's schema. */
function schemaDefaults(kind: ResourceKind, resource: JsonObject): JsonObject {
  let fill = fills.get(kind);
  if (fill === undefined) {
    const schema = schemaOf(kind);
    fill = schema && compileDefaults(schema);
    fills.set(kind, fill);
  }
  return fill ? (fill(resource) as JsonObject) : resource;
}

/** Those that follow from other fields. */
function derivedDefaults(kind: ResourceKind, resource: JsonObject): JsonObject {
  switch (kind) {
    case 'NetworkPolicy':
    case 'GlobalNetworkPolicy':
      return policyDefaults(resource);
    case 'StagedNetworkPolicy':
    case 'StagedGlobalNetworkPolicy': // the schema's default does not reach a spec that is not written
      return policyDefaults(withSpec(resource, (spec) => ({ stagedAction: 'Set', ...spec })));
    case 'KubernetesNetworkPolicy':
      return withSpec(resource, (spec) => ({ ...spec, policyTypes: kubernetesTypes(spec) }));
    case 'StagedKubernetesNetworkPolicy':
      return withSpec(resource, stagedKubernetesDefaults);
    case 'Namespace':
      return namespaceDefaults(resource);
    case 'Tier':
      return withSpec(resource, (spec) => ({
        ...tierDefaults(textAt(resource, 'metadata', 'name')),
        ...spec,
      }));
    case 'IPPool':
      return withSpec(resource, poolDefaults);
    case 'Profile':
      return withSpec(resource, normalRules);
    case 'HostEndpoint':
    case 'CalicoWorkloadEndpoint':
      return withSpec(resource, normalNamedPorts);
    default:
      return resource;
  }
}

/** Kubernetes labels every namespace with its name, and policies count on it. */
function namespaceDefaults(resource: JsonObject): JsonObject {
  const metadata = objectAt(resource, 'metadata');
  const labels = { ...objectAt(metadata, 'labels'), 'kubernetes.io/metadata.name': textAt(metadata, 'name') };
  return { ...resource, metadata: { ...metadata, labels } };
}

/** As written, else by the number of rules. */
export function policyTypes(spec: unknown): readonly unknown[] {
  const written = listAt(spec, 'types');
  if (written.length > 0) return written;
  return typesByLength(listAt(spec, 'ingress').length, listAt(spec, 'egress').length);
}

/** Both directions when both have rules, egress alone when only it has, ingress otherwise. */
function typesByLength(ingressRules: number, egressRules: number): ('Ingress' | 'Egress')[] {
  if (egressRules === 0) return ['Ingress'];
  return ingressRules === 0 ? ['Egress'] : ['Ingress', 'Egress'];
}

function policyDefaults(resource: JsonObject): JsonObject {
  const spec = objectAt(resource, 'spec');
  const tier = textAt(spec, 'tier') || defaultTier;
  const metadata = objectAt(resource, 'metadata');
  const labels = { ...objectAt(metadata, 'labels'), [tierLabel]: tier };
  return {
    ...resource,
    metadata: { ...metadata, labels },
    spec: { ...normalRules(spec), tier, ...typesOf(spec) },
  };
}

/** A staged deletion governs nothing. */
function typesOf(spec: JsonObject): { types?: Json } {
  const isDeletion = listAt(spec, 'types').length === 0 && textAt(spec, 'stagedAction') === 'Delete';
  return isDeletion ? {} : { types: policyTypes(spec) as Json };
}

function stagedKubernetesDefaults(spec: JsonObject): JsonObject {
  const staged = { stagedAction: 'Set', ...spec };
  return staged.stagedAction === 'Delete' ? staged : { ...staged, policyTypes: kubernetesTypes(spec) };
}

/** Kubernetes' own rule: ingress always, egress when it has rules. */
function kubernetesTypes(spec: JsonObject): Json {
  const written = listAt(spec, 'policyTypes');
  if (written.length > 0) return written as Json;
  return listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

function tierDefaults(name: string): JsonObject {
  return { ...(builtinTiers.get(name) ?? { order: usualTierOrder, defaultAction: 'Deny' }) };
}

function poolDefaults(spec: JsonObject): JsonObject {
  const isV6 = familyOf(textAt(spec, 'cidr')) === 6;
  const uses = textAt(spec, 'namespaceSelector') === '' ? ['Workload', 'Tunnel'] : ['Workload'];
  const filled: { [field: string]: Json } = {
    ipipMode: 'Never',
    vxlanMode: 'Never',
    blockSize: isV6 ? 122 : 26,
    nodeSelector: 'all()',
    allowedUses: uses,
    assignmentMode: 'Automatic',
    ...spec,
  };
  if (listAt(spec, 'allowedUses').length === 0) filled.allowedUses = uses;
  if (filled.blockSize === 0) filled.blockSize = isV6 ? 122 : 26;
  return filled;
}

function normalRules(spec: JsonObject): JsonObject {
  const filled: { [field: string]: Json } = { ...spec };
  for (const direction of ['ingress', 'egress']) {
    const rules = member(spec, direction);
    if (Array.isArray(rules)) filled[direction] = rules.map(normalRule);
  }
  return filled;
}

function normalRule(rule: Json): Json {
  if (!isObject(rule)) return rule;
  const filled: { [field: string]: Json } = { ...rule, ...normalProtocols(rule) };
  for (const side of ['source', 'destination']) {
    const peer = member(rule, side);
    if (isObject(peer)) filled[side] = normalPeer(peer as JsonObject);
  }
  return filled;
}

/** Of endpoints. */
function normalNamedPorts(spec: JsonObject): JsonObject {
  const ports = member(spec, 'ports');
  if (!Array.isArray(ports)) return spec;
  return {
    ...spec,
    ports: ports.map((port: Json) => (isObject(port) ? { ...port, ...normalProtocols(port) } : port)),
  };
}

function normalProtocols(of: unknown): JsonObject {
  const filled: { [field: string]: Json } = {};
  for (const field of ['protocol', 'notProtocol']) {
    const number = protocolOf(member(of, field));
    if (number !== null) filled[field] = number in namesByNumber ? protocolName(number) : number;
  }
  return filled;
}

/** A protocol written as a number stays one. */
function protocolOf(value: unknown): number | null {
  return typeof value === 'string' ? tryParseProtocol(value) : null;
}

const namesByNumber: { readonly [number: number]: string } = Object.fromEntries(
  Object.entries(protocolNumbers).map(([name, number]) => [number, name]),
);

function normalPeer(peer: JsonObject): JsonObject {
  const filled: { [field: string]: Json } = { ...peer };
  for (const field of ['ports', 'notPorts']) {
    const ports = member(peer, field);
    if (Array.isArray(ports)) filled[field] = ports.map(normalPort);
  }
  return filled;
}

function normalPort(port: Json): Json {
  const range = typeof port === 'string' ? tryParsePortRange(port) : null;
  if (!range) return port;
  return range.first === range.last ? range.first : portRangeText(range);
}

function withSpec(resource: JsonObject, change: (spec: JsonObject) => JsonObject): JsonObject {
  return { ...resource, spec: change(objectAt(resource, 'spec')) };
}

function objectAt(value: unknown, name: string): JsonObject {
  const found = member(value, name);
  return isObject(found) ? copyObject(found) : {};
}
