// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { ModelRule, PolicyValue } from '../model/types.ts';
import type { LabelClass, Labelled, Labels } from './label-class.ts';
import type { LabelIndex } from './label-index.ts';
import { type CalcNode, type Change, nameOf, type Work } from './node.ts';
import type { LocalEndpoints, PolicyOrder } from './policy-order.ts';
import { anyPeer } from './resolve-rule.ts';
import type { RuleScanner } from './rule-scanner.ts';
import { type KnownPolicy, type SelectionListener, Selections } from './selections.ts';

/** Which policies select an endpoint of this node, or are wanted everywhere; the others cost nothing further. */
export class ActivePolicies implements CalcNode {
  readonly name = 'active-policies';
  readonly consumes = ['Profile', 'WorkloadEndpoint', 'HostEndpoint', 'Policy'] as const;
  readonly feeds = ['rule-scanner', 'policy-order'] as const;
  readonly localEndpointsOnly = true;
  readonly #scanner: RuleScanner;
  readonly #order: PolicyOrder;
  readonly #policies = new Map<KeyPath, KnownPolicy>();
  /** Those whose value changed, and those that were selected or are no more. */
  readonly #changed = new Map<KeyPath, PolicyValue | null>();
  readonly #dirty = new Set<KnownPolicy>();
  readonly #changedProfiles = new Map<string, Labels | null>();
  readonly #endpoints: Selections;
  readonly #hostEndpoints: Selections;

  constructor(local: LocalEndpoints, scanner: RuleScanner, order: PolicyOrder) {
    this.#scanner = scanner;
    this.#order = order;
    const listener: SelectionListener = {
      onSelect: (policy, labelClass) => this.#selected(policy, labelClass),
      onDeselect: (policy, labelClass) => this.#deselected(policy, labelClass),
      onMove: (endpoint) => order.endpointMoved(endpoint),
    };
    this.#endpoints = new Selections(local.all, listener);
    this.#hostEndpoints = new Selections(local.ofHost, listener);
  }

  onChange(change: Change): void {
    if (change.kind === 'Profile') this.#changedProfiles.set(nameOf(change), change.value?.labels ?? null);
    else if (change.kind === 'Policy') this.#changed.set(change.path, change.value);
    else if (change.kind === 'WorkloadEndpoint') setItem(this.#endpoints.index, change);
    else if (change.kind === 'HostEndpoint') {
      setItem(this.#endpoints.index, change);
      setItem(this.#hostEndpoints.index, change);
    }
  }

  *flush(): Work {
    for (const [name, labels] of this.#changedProfiles) {
      yield* this.#endpoints.index.setProfile(name, labels);
      yield* this.#hostEndpoints.index.setProfile(name, labels);
      yield;
    }
    this.#changedProfiles.clear();
    for (const [path, value] of this.#changed) {
      yield* value ? this.#setPolicy(path, value) : this.#deletePolicy(path);
      yield;
    }
    this.#changed.clear();
    for (const policy of this.#dirty) {
      this.#tell(policy);
      yield;
    }
    this.#dirty.clear();
  }

  *#setPolicy(path: KeyPath, value: PolicyValue): Work {
    const known = this.#policies.get(path);
    const selections = this.#selectionsFor(value);
    const selection = selections.selectionOf(value.selector);
    this.#order.setPolicy(path, value);
    if (known?.selection === selection) {
      known.value = value;
      this.#dirty.add(known);
      return;
    }
    if (known) yield* this.#deselectAll(known);
    const policy: KnownPolicy = known ?? { path, value, selection, told: null };
    policy.value = value;
    policy.selection = selection;
    this.#policies.set(path, policy);
    this.#dirty.add(policy);
    yield* selections.add(selection, policy);
  }

  *#deletePolicy(path: KeyPath): Work {
    const known = this.#policies.get(path);
    if (!known) return;
    yield* this.#deselectAll(known);
    this.#policies.delete(path);
    this.#order.setPolicy(path, null);
    if (known.told) this.#scanner.deletePolicy(path);
    this.#dirty.delete(known);
  }

  *#deselectAll(policy: KnownPolicy): Work {
    yield* policy.selection.of.delete(policy.selection, policy);
  }

  /** A policy that is active already, and unchanged, is not looked at again: an endpoint more costs no rule. */
  #tell(policy: KnownPolicy): void {
    const { path, value, selection } = policy;
    if (value.onEveryNode || selection.isMet()) {
      if (policy.told !== value) this.#scanner.setPolicy(path, selection.isReadable ? value : closed(value));
      policy.told = value;
    } else {
      if (policy.told) this.#scanner.deletePolicy(path);
      policy.told = null;
    }
  }

  #selectionsFor({ hostTraffic }: PolicyValue): Selections {
    return hostTraffic === 'untracked' || hostTraffic === 'pre-dnat' ? this.#hostEndpoints : this.#endpoints;
  }

  #selected(policy: KnownPolicy, labelClass: LabelClass): void {
    this.#dirty.add(policy);
    this.#order.addMatch(policy.path, policy.value, labelClass);
  }

  #deselected(policy: KnownPolicy, labelClass: LabelClass): void {
    this.#dirty.add(policy);
    this.#order.deleteMatch(policy.path, labelClass);
  }
}

function setItem(
  index: LabelIndex,
  { path, value }: { readonly path: KeyPath; readonly value: Labelled | null },
): void {
  if (value) index.setItem(path, value);
  else index.deleteItem(path);
}

/** A policy whose selector does not parse (none that passed the model) denies every endpoint what it governs. */
function closed(policy: PolicyValue): PolicyValue {
  const { nets, notNets, ports, notPorts } = anyPeer;
  const peer = { nets, notNets, ports, notPorts, namedPorts: [], notNamedPorts: [] };
  const denyAll: ModelRule = { action: 'deny', source: peer, destination: peer };
  return { ...policy, ingress: [denyAll], egress: [denyAll] };
}
