// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { PolicyValue } from '../model/types.ts';
import type { LabelClass } from './label-class.ts';
import type { LabelIndex } from './label-index.ts';
import type { Work } from './node.ts';
import type { MatchListener, SelectorEntry } from './selector-index.ts';
import { selectEverything, tryCompileSelector } from './selectors.ts';
import { SmallSet } from './small-set.ts';

export interface KnownPolicy {
  readonly path: KeyPath;
  value: PolicyValue;
  selection: Selection;
  /** What the scanner was told; null: not active. */
  told: PolicyValue | null;
}

export interface SelectionListener {
  onSelect(policy: KnownPolicy, labelClass: LabelClass): void;
  onDeselect(policy: KnownPolicy, labelClass: LabelClass): void;
  /** Other policies select it than before. */
  onMove(endpoint: KeyPath): void;
}

/** Endpoints, and the selectors of policies over them, each text once. */
export class Selections {
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
export class Selection implements MatchListener {
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
