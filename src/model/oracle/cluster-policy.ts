// SPDX-License-Identifier: Apache-2.0
/**
 * policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, read from its own text. What it says in words of another version
 * fails closed: Accept then accepts nothing, Deny and Pass deny everything.
 *
 * @see network-policy-api, apis/v1alpha2, ClusterNetworkPolicySpec and its peers
 */
import { cidrContains, hostCidr, tryParseCidr } from '../../lib/cidr.ts';
import type { Resource } from '../types.ts';
import type { Directory } from './directory.ts';
import { type Fields, fieldsIn, fieldsOf, isPresent, listIn, numberIn, textIn } from './fields.ts';
import { isLabelSelector, labelSelectorMatches } from './label-selector.ts';
import { type Owner, owns, type Pod } from './owner.ts';
import { type Direction, hasNamedPort, type OraclePacket, type Policy, type Rule } from './policy.ts';

type Matches<T> = (subject: T) => boolean;

const tiers = new Map([
  ['Admin', 'kube-admin'],
  ['Baseline', 'kube-baseline'],
]);
const actions = new Map<string, Rule['action']>([
  ['Accept', 'allow'],
  ['Deny', 'deny'],
  ['Pass', 'pass'],
]);
const protocols = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
]);
const maxPort = 65535;

/** Null when it is malformed: then there is none. */
export function clusterPolicy(resource: Resource, directory: Directory): Policy | null {
  const spec = fieldsIn(resource, 'spec');
  const tier = tiers.get(textIn(spec, 'tier'));
  const order = numberIn(spec, 'priority');
  const subject = podsOf(fieldsIn(spec, 'subject'), directory);
  const isMalformed = (['ingress', 'egress'] as const).some((direction) =>
    listIn(spec, direction).some((rule) => !isRule(fieldsOf(rule), direction)),
  );
  if (!tier || !isPriority(order) || !subject || isMalformed) return null;
  const rules = (direction: Direction) =>
    listIn(spec, direction).flatMap((rule) => ruleOf(fieldsOf(rule), direction, directory) ?? []);
  const [ingress, egress] = [rules('ingress'), rules('egress')];
  return {
    kind: 'ClusterNetworkPolicy',
    namespace: '',
    name: resource.metadata.name,
    tier,
    order,
    traffic: 'normal',
    governs: { ingress: ingress.length > 0, egress: egress.length > 0 },
    rules: { ingress, egress },
    selects: ({ pod }) => pod !== null && subject(pod),
  };
}

function isPriority(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 1000;
}

function isRule(rule: Fields, direction: Direction): boolean {
  return actions.has(textIn(rule, 'action')) && listIn(rule, peersField[direction]).length > 0;
}

const peersField = { ingress: 'from', egress: 'to' } as const;

/** Null for an Accept that cannot be understood. */
function ruleOf(rule: Fields, direction: Direction, directory: Directory): Rule | null {
  const action = actions.get(textIn(rule, 'action')) ?? 'deny';
  const peers = listIn(rule, peersField[direction]).map((peer) =>
    peerOf(fieldsOf(peer), direction, directory),
  );
  const ports = listIn(rule, 'protocols').map((port) => protocolOf(fieldsOf(port), directory.owners));
  if ([...peers, ...ports].includes(null) || namesPortsOfNetworks(rule)) {
    return action === 'allow' ? null : { action: 'deny', matches: () => true };
  }
  return {
    action,
    matches: (packet) =>
      peers.some((isPeer) => isPeer?.(packet)) &&
      (ports.length === 0 || ports.some((isPort) => isPort?.(packet))),
  };
}

/** Networks have no named ports. */
function namesPortsOfNetworks(rule: Fields): boolean {
  return (
    listIn(rule, 'to').some((peer) => isPresent(fieldsOf(peer), 'networks')) &&
    listIn(rule, 'protocols').some((port) => isPresent(fieldsOf(port), 'destinationNamedPort'))
  );
}

/** Null for what this version does not say, and for nodes and domain names. */
function peerOf(peer: Fields, direction: Direction, directory: Directory): Matches<OraclePacket> | null {
  if (direction === 'egress' && onlyMember(peer) === 'networks') return networksOf(peer);
  const isPod = podsOf(peer, directory);
  if (!isPod) return null;
  return ({ from, to }) => {
    const other = direction === 'ingress' ? from : to;
    return directory.owners.some((owner) => owner.pod && owns(owner, other) && isPod(owner.pod));
  };
}

function networksOf(peer: Fields): Matches<OraclePacket> | null {
  const texts = listIn(peer, 'networks').map(String);
  const nets = texts.map((text) => (text.includes('/') ? tryParseCidr(text) : null));
  if (nets.length === 0 || nets.includes(null)) return null;
  return ({ to }) => nets.some((net) => net && cidrContains(net, hostCidr(to)));
}

/** By `namespaces` or by `pods`: exactly one of them is written. Null when it is neither, or not to be understood. */
function podsOf(choice: Fields, { namespaces }: Directory): Matches<Pod> | null {
  const member = onlyMember(choice);
  const { namespaceSelector, podSelector } =
    member === 'namespaces' ? { namespaceSelector: choice[member], podSelector: {} } : podsIn(choice);
  const isUnderstood = isLabelSelector(namespaceSelector) && isLabelSelector(podSelector);
  if (!isUnderstood || (member !== 'namespaces' && member !== 'pods')) return null;
  return (pod) =>
    labelSelectorMatches(fieldsOf(namespaceSelector), namespaces.get(pod.namespace) ?? new Map()) &&
    labelSelectorMatches(fieldsOf(podSelector), pod.ownLabels);
}

function podsIn(choice: Fields): { readonly namespaceSelector: unknown; readonly podSelector: unknown } {
  const { namespaceSelector, podSelector } = fieldsIn(choice, 'pods');
  return { namespaceSelector: namespaceSelector ?? {}, podSelector: podSelector ?? {} };
}

function onlyMember(of: Fields): string | null {
  const members = Object.keys(of).filter((name) => isPresent(of, name));
  return members.length === 1 ? (members[0] ?? null) : null;
}

/** Null for what this version does not say. */
function protocolOf(row: Fields, owners: readonly Owner[]): Matches<OraclePacket> | null {
  const member = onlyMember(row) ?? '';
  const name = textIn(row, 'destinationNamedPort');
  if (member === 'destinationNamedPort' && name) return (packet) => isNamed(name, packet, owners);
  const protocol = protocols.get(member);
  const range = portsOf(fieldsIn(fieldsIn(row, member), 'destinationPort'));
  if (protocol === undefined || !range) return null;
  const { first, last } = range;
  return ({ protocol: its, dstPort = -1 }) => its === protocol && dstPort >= first && dstPort <= last;
}

/** A name means what the destination pod calls so, whatever the protocol. */
function isNamed(name: string, { to, protocol, dstPort }: OraclePacket, owners: readonly Owner[]): boolean {
  return owners.some(
    (owner) => owner.pod && owns(owner, to) && hasNamedPort(owner.ports, name, protocol, dstPort),
  );
}

function portsOf(port: Fields): { first: number; last: number } | null {
  const member = onlyMember(port);
  const range = fieldsIn(port, 'range');
  const [first, last] =
    member === 'number'
      ? [numberIn(port, 'number'), numberIn(port, 'number')]
      : [numberIn(range, 'start'), numberIn(range, 'end')];
  if (first === undefined || last === undefined || first < 1 || last > maxPort || first > last) return null;
  return { first, last };
}
