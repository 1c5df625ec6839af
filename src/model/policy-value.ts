// SPDX-License-Identifier: Apache-2.0
/** Policies of every kind and profiles, as the calculation graph reads them. */
import type { Fault } from '../lib/errors.ts';
import { defaultTier } from './builtin.ts';
import { policyTypes } from './defaults.ts';
import { listAt, member, memberAt, recordOf, textAt, textMapAt } from './json.ts';
import { convertClusterNetworkPolicy } from './kubernetes/cluster-network-policy.ts';
import { convertNetworkPolicy } from './kubernetes/network-policy.ts';
import { readOrigin } from './origin.ts';
import { modelRules, type RuleScope } from './rules.ts';
import { parseSelector, selectorOf } from './selector/parse.ts';
import { conjunction, inNamespace, overNamespaces, overServiceAccounts } from './selector/rewrite.ts';
import type {
  HostTraffic,
  PolicyKind,
  PolicyValue,
  ProfileValue,
  Resource,
  ResourceKey,
  ResourceKind,
  StagedAction,
} from './types.ts';

/** A value and what in the resource has no effect. */
export interface Read<V> {
  readonly value: V;
  readonly faults: readonly Fault[];
}

export function isPolicyKind(kind: ResourceKind): kind is PolicyKind {
  return kind.endsWith('NetworkPolicy');
}

/** @param written - valid; of any kind of policy. */
export function policyValue(
  key: ResourceKey & { readonly kind: PolicyKind },
  written: Resource,
): Read<PolicyValue> {
  const { kind, namespace = null } = key;
  const resource = asCalicoPolicy(kind, written);
  const spec = memberAt(resource, 'spec');
  const ingress = modelRules(listAt(spec, 'ingress'), ruleScope(namespace, resource, 'ingress'));
  const egress = modelRules(listAt(spec, 'egress'), ruleScope(namespace, resource, 'egress'));
  const value: PolicyValue = {
    kind,
    ...(namespace === null ? {} : { namespace }),
    name: key.name,
    tier: textAt(spec, 'tier') || defaultTier,
    order: orderOf(resource),
    selector: policySelector(key, spec),
    types: typesOf(kind === 'ClusterNetworkPolicy' ? listAt(spec, 'types') : policyTypes(spec)),
    ingress: ingress.rules,
    egress: egress.rules,
    ...(kind.startsWith('Staged') ? { staged: stagedAction(written) } : {}),
    hostTraffic: hostTraffic(spec),
    onEveryNode: listAt(spec, 'performanceHints').includes('AssumeNeededOnEveryNode'),
  };
  return { value, faults: [...ingress.faults, ...egress.faults] };
}

export function profileValue(resource: Resource): Read<ProfileValue> {
  const spec = memberAt(resource, 'spec');
  const ingress = modelRules(listAt(spec, 'ingress'), ruleScope(null, resource, 'ingress'));
  const egress = modelRules(listAt(spec, 'egress'), ruleScope(null, resource, 'egress'));
  const value: ProfileValue = {
    name: resource.metadata.name,
    labels: recordOf(textMapAt(spec, 'labelsToApply')),
    ingress: ingress.rules,
    egress: egress.rules,
  };
  return { value, faults: [...ingress.faults, ...egress.faults] };
}

/** Infinity when unset: last. */
export function orderOf(resource: Resource): number {
  const order = memberAt(resource, 'spec', 'order');
  return typeof order === 'number' ? order : Number.POSITIVE_INFINITY;
}

function asCalicoPolicy(kind: PolicyKind, resource: Resource): Resource {
  switch (kind) {
    case 'KubernetesNetworkPolicy':
    case 'StagedKubernetesNetworkPolicy':
      return convertNetworkPolicy(resource);
    case 'ClusterNetworkPolicy':
      return convertClusterNetworkPolicy(resource);
    default:
      return resource;
  }
}

/** Exact, as the API's enumeration is. */
function stagedAction(resource: Resource): StagedAction {
  const actions = { Set: 'set', Delete: 'delete', Learn: 'learn', Ignore: 'ignore' } as const;
  const written = textAt(resource, 'spec', 'stagedAction');
  return Object.hasOwn(actions, written) ? actions[written as keyof typeof actions] : 'set';
}

function hostTraffic(spec: unknown): HostTraffic {
  if (member(spec, 'doNotTrack') === true) return 'untracked';
  if (member(spec, 'preDNAT') === true) return 'pre-dnat';
  return member(spec, 'applyOnForward') === true ? 'normal-and-forward' : 'normal';
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

function typesOf(types: readonly unknown[]): PolicyValue['types'] {
  return { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
}
