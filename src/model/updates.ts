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
import type { KeyPath } from '../lib/brand.ts';
import { AppError, assertNever, type Fault } from '../lib/errors.ts';
import { builtinUpdate } from './builtin.ts';
import { hostEndpoint, networkSet, serviceEndpoints, workloadEndpoint } from './endpoint-value.ts';
import { isResourceKind, keyOf, keyPath, pathOf } from './kinds.ts';
import { withClosedRules } from './kubernetes/cluster-network-policy.ts';
import { withoutRules } from './kubernetes/network-policy.ts';
import { podEndpoint } from './kubernetes/pod.ts';
import {
  namespaceProfile,
  namespaceProfileName,
  serviceAccountProfile,
  serviceAccountProfileName,
} from './kubernetes/profiles.ts';
import { calicoNode, felixConfiguration, node, pool, poolFaults, tier } from './node-value.ts';
import { isPolicyKind, policyValue, profileValue } from './policy-value.ts';
import type { Resource, ResourceKey, ResourceKind, Update } from './types.ts';
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
  if (!isResourceKind(key.kind)) return unknownKind(key, resource);
  if (resource === null) return absent(key, []);
  const { resource: valid, faults } = readStored(key, resource);
  if (!valid) return absent(key, faults);
  if (keyPath(keyOf(valid)) !== keyPath(key)) {
    return absent(key, [{ path: 'metadata', message: `got ${keyPath(keyOf(valid))}, want ${keyPath(key)}` }]);
  }
  const { updates, faults: unsupported } = convertOrAbsent(key, valid);
  return { updates, faults: [...faults, ...unsupported] };
}

/** A store may be read by several versions of Muslin. */
function unknownKind({ kind }: ResourceKey, resource: Resource | null): Converted {
  const fault = { path: 'kind', message: `got ${JSON.stringify(kind)}, which this version does not read` };
  return { updates: [], faults: resource === null ? [] : [fault] };
}

/** What passes validation converts; were it not so, one object would stop all that come after it. */
function convertOrAbsent(key: ResourceKey, valid: Resource): Converted {
  try {
    return convert(key, valid);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return absent(key, [{ path: '', message: error.message }]);
  }
}

/**
 * A Kubernetes policy loses its faulty rules alone, for all its rules allow: were it absent as a whole, the Pods that it
 * selects would be open. A cluster's policy closes at its faulty rules, for its kind says so.
 */
function readStored(key: ResourceKey, resource: Resource): Validation {
  const whole = validateResource(resource);
  const isKubernetes = key.kind === 'KubernetesNetworkPolicy' || key.kind === 'ClusterNetworkPolicy';
  if (whole.resource || !isKubernetes || !whole.faults.every(({ path }) => isRuleFault(path))) return whole;
  const faulty = new Set(whole.faults.map(({ path }) => path.slice(0, path.indexOf(']') + 1)));
  if (key.kind === 'ClusterNetworkPolicy') {
    return { faults: whole.faults, resource: withClosedRules(resource, faulty) };
  }
  return { faults: whole.faults, resource: validateResource(withoutRules(resource, faulty)).resource };
}

function absent(key: ResourceKey, faults: readonly Fault[]): Converted {
  const target = targetOf(key);
  return { updates: target ? [{ ...target, value: null }] : [], faults };
}

/** False: objects of the kind are checked and kept, and nothing acts on them yet. */
export function hasEffect(kind: ResourceKind): boolean {
  return targetOf({ kind, name: '' }) !== null;
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
  const { kind } = key;
  const path = targetOf(key)?.path;
  if (path === undefined) return { updates: [], faults: [] };
  if (isPolicyKind(kind)) {
    const { value, faults } = policyValue({ ...key, kind }, resource);
    return { updates: [{ kind: 'Policy', path, value }], faults };
  }
  const whole = (update: Update): Converted => ({ updates: [update], faults: [] });
  switch (kind) {
    case 'Namespace':
      return profileUpdate(path, namespaceProfile(resource));
    case 'ServiceAccount':
      return profileUpdate(path, serviceAccountProfile(resource));
    case 'Profile':
      return profileUpdate(path, resource);
    case 'Pod':
      return whole({ kind: 'WorkloadEndpoint', path, value: podEndpoint(resource) });
    case 'CalicoWorkloadEndpoint':
      return whole({ kind: 'WorkloadEndpoint', path, value: workloadEndpoint(key, resource) });
    case 'HostEndpoint':
      return whole({ kind, path, value: hostEndpoint(resource) });
    case 'NetworkSet':
    case 'GlobalNetworkSet':
      return whole({ kind: 'NetworkSet', path, value: networkSet(key, resource) });
    case 'EndpointSlice':
      return whole({ kind: 'ServiceEndpoints', path, value: serviceEndpoints(resource) });
    case 'Tier':
      return whole({ kind, path, value: tier(resource) });
    case 'IPPool':
      return { updates: [{ kind, path, value: pool(resource) }], faults: poolFaults(resource) };
    case 'Node':
      return whole({ kind, path, value: node(resource) });
    case 'CalicoNode':
      return whole({ kind: 'Node', path, value: calicoNode(resource) });
    case 'FelixConfiguration':
      return whole({ kind, path, value: felixConfiguration(resource) });
    default:
      throw new TypeError(`${path} has a place in the graph but no value`);
  }
}

function profileUpdate(path: KeyPath, resource: Resource): Converted {
  const { value, faults } = profileValue(resource);
  return { updates: [{ kind: 'Profile', path, value }], faults };
}
