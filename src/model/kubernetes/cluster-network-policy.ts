// SPDX-License-Identifier: Apache-2.0
/**
 * policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy as the v3 GlobalNetworkPolicy that means the same: tier
 * kube-admin or kube-baseline, order by priority, Pods alone.
 *
 * A rule that asks for what is not known closes: an Accept rule vanishes, a Deny or Pass rule denies everything.
 *
 * @see sigs.k8s.io/network-policy-api apis/v1alpha2, ClusterNetworkPolicyIngressPeer: "fail closed"
 */
import { tryParseCidr } from '../../lib/cidr.ts';
import { type PortRange, portRangeText, unionOfRanges } from '../../lib/ports.ts';
import { isObject, listAt, member, memberAt, textAt } from '../json.ts';
import { calicoVersion } from '../kinds.ts';
import { convertedOrigin } from '../origin.ts';
import type { Json, JsonObject, Resource } from '../types.ts';
import { namespaceSelectorText, podSelectorText } from './labels.ts';

const tiers: { readonly [written: string]: string } = { Admin: 'kube-admin', Baseline: 'kube-baseline' };
const actions: { readonly [written: string]: string } = { Accept: 'Allow', Deny: 'Deny', Pass: 'Pass' };

export function convertClusterNetworkPolicy(policy: Resource): Resource {
  const { name, creationTimestamp, resourceVersion } = policy.metadata;
  const ingress = listAt(policy, 'spec', 'ingress').map((rule) => rulesOf(rule, 'from', 'source'));
  const egress = listAt(policy, 'spec', 'egress').map((rule) => rulesOf(rule, 'to', 'destination'));
  const annotations = convertedOrigin(policy, { ingress, egress });
  return {
    apiVersion: calicoVersion,
    kind: 'GlobalNetworkPolicy',
    metadata: {
      name,
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(annotations === null ? {} : { annotations }),
    },
    spec: {
      tier: tiers[textAt(policy, 'spec', 'tier')] ?? '',
      order: memberAt(policy, 'spec', 'priority') as Json,
      ...podsOf(memberAt(policy, 'spec', 'subject')),
      types: [
        ...(ingress.flat().length > 0 ? ['Ingress'] : []),
        ...(egress.flat().length > 0 ? ['Egress'] : []),
      ],
      ingress: ingress.flat(),
      egress: egress.flat(),
    },
  };
}

/** The policy with these rules (`spec.ingress[0]`) stripped to their action, which conversion then closes. */
export function withClosedRules(policy: Resource, paths: ReadonlySet<string>): Resource {
  const closed = (['ingress', 'egress'] as const).map((direction) => {
    const rules = listAt(policy, 'spec', direction).map((rule, i) =>
      paths.has(`spec.${direction}[${i}]`) ? { action: textAt(rule, 'action') } : rule,
    );
    return [direction, rules] as const;
  });
  return { ...policy, spec: { ...(policy.spec as JsonObject), ...Object.fromEntries(closed) } };
}

/** Of a subject or peer that names Pods or namespaces: never anything else that has these labels. */
function podsOf(peer: unknown): { selector: string; namespaceSelector: string } {
  const pods = member(peer, 'pods');
  return {
    selector: podSelectorText(member(pods, 'podSelector')),
    namespaceSelector: namespaceSelectorText(
      pods === undefined ? member(peer, 'namespaces') : member(pods, 'namespaceSelector'),
    ),
  };
}

function rulesOf(rule: unknown, peers: 'from' | 'to', side: 'source' | 'destination'): JsonObject[] {
  const action = actions[textAt(rule, 'action')];
  const ends = listAt(rule, peers).map((peer) => endOf(peer, side));
  const ports = portsOf(listAt(rule, 'protocols'));
  if (action === undefined || ends.length === 0 || ends.includes(null) || ports === null) {
    return action === 'Allow' ? [] : [{ action: 'Deny' }];
  }
  return ports.flatMap((port) =>
    ends.flatMap((end) => (end === null ? [] : [{ action, ...ruleOf(port, end, side) }])),
  );
}

/** One protocol's ports of a rule; without protocol any packet, or named ports of any protocol. */
interface PortGroup {
  readonly protocol?: string;
  readonly ports?: readonly Json[];
}

function ruleOf(group: PortGroup, end: JsonObject, side: 'source' | 'destination'): JsonObject {
  const ports = group.ports ? { ports: group.ports } : {};
  const destination = side === 'destination' ? { ...end, ...ports } : ports;
  return {
    ...(group.protocol === undefined ? {} : { protocol: group.protocol }),
    ...(side === 'source' ? { source: end } : {}),
    destination: destination as Json,
  };
}

/** Null for a peer of no kind that is known; nodes and domain names are not. */
function endOf(peer: unknown, side: 'source' | 'destination'): JsonObject | null {
  if (!isObject(peer) || Object.keys(peer).length !== 1) return null;
  if (isObject(member(peer, 'pods')) || isObject(member(peer, 'namespaces'))) return { ...podsOf(peer) };
  const networks = listAt(peer, 'networks').map((text) => tryParseCidr(String(text)));
  if (side === 'source' || networks.length === 0 || networks.includes(null)) return null;
  return { nets: networks as Json };
}

/** One group for each protocol, in order of name; null when an item is of no form that is known. */
function portsOf(protocols: readonly unknown[]): readonly PortGroup[] | null {
  if (protocols.length === 0) return [{}];
  const ranges = new Map<string, PortRange[]>();
  const names: string[] = [];
  for (const item of protocols) {
    const named = textAt(item, 'destinationNamedPort');
    const protocol = ['TCP', 'UDP', 'SCTP'].find((name) => isObject(member(item, name.toLowerCase())));
    const range = protocol === undefined ? null : portOf(member(item, protocol.toLowerCase()));
    if (named !== '') names.push(named);
    else if (protocol === undefined || range === null) return null;
    else ranges.set(protocol, [...(ranges.get(protocol) ?? []), range]);
  }
  const numbered = [...ranges].sort(([a], [b]) => (a < b ? -1 : 1)).map(groupOf);
  return names.length > 0 ? [...numbered, { ports: names }] : numbered;
}

function groupOf([protocol, ranges]: [string, readonly PortRange[]]): PortGroup {
  const ports = unionOfRanges(ranges).map((range) =>
    range.first === range.last ? range.first : portRangeText(range),
  );
  return { protocol, ports };
}

function portOf(protocol: unknown): PortRange | null {
  const number = memberAt(protocol, 'destinationPort', 'number');
  if (typeof number === 'number') return { first: number, last: number };
  const [start, end] = ['start', 'end'].map((edge) => memberAt(protocol, 'destinationPort', 'range', edge));
  return typeof start === 'number' && typeof end === 'number' ? { first: start, last: end } : null;
}
