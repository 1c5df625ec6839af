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
import { isObject, listAt, member, memberAt, recordOf, textAt, textMapAt } from './json.ts';
import { keyOf, keyPath, pathOf } from './kinds.ts';
import { convertNetworkPolicy } from './kubernetes/network-policy.ts';
import { podEndpoint } from './kubernetes/pod.ts';
import {
  namespaceProfile,
  namespaceProfileName,
  serviceAccountProfile,
  serviceAccountProfileName,
} from './kubernetes/profiles.ts';
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
  PolicyValue,
  ProfileValue,
  Resource,
  ResourceKey,
  TierValue,
  Update,
} from './types.ts';
import { originAnnotation } from './types.ts';
import { validateResource } from './validate/resource.ts';

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
  const validation = validateResource(resource);
  if (!validation.resource) return absent(key, validation.faults);
  if (keyPath(keyOf(validation.resource)) !== keyPath(key)) {
    return absent(key, [
      { path: 'metadata', message: `got ${keyPath(keyOf(validation.resource))}, want ${keyPath(key)}` },
    ]);
  }
  return convert(key, validation.resource);
}

function absent(key: ResourceKey, faults: readonly Fault[]): Converted {
  const { kind, path } = targetOf(key);
  return { updates: [{ kind, path, value: null }], faults };
}

function targetOf(key: ResourceKey): { kind: Update['kind']; path: KeyPath } {
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
    case 'KubernetesNetworkPolicy':
    case 'NetworkPolicy':
    case 'GlobalNetworkPolicy':
      return { kind: 'Policy', path: keyPath(key) };
    case 'NetworkSet':
    case 'GlobalNetworkSet':
      return { kind: 'NetworkSet', path: keyPath(key) };
    case 'Tier':
    case 'IPPool':
    case 'Profile':
    case 'Node':
      return { kind: key.kind, path: keyPath(key) };
    default:
      return assertNever(key.kind);
  }
}

function convert(key: ResourceKey, resource: Resource): Converted {
  const { path } = targetOf(key);
  const whole = (update: Update): Converted => ({ updates: [update], faults: [] });
  switch (key.kind) {
    case 'Namespace':
      return profileUpdate(path, namespaceProfile(resource));
    case 'ServiceAccount':
      return profileUpdate(path, serviceAccountProfile(resource));
    case 'Profile':
      return profileUpdate(path, resource);
    case 'Pod':
      return whole({ kind: 'WorkloadEndpoint', path, value: podEndpoint(resource) });
    case 'KubernetesNetworkPolicy':
      return policyUpdate(path, key, convertNetworkPolicy(resource));
    case 'NetworkPolicy':
    case 'GlobalNetworkPolicy':
      return policyUpdate(path, key, resource);
    case 'NetworkSet':
    case 'GlobalNetworkSet':
      return whole({ kind: 'NetworkSet', path, value: networkSet(key, resource) });
    case 'Tier':
      return whole({ kind: 'Tier', path, value: tier(resource) });
    case 'IPPool':
      return whole({ kind: 'IPPool', path, value: pool(resource) });
    case 'Node':
      return whole({ kind: 'Node', path, value: node(resource) });
    default:
      return assertNever(key.kind);
  }
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

function policyUpdate(path: KeyPath, key: ResourceKey, resource: Resource): Converted {
  const kind = key.kind;
  if (kind !== 'KubernetesNetworkPolicy' && kind !== 'NetworkPolicy' && kind !== 'GlobalNetworkPolicy') {
    throw new TypeError(`${kind} is no policy`);
  }
  // untracked and pre-DNAT policy is for host endpoints alone
  const spec = memberAt(resource, 'spec');
  if (member(spec, 'doNotTrack') === true || member(spec, 'preDNAT') === true) {
    return { updates: [{ kind: 'Policy', path, value: null }], faults: [] };
  }
  const ingress = modelRules(listAt(spec, 'ingress'), ruleScope(key, resource, 'ingress'));
  const egress = modelRules(listAt(spec, 'egress'), ruleScope(key, resource, 'egress'));
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
  };
  return { updates: [{ kind: 'Policy', path, value }], faults: [...ingress.faults, ...egress.faults] };
}

/** Rules of a policy that was converted from Kubernetes are no longer one to one with lines: it has none. */
function ruleScope(key: ResourceKey, resource: Resource, direction: 'ingress' | 'egress'): RuleScope {
  const namespace = key.namespace ?? null;
  const origin = readOrigin(resource);
  const rules = origin ? listAt(origin, 'rules', direction).filter((line) => typeof line === 'number') : [];
  const lines =
    origin && key.kind !== 'KubernetesNetworkPolicy' ? { file: textAt(origin, 'file'), rules } : null;
  return { namespace, path: `spec.${direction}`, lines: lines ?? wholeOrigin(origin, resource, direction) };
}

/** Where rules have no lines of their own, they stand where their policy begins. */
function wholeOrigin(origin: unknown, resource: Resource, direction: string): RuleScope['lines'] {
  const line = member(origin, 'line');
  if (typeof line !== 'number') return null;
  return { file: textAt(origin, 'file'), rules: listAt(resource, 'spec', direction).map(() => line) };
}

function readOrigin(resource: Resource): unknown {
  const text = textMapAt(resource, 'metadata', 'annotations').get(originAnnotation);
  if (text === undefined) return null;
  try {
    const origin: unknown = JSON.parse(text);
    return isObject(origin) && textAt(origin, 'file') !== '' ? origin : null;
  } catch {
    return null; // someone else wrote it: a rule without an origin is a rule all the same
  }
}

function policySelector(key: ResourceKey, spec: unknown): string {
  const text = textAt(spec, 'selector');
  const namespaces = textAt(spec, 'namespaceSelector');
  const accounts = textAt(spec, 'serviceAccountSelector');
  const all = key.namespace === undefined ? 'has-service-account' : 'any-endpoint';
  const whole = conjunction([
    text === '' ? null : parseSelector(text).root,
    namespaces === '' ? null : overNamespaces(parseSelector(namespaces).root),
    accounts === '' ? null : overServiceAccounts(parseSelector(accounts).root, all),
    key.namespace === undefined ? null : inNamespace(key.namespace),
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
  const scope = (direction: string): RuleScope => ({
    namespace: null,
    path: `spec.${direction}`,
    lines: null,
  });
  const ingress = modelRules(listAt(spec, 'ingress'), scope('ingress'));
  const egress = modelRules(listAt(spec, 'egress'), scope('egress'));
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
    addresses: [firstOf(false), firstOf(true)].filter((address) => address !== undefined),
  };
}

/** The annotations have the length of the node's subnet behind the address. */
function nodeAddress(text: string): Address[] {
  const address = tryParseAddress(text.includes('/') ? text.slice(0, text.indexOf('/')) : text);
  return address ? [address] : [];
}
