// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { ModelRule, PolicyValue } from '../model/types.ts';
import { LabelIndex } from './label-index.ts';
import { type CalcNode, type Change, nameOf } from './node.ts';
import type { PolicyOrder } from './policy-order.ts';
import { anyPeer } from './resolve-rule.ts';
import type { RuleScanner } from './rule-scanner.ts';
import { selectEverything, tryCompileSelector } from './selectors.ts';

/** Which policies select an endpoint of this node; the others cost nothing further. */
export class ActivePolicies implements CalcNode {
  readonly name = 'active-policies';
  readonly consumes = ['Profile', 'WorkloadEndpoint', 'Policy'] as const;
  readonly feeds = ['rule-scanner', 'policy-order'] as const;
  readonly localEndpointsOnly = true;
  readonly #scanner: RuleScanner;
  readonly #order: PolicyOrder;
  readonly #policies = new Map<string, PolicyValue>();
  readonly #active = new Set<KeyPath>();
  readonly #dirty = new Set<KeyPath>();
  readonly #index = new LabelIndex({
    onMatch: (path, endpoint) => this.#matched(path as KeyPath, endpoint as KeyPath),
    onUnmatch: (path, endpoint) => this.#unmatched(path as KeyPath, endpoint as KeyPath),
  });

  constructor(scanner: RuleScanner, order: PolicyOrder) {
    this.#scanner = scanner;
    this.#order = order;
  }

  onChange(change: Change): void {
    if (change.kind === 'Profile') this.#index.setProfile(nameOf(change), change.value?.labels ?? null);
    else if (change.kind === 'Policy') {
      this.#setPolicy(change.path, change.value && closedIfUnreadable(change.value));
    } else if (change.kind === 'WorkloadEndpoint') {
      if (change.value) this.#index.setItem(change.path, change.value.labels, change.value.profiles);
      else this.#index.deleteItem(change.path);
    }
  }

  flush(): void {
    for (const path of this.#dirty) {
      const policy = this.#policies.get(path);
      const isActive = policy !== undefined && !this.#index.itemsOf(path).next().done;
      if (isActive) {
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
      this.#index.deleteSelector(path);
      this.#order.deletePolicy(path);
      this.#policies.delete(path);
      return;
    }
    this.#policies.set(path, policy);
    this.#order.setPolicy(path, policy);
    if (before?.selector === policy.selector) return;
    this.#index.deleteSelector(path);
    this.#index.addSelector(path, tryCompileSelector(policy.selector) ?? selectEverything());
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

/** A policy whose selector does not parse (none that passed the model) denies every endpoint what it governs. */
function closedIfUnreadable(policy: PolicyValue): PolicyValue {
  if (tryCompileSelector(policy.selector)) return policy;
  const { nets, notNets, ports, notPorts } = anyPeer;
  const peer = { nets, notNets, ports, notPorts, namedPorts: [], notNamedPorts: [] };
  const denyAll: ModelRule = { action: 'deny', source: peer, destination: peer };
  return { ...policy, ingress: [denyAll], egress: [denyAll] };
}
