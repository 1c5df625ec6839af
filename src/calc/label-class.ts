// SPDX-License-Identifier: Apache-2.0
import type { HostEndpointValue, NetworkSetValue, WorkloadEndpointValue } from '../model/types.ts';
import type { AskedLabel, AskedValue } from './asked-label.ts';
import type { LabelKeys } from './label-keys.ts';
import type { SelectorEntry } from './selector-index.ts';
import { SmallSet } from './small-set.ts';

export type Labels = { readonly [key: string]: string };

/** What has labels of its own and inherits those of profiles. */
export type Labelled = WorkloadEndpointValue | HostEndpointValue | NetworkSetValue;

export interface Item {
  readonly key: string;
  value: Labelled;
  keys: LabelKeys;
  lineage: Lineage;
  labelClass: LabelClass;
  /** Its places in the lists of its class and of its lineage. */
  classSlot: number;
  lineageSlot: number;
}

/**
 * All items that no selector can tell apart: the same values of every label that is asked about. What matches one matches
 * all, and is worked out once.
 *
 * @remarks A tree for each set of label names: each class adds one value to those of its parent, first what is inherited,
 * then its own, so that a label which is asked about for the first time adds leaves.
 */
export class LabelClass {
  readonly parent: LabelClass | null;
  readonly value: AskedValue | null;
  readonly items: Item[];
  /** Those that match, while there are items. */
  readonly selectors: SmallSet<SelectorEntry> = new SmallSet();
  #children: Map<AskedValue, LabelClass> | null = null;

  constructor(parent: LabelClass | null, value: AskedValue | null) {
    this.parent = parent;
    this.value = value;
    this.items = [];
  }

  child(value: AskedValue): LabelClass {
    this.#children ??= new Map();
    const known = this.#children.get(value);
    if (known) return known;
    const fresh = new LabelClass(this, value);
    this.#children.set(value, fresh);
    value.heads.add(fresh);
    fresh.#count(1);
    return fresh;
  }

  /** Its value of a label that is asked about. */
  textOf(name: string): string | undefined {
    for (let at: LabelClass | null = this; at; at = at.parent) {
      if (at.value?.label.name === name) return at.value.text;
    }
    return undefined;
  }

  /** Itself and those below that have items. */
  *populated(): Generator<LabelClass> {
    const open: LabelClass[] = [this];
    for (let next = open.pop(); next; next = open.pop()) {
      if (next.items.length > 0) yield next;
      for (const child of next.#children?.values() ?? []) open.push(child);
    }
  }

  /** Takes it out of the tree, and its parents too, as far up as they hold nothing. */
  dropIfEmpty(): void {
    for (let at: LabelClass = this; at.parent && at.value && at.#isEmpty(); at = at.parent) {
      at.#count(-1);
      at.value.heads.delete(at);
      at.value.forgetIfUnused();
      const siblings = at.parent.#children;
      if (siblings?.delete(at.value) && siblings.size === 0) at.parent.#children = null;
    }
  }

  #isEmpty(): boolean {
    return this.items.length === 0 && !this.#children;
  }

  #count(change: 1 | -1): void {
    for (let at: LabelClass | null = this; at; at = at.parent) {
      if (!at.value) continue;
      at.value.classCount += change;
      at.value.label.classCount += change;
    }
  }
}

/** A list of profiles, and the items that have it. */
export interface Lineage {
  readonly key: string;
  readonly profiles: readonly string[];
  /** What the profiles give of the labels that are asked about; of two profiles the first in the list wins. */
  inherited: readonly { readonly label: AskedLabel; readonly text: string }[];
  readonly items: Item[];
}
