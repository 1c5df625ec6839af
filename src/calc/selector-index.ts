// SPDX-License-Identifier: Apache-2.0
import type { AskedLabel } from './asked-label.ts';
import type { LabelClass, Labelled } from './label-class.ts';
import type { LabelSelector, Restriction } from './selectors.ts';
import { SmallSet } from './small-set.ts';

/** Who added a selector hears what matches it; each match is told once and taken back once. */
export interface MatchListener {
  /** All that is in it or will be matches, until it is taken back; the index tells it before any item of it. */
  onClassMatch(labelClass: LabelClass): void;
  /** Its last item went. */
  onClassUnmatch(labelClass: LabelClass): void;
  onMatch(item: string, value: Labelled): void;
  onUnmatch(item: string, value: Labelled): void;
  /** It matched before, and still does. */
  onChange(item: string, before: Labelled, after: Labelled): void;
}

/** One registered selector; several may have the same text. */
export interface SelectorEntry {
  readonly selector: LabelSelector;
  readonly listener: MatchListener;
  /** The classes that match. */
  readonly classes: SmallSet<LabelClass>;
  /** The restriction it is filed under; kept, so that it is taken out of where it was put. */
  readonly filedUnder: Restriction | null;
}

/**
 * Finds the selectors that may match given labels: each is filed under one restriction that every match must meet.
 *
 * @remarks Where fewest classes and selectors meet, so that a restriction which all selectors share (as
 * `projectcalico.org/orchestrator == 'k8s'` in every converted policy) does not collect them all.
 */
export class SelectorIndex {
  readonly #labels: ReadonlyMap<string, AskedLabel>;
  readonly #unfiled = new Set<SelectorEntry>();

  /** @param labels - every label that a selector asks about is in it, while that selector is here. */
  constructor(labels: ReadonlyMap<string, AskedLabel>) {
    this.#labels = labels;
  }

  add(selector: LabelSelector, restrictions: readonly Restriction[], listener: MatchListener): SelectorEntry {
    const filedUnder = this.rarest(restrictions, (selectors, classes) => selectors * (classes + 1));
    const entry = { selector, listener, classes: new SmallSet<LabelClass>(), filedUnder };
    for (const drawer of this.#drawersFor(filedUnder)) drawer.add(entry);
    return entry;
  }

  delete(entry: SelectorEntry): void {
    for (const drawer of this.#drawersFor(entry.filedUnder)) drawer.delete(entry);
    const label = this.#labels.get(entry.filedUnder?.label ?? '');
    for (const text of entry.filedUnder?.values ?? []) label?.values.get(text)?.forgetIfUnused();
  }

  /** Every selector that matches these labels, and some that do not; each once. */
  *candidates(labelClass: LabelClass): Generator<SelectorEntry> {
    yield* this.#unfiled;
    for (let at: LabelClass | null = labelClass; at; at = at.parent) {
      if (!at.value) continue;
      yield* at.value.label.selectors.values();
      yield* at.value.selectors.values();
    }
  }

  /** Every class that meets `restriction`; each once. */
  *classesOf({ label, values }: Restriction): Generator<LabelClass> {
    const asked = this.#labels.get(label);
    for (const text of values ?? asked?.values.keys() ?? []) {
      for (const head of asked?.values.get(text)?.heads.values() ?? []) yield* head.populated();
    }
  }

  /** @param cost - of a restriction under which there are that many selectors and classes. */
  rarest(
    restrictions: readonly Restriction[],
    cost: (selectors: number, classes: number) => number,
  ): Restriction | null {
    let best: { restriction: Restriction; cost: number } | null = null;
    for (const restriction of restrictions) {
      const { selectors, classes } = this.#loadOf(restriction);
      const its = cost(selectors, classes);
      if (!best || its < best.cost) best = { restriction, cost: its };
    }
    return best?.restriction ?? null;
  }

  #loadOf({ label, values }: Restriction): { selectors: number; classes: number } {
    const asked = this.#labels.get(label);
    if (!values) return { selectors: 1 + (asked?.selectors.size ?? 0), classes: asked?.classCount ?? 0 };
    const load = { selectors: 0, classes: 0 };
    for (const text of values) {
      const value = asked?.values.get(text);
      load.selectors += 1 + (value?.selectors.size ?? 0);
      load.classes += value?.classCount ?? 0;
    }
    return load;
  }

  #drawersFor(
    restriction: Restriction | null,
  ): readonly { add(entry: SelectorEntry): unknown; delete(entry: SelectorEntry): unknown }[] {
    if (!restriction) return [this.#unfiled];
    const label = this.#labels.get(restriction.label);
    if (!label) throw new RangeError(`cannot file under ${restriction.label}: nobody asks about it`);
    return restriction.values?.map((text) => label.valueOf(text).selectors) ?? [label.selectors];
  }
}
