// SPDX-License-Identifier: Apache-2.0
/**
 * networking.k8s.io/v1 NetworkPolicy as the v3 NetworkPolicy that means the same: tier default, order 1000, only Allow
 * rules, the tier's end denies what they leave.
 *
 * @see libcalico-go/lib/backend/k8s/conversion, K8sNetworkPolicyToCalico
 */
import { tryParseCidr } from '../../lib/cidr.ts';
import { type PortRange, portRangeText, unionOfRanges } from '../../lib/ports.ts';
import { defaultTier } from '../builtin.ts';
import { isObject, listAt, member, memberAt, textAt } from '../json.ts';
import { calicoVersion } from '../kinds.ts';
import { convertedOrigin } from '../origin.ts';
import type { Json, JsonObject, Resource } from '../types.ts';
import { namespaceSelectorText, podSelectorText } from './labels.ts';

/** Before the name, so that a v3 policy of the same name is another. */
export const convertedPolicyPrefix = 'knp.default.';
const convertedPolicyOrder = 1000;

export function convertNetworkPolicy(policy: Resource): Resource {
  const { name, namespace = 'default', creationTimestamp, resourceVersion } = policy.metadata;
  const ingress = listAt(policy, 'spec', 'ingress').map((rule) => rulesOf(rule, 'from', 'source'));
  const egress = listAt(policy, 'spec', 'egress').map((rule) => rulesOf(rule, 'to', 'destination'));
  const annotations = convertedOrigin(policy, { ingress, egress });
  return {
    apiVersion: calicoVersion,
    kind: 'NetworkPolicy',
    metadata: {
      name: `${convertedPolicyPrefix}${name}`,
      namespace,
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(annotations === null ? {} : { annotations }),
    },
    spec: {
      tier: defaultTier,
      order: convertedPolicyOrder,
      selector: podSelectorText(memberAt(policy, 'spec', 'podSelector')),
      types: typesOf(policy),
      ...(ingress.length > 0 ? { ingress: ingress.flat() } : {}),
      ...(egress.length > 0 ? { egress: egress.flat() } : {}),
    },
  };
}

/**
 * The policy with the directions that it governs written out, so that they stay when rules go.
 *
 * @param paths - `spec.ingress[0]`: the rules to leave out.
 */
export function withoutRules(policy: Resource, paths: ReadonlySet<string>): Resource {
  const kept = (['ingress', 'egress'] as const).map((direction) => {
    const rules = listAt(policy, 'spec', direction);
    return [direction, rules.filter((_, i) => !paths.has(`spec.${direction}[${i}]`))] as const;
  });
  const spec = { ...(policy.spec as JsonObject), ...Object.fromEntries(kept), policyTypes: typesOf(policy) };
  return { ...policy, spec };
}

/** The API server fills policyTypes in; in its absence ingress always counts, egress when it has rules. */
function typesOf(policy: Resource): readonly string[] {
  const written = listAt(policy, 'spec', 'policyTypes').filter((type) => typeof type === 'string');
  if (written.length > 0) return written;
  return listAt(policy, 'spec', 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

function rulesOf(rule: unknown, peers: 'from' | 'to', side: 'source' | 'destination'): JsonObject[] {
  const ends = peersOf(listAt(rule, peers));
  return portsOf(listAt(rule, 'ports')).flatMap((port) => ends.map((end) => ruleOf(port, end, side)));
}

/** One protocol's ports of a rule; without protocol any packet; without ports any port. */
interface PortGroup {
  readonly protocol?: string;
  readonly ports?: readonly Json[];
}

function ruleOf(group: PortGroup, end: JsonObject, side: 'source' | 'destination'): JsonObject {
  const ports = group.ports ? { ports: group.ports } : {};
  const source = side === 'source' ? end : {};
  const destination = side === 'destination' ? { ...end, ...ports } : ports;
  return {
    action: 'Allow',
    ...(group.protocol === undefined ? {} : { protocol: group.protocol }),
    source: source as Json,
    destination: destination as Json,
  };
}

/** One group per protocol, in order of name: its named ports, then its numbers joined into sorted ranges. */
function portsOf(ports: readonly unknown[]): readonly PortGroup[] {
  if (ports.length === 0) return [{}]; // any packet
  const byProtocol = Map.groupBy(ports, (port) => textAt(port, 'protocol') || 'TCP');
  const groups = [...byProtocol].sort(([a], [b]) => (a < b ? -1 : 1));
  return groups.flatMap(([protocol, group]) => {
    if (group.some((port) => member(port, 'port') === undefined)) return [{ protocol }];
    const names = group.map((port) => textAt(port, 'port')).filter((name) => !/^[0-9]*$/.test(name));
    const list = [...new Set(names), ...unionOfRanges(group.flatMap(rangeOf)).map(portJson)];
    // every port of the group was beyond conversion: the group admits nothing, which is not "any port"
    return list.length > 0 ? [{ protocol, ports: list }] : [];
  });
}

function rangeOf(port: unknown): PortRange[] {
  const first = Number(member(port, 'port'));
  const last = Number(member(port, 'endPort') ?? first);
  return Number.isInteger(first) && Number.isInteger(last) && first <= last ? [{ first, last }] : [];
}

function portJson(range: PortRange): Json {
  return range.first === range.last ? range.first : portRangeText(range);
}

/** No list, or an empty one: anyone. */
function peersOf(peers: readonly unknown[]): readonly JsonObject[] {
  return peers.length === 0 ? [{}] : peers.flatMap(peerOf);
}

/** A peer that names nothing we know admits nobody; the rule's other peers stand. */
function peerOf(peer: unknown): JsonObject[] {
  const block = member(peer, 'ipBlock');
  if (isObject(block)) return blockOf(block);
  const pods = member(peer, 'podSelector');
  const namespaces = member(peer, 'namespaceSelector');
  if (pods === undefined && namespaces === undefined) return [];
  const selector = podSelectorText(pods);
  return [
    namespaces === undefined
      ? { selector }
      : { selector, namespaceSelector: namespaceSelectorText(namespaces) },
  ];
}

function blockOf(block: unknown): JsonObject[] {
  const cidr = tryParseCidr(textAt(block, 'cidr'));
  const except = listAt(block, 'except').map((text) => tryParseCidr(String(text)));
  // an exception that cannot be read would admit what its author forbade
  if (!cidr || except.includes(null)) return [];
  return [{ nets: [cidr], ...(except.length > 0 ? { notNets: except as Json } : {}) }];
}
