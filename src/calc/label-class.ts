// SPDX-License-Identifier: Apache-2.0
import type { SelectorEntry } from './selector-index.ts';

export type Labels = { readonly [key: string]: string };

/**
 * All items with the same labels and profiles: pods of one deployment are one class, and what is stored and matched is
 * stored and matched once for all of them.
 */
export interface LabelClass {
  readonly key: string;
  readonly own: Labels;
  readonly profiles: readonly string[];
  /** Own labels, then those of the profiles in order; the first that has a label gives it. */
  effective: Labels;
  readonly items: Set<string>;
  /** The selectors that match. */
  readonly selectors: Set<SelectorEntry>;
}

export function classKey(own: Labels, profiles: readonly string[]): string {
  const sorted = Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([sorted, profiles]);
}

/** An own label beats an inherited one; of two profiles the first in the list beats the second. */
export function effectiveLabels(own: Labels, inherited: readonly Labels[]): Labels {
  const labels = new Map(Object.entries(own));
  for (const layer of inherited) {
    for (const [key, value] of Object.entries(layer)) if (!labels.has(key)) labels.set(key, value);
  }
  return Object.fromEntries(labels);
}

/** Finds classes by a label, or by a label and its value, without looking at the others. */
export class ClassIndex {
  readonly #byLabel = new Map<string, { all: Set<LabelClass>; byValue: Map<string, Set<LabelClass>> }>();

  add(labelClass: LabelClass): void {
    for (const [label, value] of Object.entries(labelClass.effective)) {
      const entry = this.#byLabel.get(label) ?? { all: new Set(), byValue: new Map() };
      this.#byLabel.set(label, entry);
      entry.all.add(labelClass);
      const same = entry.byValue.get(value);
      if (same) same.add(labelClass);
      else entry.byValue.set(value, new Set([labelClass]));
    }
  }

  delete(labelClass: LabelClass): void {
    for (const [label, value] of Object.entries(labelClass.effective)) {
      const entry = this.#byLabel.get(label);
      entry?.all.delete(labelClass);
      const same = entry?.byValue.get(value);
      if (same?.delete(labelClass) && same.size === 0) entry?.byValue.delete(value);
      if (entry?.all.size === 0) this.#byLabel.delete(label);
    }
  }

  /** @param values - null for any value. */
  count(label: string, values: readonly string[] | null): number {
    const entry = this.#byLabel.get(label);
    if (!entry || !values) return entry?.all.size ?? 0;
    return values.reduce((sum, value) => sum + (entry.byValue.get(value)?.size ?? 0), 0);
  }

  *find(label: string, values: readonly string[] | null): Generator<LabelClass> {
    const entry = this.#byLabel.get(label);
    if (!entry) return;
    if (!values) yield* entry.all;
    else for (const value of values) yield* entry.byValue.get(value) ?? [];
  }
}
