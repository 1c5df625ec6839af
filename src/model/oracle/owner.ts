// SPDX-License-Identifier: Apache-2.0
/**
 * Who an address belongs to: pods, host endpoints and network sets, with the labels that selectors see.
 *
 * One address may have any number of owners: a pod and every network set around it.
 */

import { tryParseAddress } from '../../lib/address.ts';
import type { Address, Cidr } from '../../lib/brand.ts';
import { cidrContains, hostCidr, parseCidr } from '../../lib/cidr.ts';
import { parseProtocol } from '../../lib/protocol.ts';
import type { Resource } from '../types.ts';
import {
  type Fields,
  fieldsIn,
  fieldsOf,
  isTrue,
  labelsIn,
  listIn,
  numberIn,
  textIn,
  textsIn,
} from './fields.ts';
import type { Subject } from './selects.ts';

export interface Owner {
  /** For people: `Pod/default/web`, `HostEndpoint/n1-eth0`, `NetworkSet/default/db`, `GlobalNetworkSet/dns`. */
  readonly name: string;
  /** Its own and what it inherits from its profiles, under the names that selectors use. */
  readonly labels: ReadonlyMap<string, string>;
  readonly nets: readonly Cidr[];
  /** Sets have neither ports nor profiles of their own. */
  readonly ports: readonly NamedPort[];
  /** In order of evaluation. */
  readonly profiles: readonly string[];
  readonly pod: Pod | null;
  readonly host: HostInterface | null;
}

/** A pod that has an endpoint. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /** As its author wrote them: what Kubernetes' own policies see. */
  readonly ownLabels: ReadonlyMap<string, string>;
  readonly node: string;
}

/** A HostEndpoint: which of a node's links it is about. Its expectedIPs are its owner's nets. */
export interface HostInterface {
  readonly name: string;
  readonly node: string;
  /** Empty: the one that has an expected address. `*`: every one that has no endpoint of its own. */
  readonly ifName: string;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

/** Prefixes under which labels are inherited from namespaces and service accounts. No pod may carry them itself. */
const reservedPrefixes = ['pcns.', 'pcsa.'] as const;
export const namespaceLabel = 'projectcalico.org/namespace';
const orchestratorLabel = 'projectcalico.org/orchestrator';
export const serviceAccountLabel = 'projectcalico.org/serviceaccount';
const nameLabel = 'projectcalico.org/name';
const defaultNamespace = 'default';
/** Kubernetes gives it to every pod that names none. */
const defaultAccount = 'default';
/** Open both ways; nobody can store another of that name. */
export const builtinProfile = 'projectcalico-default-allow';

export function namespaceOf(resource: Resource): string {
  return resource.metadata.namespace || defaultNamespace;
}

export function ownersOf(resources: readonly Resource[]): Owner[] {
  return resources.flatMap((resource) => ownerOf(resource, resources) ?? []);
}

export function owns(owner: Owner, address: Address): boolean {
  return owner.nets.some((net) => cidrContains(net, hostCidr(address)));
}

/** For endpoint selectors. */
export function labelsOf(owner: Owner): Subject {
  return { label: (name) => owner.labels.get(name), all: true, global: true };
}

/** For namespace selectors: `all()` is "has a namespace", `global()` is "has none". */
export function namespaceOfOwner(owner: Owner): Subject {
  const isInNamespace = owner.labels.has(namespaceLabel);
  return { label: (name) => owner.labels.get(`pcns.${name}`), all: isInNamespace, global: !isInNamespace };
}

/** For service account selectors in rules and namespaced policies: only the labels differ. */
export function serviceAccountOfOwner(owner: Owner): Subject {
  return { label: (name) => owner.labels.get(`pcsa.${name}`), all: true, global: true };
}

/** For those of global policies, where `all()` is "has a service account". */
export function serviceAccountOfEndpoint(owner: Owner): Subject {
  return { ...serviceAccountOfOwner(owner), all: owner.labels.has(serviceAccountLabel) };
}

const noEndpoint = { ports: [], profiles: [], pod: null, host: null } as const;

function ownerOf(resource: Resource, all: readonly Resource[]): Owner | null {
  switch (resource.kind) {
    case 'Pod':
      return hasEndpoint(resource) ? podOwner(resource, all) : null;
    case 'NetworkSet':
      return namespacedSet(resource, all);
    case 'GlobalNetworkSet':
      return {
        name: `GlobalNetworkSet/${resource.metadata.name}`,
        labels: labelsIn(resource.metadata, 'labels'),
        nets: netsOf(resource),
        ...noEndpoint,
      };
    case 'HostEndpoint':
      return hostOwner(resource, all);
    default:
      return null;
  }
}

/** A pod in the host's network has no endpoint of its own, and one that ended has given back its addresses. */
function hasEndpoint(pod: Resource): boolean {
  const spec = fieldsIn(pod, 'spec');
  if (textIn(spec, 'nodeName') === '' || isTrue(spec, 'hostNetwork')) return false; // not placed, or the node's own
  return !['Succeeded', 'Failed'].includes(textIn(fieldsIn(pod, 'status'), 'phase'));
}

function podOwner(resource: Resource, all: readonly Resource[]): Owner {
  const namespace = namespaceOf(resource);
  const account = textIn(fieldsIn(resource, 'spec'), 'serviceAccountName') || defaultAccount;
  const own = labelsIn(resource.metadata, 'labels');
  const free = [...own].filter(([key]) => !reservedPrefixes.some((prefix) => key.startsWith(prefix)));
  const profiles = [`kns.${namespace}`, `ksa.${namespace}.${account}`];
  const labels = new Map([
    ...inheritedLabels(profiles, all),
    ...free,
    [namespaceLabel, namespace],
    [orchestratorLabel, 'k8s'],
    [serviceAccountLabel, account],
  ]);
  const { name } = resource.metadata;
  const pod: Pod = { namespace, name, ownLabels: own, node: textIn(fieldsIn(resource, 'spec'), 'nodeName') };
  const ports = portsOf(resource);
  const nets = podAddresses(resource);
  return { name: `Pod/${namespace}/${name}`, labels, nets, ports, profiles, pod, host: null };
}

function hostOwner(resource: Resource, all: readonly Resource[]): Owner {
  const spec = fieldsIn(resource, 'spec');
  const { name } = resource.metadata;
  const profiles = textsIn(spec, 'profiles');
  const ports = listIn(spec, 'ports').map(fieldsOf);
  return {
    name: `HostEndpoint/${name}`,
    labels: new Map([...inheritedLabels(profiles, all), ...labelsIn(resource.metadata, 'labels')]),
    nets: addressNets(textsIn(spec, 'expectedIPs')),
    ports: ports.flatMap((port) => namedPort(port, 'port')),
    profiles,
    pod: null,
    host: { name, node: textIn(spec, 'node'), ifName: textIn(spec, 'interfaceName') },
  };
}

function namespacedSet(resource: Resource, all: readonly Resource[]): Owner {
  const namespace = namespaceOf(resource);
  const labels = new Map([
    ...labelsOfProfile(`kns.${namespace}`, all),
    ...labelsIn(resource.metadata, 'labels'),
    [namespaceLabel, namespace],
  ]);
  return {
    name: `NetworkSet/${namespace}/${resource.metadata.name}`,
    labels,
    nets: netsOf(resource),
    ...noEndpoint,
  };
}

/** The first profile that has a label gives it. */
function inheritedLabels(profiles: readonly string[], all: readonly Resource[]): [string, string][] {
  return profiles.toReversed().flatMap((profile) => [...labelsOfProfile(profile, all)]);
}

/** Of the namespace or service account that the profile follows from, else of the stored profile. */
function labelsOfProfile(profile: string, all: readonly Resource[]): ReadonlyMap<string, string> {
  if (profile === builtinProfile) return new Map();
  const stored = (kind: string, name: string) =>
    all.find((resource) => resource.kind === kind && profile === name.replace('*', nameWithin(resource)));
  const namespace = stored('Namespace', 'kns.*');
  if (namespace) return prefixed('pcns.', namespace);
  const account = stored('ServiceAccount', 'ksa.*');
  if (account) return prefixed('pcsa.', account);
  const written = stored('Profile', '*');
  return written ? labelsIn(fieldsIn(written, 'spec'), 'labelsToApply') : new Map();
}

function nameWithin(resource: Resource): string {
  const { name } = resource.metadata;
  return resource.kind === 'ServiceAccount' ? `${namespaceOf(resource)}.${name}` : name;
}

function prefixed(prefix: string, resource: Resource): ReadonlyMap<string, string> {
  const labels = [...labelsIn(resource.metadata, 'labels'), [nameLabel, resource.metadata.name] as const];
  return new Map(labels.map(([key, value]) => [prefix + key, value]));
}

function podAddresses(pod: Resource): Cidr[] {
  const status = fieldsIn(pod, 'status');
  const several = listIn(status, 'podIPs').map((item) => textIn(fieldsOf(item), 'ip'));
  return addressNets(several.length > 0 ? several : [textIn(status, 'podIP')]);
}

function addressNets(texts: readonly string[]): Cidr[] {
  return texts.flatMap((text) => {
    const address = tryParseAddress(text);
    return address ? [hostCidr(address)] : [];
  });
}

function netsOf(set: Resource): Cidr[] {
  return textsIn(fieldsIn(set, 'spec'), 'nets').map(parseCidr);
}

function portsOf(pod: Resource): NamedPort[] {
  const containers = listIn(fieldsIn(pod, 'spec'), 'containers').map(fieldsOf);
  const ports = containers.flatMap((container) => listIn(container, 'ports').map(fieldsOf));
  return ports.flatMap((port) => namedPort(port, 'containerPort'));
}

function namedPort(row: Fields, numberField: 'containerPort' | 'port'): NamedPort[] {
  const name = textIn(row, 'name');
  const port = numberIn(row, numberField);
  const protocol = parseProtocol(numberIn(row, 'protocol') ?? (textIn(row, 'protocol') || 'TCP'));
  return name && port !== undefined ? [{ name, protocol, port }] : [];
}
