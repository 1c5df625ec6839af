// SPDX-License-Identifier: Apache-2.0
/**
 * networking.k8s.io/v1 NetworkPolicy as the v3 NetworkPolicy that means the same: tier default, order 1000, only Allow
 * rules, the tier's end denies what they leave.
 *
 * @see libcalico-go/lib/backend/k8s/conversion, K8sNetworkPolicyToCalico
 */
import { tryParseCidr } from '../../lib/cidr.ts';
import { type PortRange, portRangeText, unionOfRanges } from '../../lib/ports.ts';
import { isObject, listAt, member, memberAt, textAt } from '../json.ts';
import type { Json, JsonObject, Resource } from '../types.ts';
import { namespaceSelectorText, podSelectorText } from './labels.ts';

/** Before the name, so that a v3 policy of the same name is another. */
export const convertedPolicyPrefix = 'knp.default.';
const convertedPolicyOrder = 1000;

export function convertNetworkPolicy(policy: Resource): Resource {
  const {
    name,
    namespace = 'default',
    uid,
    creationTimestamp,
    resourceVersion,
    annotations,
  } = policy.metadata;
  const spec = policy.spec;
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: {
      name: `${convertedPolicyPrefix}${name}`,
      namespace,
      ...(uid === undefined ? {} : { uid }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: {
      tier: 'default',
      order: convertedPolicyOrder,
      selector: podSelectorText(memberAt(spec, 'podSelector')),
      types: typesOf(spec),
      ingress: rulesOf(listAt(spec, 'ingress'), 'from', 'source'),
      egress: rulesOf(listAt(spec, 'egress'), 'to', 'destination'),
    },
  };
}

/** The API server fills policyTypes in; in its absence ingress always counts, egress when it has rules. */
function typesOf(spec: unknown): readonly string[] {
  const written = listAt(spec, 'policyTypes').filter((type) => typeof type === 'string');
  if (written.length > 0) return written;
  return listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

function rulesOf(
  rules: readonly unknown[],
  peers: 'from' | 'to',
  side: 'source' | 'destination',
): JsonObject[] {
  return rules.flatMap((rule) => {
    const ends = peersOf(listAt(rule, peers));
    return portsOf(listAt(rule, 'ports')).flatMap((port) => ends.map((end) => ruleOf(port, end, side)));
  });
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

/** One group per protocol, its numbers joined into sorted ranges, then its names. No list at all: any packet. */
function portsOf(ports: readonly unknown[]): readonly PortGroup[] {
  if (ports.length === 0) return [{}];
  const byProtocol = Map.groupBy(ports, (port) => textAt(port, 'protocol') || 'TCP');
  return [...byProtocol].flatMap(([protocol, group]) => {
    if (group.some((port) => member(port, 'port') === undefined)) return [{ protocol }];
    const numbers = unionOfRanges(group.flatMap(rangeOf)).map(portJson);
    const names = group
      .map((port) => member(port, 'port'))
      .filter((port) => typeof port === 'string' && !/^\d+$/.test(port));
    const list = [...numbers, ...new Set(names as string[])];
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
