// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { ModelRule, PolicyValue } from '../model/types.ts';
import type { LabelClass, Labelled, Labels } from './label-class.ts';
import type { LabelIndex } from './label-index.ts';
import { type CalcNode, type Change, nameOf, type Work } from './node.ts';
import type { LocalEndpoints, PolicyOrder } from './policy-order.ts';
import { anyPeer } from './resolve-rule.ts';
import type { RuleScanner } from './rule-scanner.ts';
import type { MatchListener, SelectorEntry } from './selector-index.ts';
import { selectEverything, tryCompileSelector } from './selectors.ts';
import { SmallSet } from './small-set.ts';

interface KnownPolicy {
  readonly path: KeyPath;
  value: PolicyValue;
  selection: Selection;
  /** What the scanner was told; null: not active. */
  told: PolicyValue | null;
}

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

interface SelectionListener {
  onSelect(policy: KnownPolicy, labelClass: LabelClass): void;
  onDeselect(policy: KnownPolicy, labelClass: LabelClass): void;
  /** Other policies select it than before. */
  onMove(endpoint: KeyPath): void;
}

/** Endpoints, and the selectors of policies over them, each text once. */
class Selections {
  readonly index: LabelIndex;
  readonly #listener: SelectionListener;
  readonly #byText = new Map<string, Selection>();

  constructor(index: LabelIndex, listener: SelectionListener) {
    this.index = index;
    this.#listener = listener;
  }

  selectionOf(text: string): Selection {
    const known = this.#byText.get(text);
    if (known) return known;
    const fresh = new Selection(this, text, this.#listener);
    this.#byText.set(text, fresh);
    return fresh;
  }

  *add(selection: Selection, policy: KnownPolicy): Work {
    selection.policies.add(policy);
    if (selection.entry) {
      for (const labelClass of selection.entry.classes.values()) this.#listener.onSelect(policy, labelClass);
    } else {
      const selector = tryCompileSelector(selection.text);
      selection.isReadable = selector !== null;
      selection.entry = yield* this.index.addSelector(selector ?? selectEverything(), selection);
    }
  }

  *delete(selection: Selection, policy: KnownPolicy): Work {
    selection.policies.delete(policy);
    for (const labelClass of selection.entry?.classes.values() ?? [])
      this.#listener.onDeselect(policy, labelClass);
    if (selection.policies.size > 0) return;
    this.#byText.delete(selection.text);
    if (selection.entry) yield* this.index.deleteSelector(selection.entry);
  }
}

/** One text of a selector, and the policies that have it. */
class Selection implements MatchListener {
  readonly of: Selections;
  readonly text: string;
  readonly policies: SmallSet<KnownPolicy> = new SmallSet();
  entry: SelectorEntry | null = null;
  /** False: the text does not parse, and stands for every endpoint. */
  isReadable = true;
  readonly #listener: SelectionListener;

  constructor(of: Selections, text: string, listener: SelectionListener) {
    this.of = of;
    this.text = text;
    this.#listener = listener;
  }

  isMet(): boolean {
    return (this.entry?.classes.size ?? 0) > 0;
  }

  onClassMatch(labelClass: LabelClass): void {
    for (const policy of this.policies.values()) this.#listener.onSelect(policy, labelClass);
  }

  onClassUnmatch(labelClass: LabelClass): void {
    for (const policy of this.policies.values()) this.#listener.onDeselect(policy, labelClass);
  }

  onMatch(item: string): void {
    this.#listener.onMove(item as KeyPath);
  }

  onUnmatch(item: string): void {
    this.#listener.onMove(item as KeyPath);
  }

  onChange(): void {}
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
