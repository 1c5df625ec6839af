// SPDX-License-Identifier: Apache-2.0
/**
 * networking.k8s.io/v1 NetworkPolicy, read from its own text.
 *
 * @see Kubernetes documentation, "Network Policies"; API reference, NetworkPolicySpec and LabelSelectorRequirement
 */
import type { Address } from '../../lib/brand.ts';
import { cidrContains, hostCidr, parseCidr } from '../../lib/cidr.ts';
import { parseProtocol } from '../../lib/protocol.ts';
import type { Resource } from '../types.ts';
import {
  type Fields,
  fieldsIn,
  fieldsOf,
  isPresent,
  labelsIn,
  listIn,
  numberIn,
  textIn,
  textsIn,
} from './fields.ts';
import { namespaceOf, type Owner, owns, type Pod } from './owner.ts';
import { type Direction, hasNamedPort, type OraclePacket, type Policy, type Rule } from './policy.ts';

interface World {
  readonly owners: readonly Owner[];
  /** By name of the namespace. */
  readonly namespaces: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Where Calico puts them, so that both kinds can be ordered against each other. */
const place = { tier: 'default', order: 1000 } as const;

export function kubernetesPolicy(
  resource: Resource,
  owners: readonly Owner[],
  resources: readonly Resource[],
): Policy {
  const spec = fieldsIn(resource, 'spec');
  const namespace = namespaceOf(resource);
  const world: World = { owners, namespaces: namespacesOf(resources) };
  const rules = (direction: Direction): Rule[] =>
    listIn(spec, direction).map((rule) => allowRule(fieldsOf(rule), direction, namespace, world));
  const [ingress, egress] = [rules('ingress'), rules('egress')];
  const types = textsIn(spec, 'policyTypes');
  const podSelector = fieldsIn(spec, 'podSelector');
  return {
    ...place,
    kind: 'KubernetesNetworkPolicy',
    namespace,
    name: resource.metadata.name,
    governs: {
      ingress: types.length === 0 || types.includes('Ingress'),
      egress: types.length === 0 ? egress.length > 0 : types.includes('Egress'),
    },
    rules: { ingress, egress },
    selects: ({ pod }) =>
      pod !== null && pod.namespace === namespace && labelSelectorMatches(podSelector, pod.ownLabels),
  };
}

function namespacesOf(resources: readonly Resource[]): World['namespaces'] {
  const namespaces = resources.filter((resource) => resource.kind === 'Namespace');
  return new Map(namespaces.map(({ metadata }) => [metadata.name, labelsIn(metadata, 'labels')]));
}

function allowRule(rule: Fields, direction: Direction, namespace: string, world: World): Rule {
  const peers = listIn(rule, direction === 'ingress' ? 'from' : 'to').map(fieldsOf);
  const ports = listIn(rule, 'ports').map(fieldsOf);
  return {
    action: 'allow',
    matches: (packet) => {
      const other = direction === 'ingress' ? packet.from : packet.to;
      return (
        (peers.length === 0 || peers.some((peer) => peerMatches(peer, other, namespace, world))) &&
        (ports.length === 0 || ports.some((port) => portMatches(port, packet, world)))
      );
    },
  };
}

function peerMatches(peer: Fields, address: Address, namespace: string, world: World): boolean {
  if (isPresent(peer, 'ipBlock')) return blockMatches(fieldsIn(peer, 'ipBlock'), address);
  return world.owners.some(
    (owner) => owner.pod && owns(owner, address) && podMatches(peer, owner.pod, namespace, world),
  );
}

function blockMatches(block: Fields, address: Address): boolean {
  const within = (text: string) => cidrContains(parseCidr(text), hostCidr(address));
  return within(textIn(block, 'cidr')) && !textsIn(block, 'except').some(within);
}

/** Pods of the policy's own namespace, unless the peer says which namespaces. */
function podMatches(peer: Fields, pod: Pod, namespace: string, world: World): boolean {
  const inNamespace = isPresent(peer, 'namespaceSelector')
    ? labelSelectorMatches(
        fieldsIn(peer, 'namespaceSelector'),
        world.namespaces.get(pod.namespace) ?? new Map(),
      )
    : pod.namespace === namespace;
  return inNamespace && labelSelectorMatches(fieldsIn(peer, 'podSelector'), pod.ownLabels);
}

/** The destination's port in both directions; a name means what the destination pod calls so. */
function portMatches(port: Fields, packet: OraclePacket, world: World): boolean {
  if (packet.protocol !== parseProtocol(textIn(port, 'protocol') || 'TCP')) return false;
  if (!isPresent(port, 'port')) return true;
  if (packet.dstPort === undefined) return false;
  const first = numberIn(port, 'port');
  if (first !== undefined)
    return packet.dstPort >= first && packet.dstPort <= (numberIn(port, 'endPort') ?? first);
  const name = textIn(port, 'port');
  return world.owners.some(
    (owner) =>
      owner.pod &&
      owns(owner, packet.to) &&
      hasNamedPort(owner.pod.ports, name, packet.protocol, packet.dstPort),
  );
}

/** Everything must hold; nothing written selects everything. */
function labelSelectorMatches(selector: Fields, labels: ReadonlyMap<string, string>): boolean {
  const exact = [...labelsIn(selector, 'matchLabels')];
  return (
    exact.every(([key, value]) => labels.get(key) === value) &&
    listIn(selector, 'matchExpressions').every((row) => requirementHolds(fieldsOf(row), labels))
  );
}

function requirementHolds(row: Fields, labels: ReadonlyMap<string, string>): boolean {
  const value = labels.get(textIn(row, 'key'));
  const values = textsIn(row, 'values');
  const operator = textIn(row, 'operator');
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      throw new TypeError(`no such operator: ${JSON.stringify(operator)}`);
  }
}
