// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { HostEndpointValue, ModelRule, PolicyValue, WorkloadEndpointValue } from '../model/types.ts';
import { LabelIndex } from './label-index.ts';
import { type CalcNode, type Change, nameOf } from './node.ts';
import type { PolicyOrder } from './policy-order.ts';
import { anyPeer } from './resolve-rule.ts';
import type { RuleScanner } from './rule-scanner.ts';
import { selectEverything, tryCompileSelector } from './selectors.ts';

/** Which policies select an endpoint of this node, or are wanted everywhere; the others cost nothing further. */
export class ActivePolicies implements CalcNode {
  readonly name = 'active-policies';
  readonly consumes = ['Profile', 'WorkloadEndpoint', 'HostEndpoint', 'Policy'] as const;
  readonly feeds = ['rule-scanner', 'policy-order'] as const;
  readonly localEndpointsOnly = true;
  readonly #scanner: RuleScanner;
  readonly #order: PolicyOrder;
  readonly #policies = new Map<string, PolicyValue>();
  readonly #active = new Set<KeyPath>();
  readonly #dirty = new Set<KeyPath>();
  /** All endpoints of this node. */
  readonly #endpoints = this.#newIndex();
  /** Those of the host alone, for policies that no workload meets. */
  readonly #hostEndpoints = this.#newIndex();

  constructor(scanner: RuleScanner, order: PolicyOrder) {
    this.#scanner = scanner;
    this.#order = order;
  }

  onChange(change: Change): void {
    if (change.kind === 'Profile') {
      for (const index of [this.#endpoints, this.#hostEndpoints])
        index.setProfile(nameOf(change), change.value?.labels ?? null);
    } else if (change.kind === 'Policy') {
      this.#setPolicy(change.path, change.value && closedIfUnreadable(change.value));
    } else if (change.kind === 'WorkloadEndpoint') {
      setItem(this.#endpoints, change.path, change.value);
    } else if (change.kind === 'HostEndpoint') {
      setItem(this.#endpoints, change.path, change.value);
      setItem(this.#hostEndpoints, change.path, change.value);
    }
  }

  flush(): void {
    for (const path of this.#dirty) {
      const policy = this.#policies.get(path);
      if (policy && (policy.onEveryNode || this.#selectsAny(path, policy))) {
        this.#active.add(path);
        this.#scanner.setPolicy(path, policy);
      } else if (this.#active.delete(path)) this.#scanner.deletePolicy(path);
    }
    this.#dirty.clear();
  }

  #setPolicy(path: KeyPath, policy: PolicyValue | null): void {
    const before = this.#policies.get(path);
    this.#dirty.add(path);
    if (!policy) {
      if (before) this.#indexFor(before).deleteSelector(path);
      this.#order.deletePolicy(path);
      this.#policies.delete(path);
      return;
    }
    this.#policies.set(path, policy);
    this.#order.setPolicy(path, policy);
    const index = this.#indexFor(policy);
    if (before?.selector === policy.selector && this.#indexFor(before) === index) return;
    if (before) this.#indexFor(before).deleteSelector(path);
    index.addSelector(path, tryCompileSelector(policy.selector) ?? selectEverything());
  }

  #newIndex(): LabelIndex {
    return new LabelIndex({
      onMatch: (path, endpoint) => this.#matched(path as KeyPath, endpoint as KeyPath),
      onUnmatch: (path, endpoint) => this.#unmatched(path as KeyPath, endpoint as KeyPath),
    });
  }

  #indexFor({ hostTraffic }: PolicyValue): LabelIndex {
    return hostTraffic === 'untracked' || hostTraffic === 'pre-dnat' ? this.#hostEndpoints : this.#endpoints;
  }

  #selectsAny(path: KeyPath, policy: PolicyValue): boolean {
    return !this.#indexFor(policy).itemsOf(path).next().done;
  }

  #matched(path: KeyPath, endpoint: KeyPath): void {
    this.#dirty.add(path);
    this.#order.addMatch(path, endpoint);
  }

  #unmatched(path: KeyPath, endpoint: KeyPath): void {
    this.#dirty.add(path);
    this.#order.deleteMatch(path, endpoint);
  }
}

function setItem(
  index: LabelIndex,
  path: KeyPath,
  endpoint: WorkloadEndpointValue | HostEndpointValue | null,
): void {
  if (endpoint) index.setItem(path, endpoint.labels, endpoint.profiles);
  else index.deleteItem(path);
}

/** A policy whose selector does not parse (none that passed the model) denies every endpoint what it governs. */
function closedIfUnreadable(policy: PolicyValue): PolicyValue {
  if (tryCompileSelector(policy.selector)) return policy;
  const { nets, notNets, ports, notPorts } = anyPeer;
  const peer = { nets, notNets, ports, notPorts, namedPorts: [], notNamedPorts: [] };
  const denyAll: ModelRule = { action: 'deny', source: peer, destination: peer };
  return { ...policy, ingress: [denyAll], egress: [denyAll] };
}
