// SPDX-License-Identifier: Apache-2.0
import type { LabelClass, Labels } from './label-class.ts';
import { Multimap } from './multimap.ts';
import type { LabelSelector, Restriction } from './selectors.ts';

/** One registered selector; several may have the same text. */
export interface SelectorEntry {
  readonly key: string;
  readonly selector: LabelSelector;
  /** The classes that match. */
  readonly classes: Set<LabelClass>;
  /** The restriction it is filed under; kept, so that it is taken out of where it was put. */
  readonly filedUnder: Restriction | null;
}

/**
 * Finds the selectors that may match given labels: each is filed under one restriction that every match must meet.
 *
 * @remarks The drawer with the fewest selectors is chosen, so that a restriction which all selectors share (as
 * `projectcalico.org/orchestrator == 'k8s'` in every converted policy) does not collect them all.
 */
export class SelectorIndex {
  readonly #byValue = new Multimap<string, SelectorEntry>();
  readonly #byLabel = new Multimap<string, SelectorEntry>();
  readonly #unfiled = new Set<SelectorEntry>();

  add(key: string, selector: LabelSelector): SelectorEntry {
    const entry = {
      key,
      selector,
      classes: new Set<LabelClass>(),
      filedUnder: this.#emptiest(selector.restrictions),
    };
    if (!entry.filedUnder) this.#unfiled.add(entry);
    else if (!entry.filedUnder.values) this.#byLabel.add(entry.filedUnder.label, entry);
    else for (const drawer of drawersOf(entry.filedUnder)) this.#byValue.add(drawer, entry);
    return entry;
  }

  delete(entry: SelectorEntry): void {
    if (!entry.filedUnder) this.#unfiled.delete(entry);
    else if (!entry.filedUnder.values) this.#byLabel.delete(entry.filedUnder.label, entry);
    else for (const drawer of drawersOf(entry.filedUnder)) this.#byValue.delete(drawer, entry);
  }

  /** Every selector that matches these labels, and some that do not; each once. */
  *candidates(labels: Labels): Generator<SelectorEntry> {
    yield* this.#unfiled;
    for (const [label, value] of Object.entries(labels)) {
      yield* this.#byLabel.get(label);
      yield* this.#byValue.get(drawerOf(label, value));
    }
  }

  #emptiest(restrictions: readonly Restriction[]): Restriction | null {
    let best: { restriction: Restriction; load: number } | null = null;
    for (const restriction of restrictions) {
      const load = this.#loadOf(restriction);
      if (!best || load < best.load) best = { restriction, load };
    }
    return best?.restriction ?? null;
  }

  /** How many selectors an item meets there; presence alone is met by more items than a value, hence the penalty. */
  #loadOf({ label, values }: Restriction): number {
    if (!values) return 1e6 + this.#byLabel.count(label);
    return values.reduce((sum, value) => sum + 1 + this.#byValue.count(drawerOf(label, value)), 0);
  }
}

function drawersOf({ label, values }: Restriction): string[] {
  return (values ?? []).map((value) => drawerOf(label, value));
}

/** A line feed occurs in no label. */
function drawerOf(label: string, value: string): string {
  return `${label}\n${value}`;
}
