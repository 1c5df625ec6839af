// SPDX-License-Identifier: Apache-2.0
/**
 * Resources into what the calculation graph consumes: one resource, one path, one value or none.
 *
 * Owns:       the conversion of every kind, and what becomes of an invalid one.
 * Takes in:   a key and what is stored under it, trusted for nothing. Gives out: Updates, and what is wrong.
 * Invariants: the paths of a key are the same whatever is stored, so removing undoes adding exactly;
 *             invalid is absent: its value is null; built-in tiers and profiles cannot be changed by what is stored.
 * Next:       rules.ts (rules), kubernetes/* (foreign objects), ../calc/graph.ts (the reader).
 */
import { tryParseAddress } from '../lib/address.ts';
import type { Address, Cidr, KeyPath } from '../lib/brand.ts';
import { hostCidr, tryParseCidr } from '../lib/cidr.ts';
import { assertNever, type Fault } from '../lib/errors.ts';
import { builtinUpdate, defaultTier } from './builtin.ts';
import { typesByLength } from './defaults.ts';
import { listAt, member, memberAt, recordOf, textAt, textMapAt } from './json.ts';
import { keyOf, keyPath, pathOf } from './kinds.ts';
import { convertNetworkPolicy, withoutRules } from './kubernetes/network-policy.ts';
import { podEndpoint } from './kubernetes/pod.ts';
import {
  namespaceProfile,
  namespaceProfileName,
  serviceAccountProfile,
  serviceAccountProfileName,
} from './kubernetes/profiles.ts';
import { readOrigin } from './origin.ts';
import { modelRules, type RuleScope } from './rules.ts';
import { parseSelector, selectorOf } from './selector/parse.ts';
import {
  conjunction,
  inNamespace,
  namespaceLabel,
  overNamespaces,
  overServiceAccounts,
} from './selector/rewrite.ts';
import type {
  IPPoolValue,
  NetworkSetValue,
  NodeValue,
  PolicyKind,
  PolicyValue,
  ProfileValue,
  Resource,
  ResourceKey,
  ResourceKind,
  TierValue,
  Update,
} from './types.ts';
import { isRuleFault } from './validate/kubernetes.ts';
import { type Validation, validateResource } from './validate/resource.ts';

export interface Converted {
  readonly updates: readonly Update[];
  /** What is wrong with the resource; it may still have a value, with the faulty part closed. */
  readonly faults: readonly Fault[];
}

/** @param resource - as stored; null: nothing is. */
export function updatesOf(key: ResourceKey, resource: Resource | null): Converted {
  const builtin = builtinUpdate(key);
  if (builtin) return { updates: [builtin], faults: [] };
  if (!resource) return absent(key, []);
  const { resource: valid, faults } = readStored(key, resource);
  if (!valid) return absent(key, faults);
  if (keyPath(keyOf(valid)) !== keyPath(key)) {
    return absent(key, [{ path: 'metadata', message: `got ${keyPath(keyOf(valid))}, want ${keyPath(key)}` }]);
  }
  const { updates, faults: unsupported } = convert(key, valid);
  return { updates, faults: [...faults, ...unsupported] };
}

/**
 * A Kubernetes policy loses its faulty rules alone, for all its rules allow: were it absent as a whole, the Pods that it
 * selects would be open.
 */
function readStored(key: ResourceKey, resource: Resource): Validation {
  const whole = validateResource(resource);
  if (whole.resource || key.kind !== 'KubernetesNetworkPolicy') return whole;
  if (!whole.faults.every(({ path }) => isRuleFault(path))) return whole;
  const faulty = new Set(whole.faults.map(({ path }) => path.slice(0, path.indexOf(']') + 1)));
  return { faults: whole.faults, resource: validateResource(withoutRules(resource, faulty)).resource };
}

function absent(key: ResourceKey, faults: readonly Fault[]): Converted {
  const target = targetOf(key);
  return { updates: target ? [{ ...target, value: null }] : [], faults };
}

/** What the graph keeps of a key; null for kinds that it does not read. */
function targetOf(key: ResourceKey): { kind: Update['kind']; path: KeyPath } | null {
  if (isPolicyKind(key.kind)) return { kind: 'Policy', path: keyPath(key) };
  switch (key.kind) {
    case 'Namespace':
      return { kind: 'Profile', path: pathOf('Profile', undefined, namespaceProfileName(key.name)) };
    case 'ServiceAccount':
      return {
        kind: 'Profile',
        path: pathOf('Profile', undefined, serviceAccountProfileName(key.namespace ?? 'default', key.name)),
      };
    case 'Pod':
      return { kind: 'WorkloadEndpoint', path: pathOf('WorkloadEndpoint', key.namespace, key.name) };
    case 'CalicoWorkloadEndpoint':
      return { kind: 'WorkloadEndpoint', path: keyPath(key) };
    case 'EndpointSlice':
      return { kind: 'ServiceEndpoints', path: keyPath(key) };
    case 'NetworkSet':
    case 'GlobalNetworkSet':
      return { kind: 'NetworkSet', path: keyPath(key) };
    case 'CalicoNode':
      return { kind: 'Node', path: keyPath(key) };
    case 'Tier':
    case 'IPPool':
    case 'Profile':
    case 'Node':
    case 'HostEndpoint':
    case 'FelixConfiguration':
      return { kind: key.kind, path: keyPath(key) };
    case 'Service':
    case 'IPReservation':
    case 'IPAMConfiguration':
    case 'IPAMBlock':
    case 'IPAMHandle':
    case 'BlockAffinity':
    case 'BGPConfiguration':
    case 'BGPPeer':
    case 'BGPFilter':
    case 'CalicoNodeStatus':
    case 'ClusterInformation':
    case 'KubeControllersConfiguration':
    case 'LiveMigration':
      return null;
    default:
      return assertNever(key.kind);
  }
}

function convert(key: ResourceKey, resource: Resource): Converted {
  const path = targetOf(key)?.path;
  const whole = (update: Update): Converted => ({ updates: [update], faults: [] });
  if (path === undefined) return { updates: [], faults: [] };
  const { kind } = key;
  if (isPolicyKind(kind)) return policyUpdate(path, { ...key, kind }, asCalicoPolicy(kind, resource));
  switch (key.kind) {
    case 'Namespace':
      return profileUpdate(path, namespaceProfile(resource));
    case 'ServiceAccount':
      return profileUpdate(path, serviceAccountProfile(resource));
    case 'Profile':
      return profileUpdate(path, resource);
    case 'Pod':
      return whole({ kind: 'WorkloadEndpoint', path, value: podEndpoint(resource) });
    case 'NetworkSet':
    case 'GlobalNetworkSet':
      return whole({ kind: 'NetworkSet', path, value: networkSet(key, resource) });
    case 'Tier':
      return whole({ kind: 'Tier', path, value: tier(resource) });
    case 'IPPool':
      return { updates: [{ kind: 'IPPool', path, value: pool(resource) }], faults: poolFaults(resource) };
    case 'Node':
    case 'CalicoNode':
      return whole({ kind: 'Node', path, value: node(resource) });
    default:
      return { updates: [], faults: [] };
  }
}

function isPolicyKind(kind: ResourceKind): kind is PolicyKind {
  return kind.endsWith('NetworkPolicy');
}

function asCalicoPolicy(kind: PolicyKind, resource: Resource): Resource {
  return kind === 'KubernetesNetworkPolicy' ? convertNetworkPolicy(resource) : resource;
}

function tier(resource: Resource): TierValue {
  return {
    name: resource.metadata.name,
    order: orderOf(resource),
    defaultAction: textAt(resource, 'spec', 'defaultAction') === 'Pass' ? 'pass' : 'deny',
  };
}

function orderOf(resource: Resource): number {
  const order = memberAt(resource, 'spec', 'order');
  return typeof order === 'number' ? order : Number.POSITIVE_INFINITY;
}

function policyUpdate(
  path: KeyPath,
  key: ResourceKey & { readonly kind: PolicyKind },
  resource: Resource,
): Converted {
  const { kind } = key;
  const spec = memberAt(resource, 'spec');
  const hostOnly = ['doNotTrack', 'preDNAT'].find((field) => member(spec, field) === true);
  if (hostOnly) {
    const message = `${hostOnly} is for host endpoints alone, which are not supported yet: the policy is not in force`;
    return {
      updates: [{ kind: 'Policy', path, value: null }],
      faults: [{ path: `spec.${hostOnly}`, message }],
    };
  }
  const { namespace = null } = key;
  const ingress = modelRules(listAt(spec, 'ingress'), ruleScope(namespace, resource, 'ingress'));
  const egress = modelRules(listAt(spec, 'egress'), ruleScope(namespace, resource, 'egress'));
  const value: PolicyValue = {
    kind,
    ...(key.namespace === undefined ? {} : { namespace: key.namespace }),
    name: key.name,
    tier: textAt(spec, 'tier') || defaultTier,
    order: orderOf(resource),
    selector: policySelector(key, spec),
    types: policyTypes(spec),
    ingress: ingress.rules,
    egress: egress.rules,
    hostTraffic: 'normal',
    onEveryNode: false,
  };
  return { updates: [{ kind: 'Policy', path, value }], faults: [...ingress.faults, ...egress.faults] };
}

function ruleScope(namespace: string | null, resource: Resource, direction: 'ingress' | 'egress'): RuleScope {
  const origin = readOrigin(resource);
  const rules = listAt(origin, 'rules', direction).filter((line) => typeof line === 'number');
  return { namespace, path: `spec.${direction}`, lines: origin ? { file: origin.file, rules } : null };
}

function policySelector(key: ResourceKey, spec: unknown): string {
  const text = textAt(spec, 'selector');
  const namespaces = textAt(spec, 'namespaceSelector');
  const accounts = textAt(spec, 'serviceAccountSelector');
  const all = key.namespace === undefined ? 'has-service-account' : 'any-endpoint';
  const scoped = conjunction([
    text === '' ? null : parseSelector(text).root,
    namespaces === '' ? null : overNamespaces(parseSelector(namespaces).root),
    key.namespace === undefined ? null : inNamespace(key.namespace),
  ]);
  const whole = conjunction([
    scoped,
    accounts === '' ? null : overServiceAccounts(parseSelector(accounts).root, all),
  ]);
  return whole ? selectorOf(whole).canonical : 'all()';
}

function policyTypes(spec: unknown): PolicyValue['types'] {
  const written = listAt(spec, 'types');
  const types =
    written.length > 0
      ? written
      : typesByLength(listAt(spec, 'ingress').length, listAt(spec, 'egress').length);
  return { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
}

function profileUpdate(path: KeyPath, resource: Resource): Converted {
  const spec = memberAt(resource, 'spec');
  const ingress = modelRules(listAt(spec, 'ingress'), ruleScope(null, resource, 'ingress'));
  const egress = modelRules(listAt(spec, 'egress'), ruleScope(null, resource, 'egress'));
  const value: ProfileValue = {
    name: resource.metadata.name,
    labels: recordOf(textMapAt(spec, 'labelsToApply')),
    ingress: ingress.rules,
    egress: egress.rules,
  };
  return { updates: [{ kind: 'Profile', path, value }], faults: [...ingress.faults, ...egress.faults] };
}

function networkSet(key: ResourceKey, resource: Resource): NetworkSetValue {
  const labels = [...textMapAt(resource, 'metadata', 'labels')];
  const { namespace } = key;
  return {
    nets: listAt(resource, 'spec', 'nets').flatMap((net) => netOf(String(net))),
    labels: recordOf(namespace === undefined ? labels : [...labels, [namespaceLabel, namespace]]),
    profiles: namespace === undefined ? [] : [namespaceProfileName(namespace)],
  };
}

function netOf(text: string): Cidr[] {
  const address = tryParseAddress(text);
  const cidr = address ? hostCidr(address) : tryParseCidr(text);
  return cidr ? [cidr] : [];
}

/** What a pool may ask for and no data plane of ours does yet. */
function poolFaults(resource: Resource): readonly Fault[] {
  const asked = [
    ['natOutgoing', memberAt(resource, 'spec', 'natOutgoing') === true],
    ...['ipipMode', 'vxlanMode'].map(
      (mode) => [mode, !['', 'Never'].includes(textAt(resource, 'spec', mode))] as const,
    ),
  ] as const;
  return asked.flatMap(([field, isAsked]) =>
    isAsked ? [{ path: `spec.${field}`, message: 'not supported yet: it has no effect' }] : [],
  );
}

function pool(resource: Resource): IPPoolValue | null {
  const cidr = tryParseCidr(textAt(resource, 'spec', 'cidr'));
  if (!cidr) return null;
  return {
    cidr,
    disabled: memberAt(resource, 'spec', 'disabled') === true,
    natOutgoing: memberAt(resource, 'spec', 'natOutgoing') === true,
  };
}

/** What Calico's node start-up wrote beats what the kubelet found. */
function node(resource: Resource): NodeValue {
  const annotations = textMapAt(resource, 'metadata', 'annotations');
  const written = ['IPv4Address', 'IPv6Address'].map(
    (name) => annotations.get(`projectcalico.org/${name}`) ?? '',
  );
  const internal = listAt(resource, 'status', 'addresses')
    .filter((row) => textAt(row, 'type') === 'InternalIP')
    .map((row) => textAt(row, 'address'));
  const addresses = [...written, ...internal].flatMap(nodeAddress);
  const firstOf = (v6: boolean) => addresses.find((address) => address.includes(':') === v6);
  return {
    name: resource.metadata.name,
    labels: recordOf(textMapAt(resource, 'metadata', 'labels')),
    addresses: [firstOf(false), firstOf(true)].filter((address) => address !== undefined),
  };
}

/** The annotations have the length of the node's subnet behind the address. */
function nodeAddress(text: string): Address[] {
  const address = tryParseAddress(text.includes('/') ? text.slice(0, text.indexOf('/')) : text);
  return address ? [address] : [];
}
