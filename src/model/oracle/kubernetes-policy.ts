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
import type { Directory } from './directory.ts';
import { type Fields, fieldsIn, fieldsOf, isPresent, listIn, numberIn, textIn, textsIn } from './fields.ts';
import { labelSelectorMatches } from './label-selector.ts';
import { namespaceOf, owns, type Pod } from './owner.ts';
import { type Direction, hasNamedPort, type OraclePacket, type Policy, type Rule } from './policy.ts';

/** Where Calico puts them, so that both kinds can be ordered against each other. */
const place = { tier: 'default', order: 1000 } as const;

export function kubernetesPolicy(resource: Resource, directory: Directory): Policy {
  const spec = fieldsIn(resource, 'spec');
  const namespace = namespaceOf(resource);
  const rules = (direction: Direction): Rule[] =>
    listIn(spec, direction).map((rule) => allowRule(fieldsOf(rule), direction, namespace, directory));
  const [ingress, egress] = [rules('ingress'), rules('egress')];
  const types = textsIn(spec, 'policyTypes');
  const podSelector = fieldsIn(spec, 'podSelector');
  return {
    ...place,
    kind: 'KubernetesNetworkPolicy',
    traffic: 'normal',
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

function allowRule(rule: Fields, direction: Direction, namespace: string, directory: Directory): Rule {
  const peers = listIn(rule, direction === 'ingress' ? 'from' : 'to').map(fieldsOf);
  const ports = listIn(rule, 'ports').map(fieldsOf);
  return {
    action: 'allow',
    matches: (packet) => {
      const other = direction === 'ingress' ? packet.from : packet.to;
      return (
        (peers.length === 0 || peers.some((peer) => peerMatches(peer, other, namespace, directory))) &&
        (ports.length === 0 || ports.some((port) => portMatches(port, packet, directory)))
      );
    },
  };
}

function peerMatches(peer: Fields, address: Address, namespace: string, directory: Directory): boolean {
  if (isPresent(peer, 'ipBlock')) return blockMatches(fieldsIn(peer, 'ipBlock'), address);
  return directory.owners.some(
    (owner) => owner.pod && owns(owner, address) && podMatches(peer, owner.pod, namespace, directory),
  );
}

function blockMatches(block: Fields, address: Address): boolean {
  const within = (text: string) => cidrContains(parseCidr(text), hostCidr(address));
  return within(textIn(block, 'cidr')) && !textsIn(block, 'except').some(within);
}

/** Pods of the policy's own namespace, unless the peer says which namespaces. */
function podMatches(peer: Fields, pod: Pod, namespace: string, directory: Directory): boolean {
  const inNamespace = isPresent(peer, 'namespaceSelector')
    ? labelSelectorMatches(
        fieldsIn(peer, 'namespaceSelector'),
        directory.namespaces.get(pod.namespace) ?? new Map(),
      )
    : pod.namespace === namespace;
  return inNamespace && labelSelectorMatches(fieldsIn(peer, 'podSelector'), pod.ownLabels);
}

/** The destination's port in both directions; a name means what the destination calls so, pod or host. */
function portMatches(port: Fields, packet: OraclePacket, directory: Directory): boolean {
  if (packet.protocol !== parseProtocol(textIn(port, 'protocol') || 'TCP')) return false;
  if (!isPresent(port, 'port')) return true;
  if (packet.dstPort === undefined) return false;
  const first = numberIn(port, 'port');
  if (first !== undefined)
    return packet.dstPort >= first && packet.dstPort <= (numberIn(port, 'endPort') ?? first);
  const name = textIn(port, 'port');
  return directory.owners.some(
    (owner) => owns(owner, packet.to) && hasNamedPort(owner.ports, name, packet.protocol, packet.dstPort),
  );
}
