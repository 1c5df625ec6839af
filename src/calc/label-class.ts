// SPDX-License-Identifier: Apache-2.0
import type { HostEndpointValue, NetworkSetValue, WorkloadEndpointValue } from '../model/types.ts';
import type { SelectorEntry } from './selector-index.ts';
import { SmallSet } from './small-set.ts';

export type Labels = { readonly [key: string]: string };

/** A label that some selector asks about. Of all others neither values nor items are kept by label. */
export class AskedLabel {
  readonly name: string;
  readonly values: Map<string, AskedValue> = new Map();
  /** Filed here because they match only what has the label. */
  readonly selectors: SmallSet<SelectorEntry> = new SmallSet();
  /** How many selectors ask. */
  askers = 0;
  /** The classes that have it. */
  classCount = 0;

  constructor(name: string) {
    this.name = name;
  }

  valueOf(text: string): AskedValue {
    const known = this.values.get(text);
    if (known) return known;
    const fresh = new AskedValue(this, text);
    this.values.set(text, fresh);
    return fresh;
  }
}

export class AskedValue {
  readonly label: AskedLabel;
  readonly text: string;
  /** Filed here because they match only what has this value, or one of a few. */
  readonly selectors: SmallSet<SelectorEntry> = new SmallSet();
  /** The classes at which it is added; those below have it too. */
  readonly heads: SmallSet<LabelClass> = new SmallSet();
  /** The classes at and below its heads. */
  classCount = 0;

  constructor(label: AskedLabel, text: string) {
    this.label = label;
    this.text = text;
  }

  /** Undone by the next `valueOf`. */
  forgetIfUnused(): void {
    if (this.heads.size === 0 && this.selectors.size === 0) this.label.values.delete(this.text);
  }
}

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
    const { parent, value } = this;
    if (!parent || !value || this.items.length > 0 || this.#children) return;
    this.#count(-1);
    value.heads.delete(this);
    value.forgetIfUnused();
    const siblings = parent.#children;
    if (siblings?.delete(value) && siblings.size === 0) parent.#children = null;
    parent.dropIfEmpty();
  }

  #count(change: 1 | -1): void {
    for (let at: LabelClass | null = this; at; at = at.parent) {
      if (!at.value) continue;
      at.value.classCount += change;
      at.value.label.classCount += change;
    }
  }
}

/** The label names of items, in the order in which they were written; a path of names from the root. */
export class LabelKeys {
  readonly parent: LabelKeys | null;
  readonly names: readonly string[];
  /** Of its names, those that are asked about, first the one that was first; the tree has their values in this order. */
  asked: readonly AskedLabel[] = [];
  readonly root: LabelClass = new LabelClass(null, null);
  itemCount = 0;
  readonly #next = new Map<string, LabelKeys>();

  constructor(parent: LabelKeys | null, names: readonly string[]) {
    this.parent = parent;
    this.names = names;
  }

  next(name: string): LabelKeys | undefined {
    return this.#next.get(name);
  }

  extend(name: string): LabelKeys {
    const fresh = new LabelKeys(this, [...this.names, name]);
    this.#next.set(name, fresh);
    return fresh;
  }

  /** @returns every path below and itself. */
  *all(): Generator<LabelKeys> {
    yield this;
    for (const keys of this.#next.values()) yield* keys.all();
  }

  dropIfEmpty(): void {
    const { parent } = this;
    if (!parent || this.itemCount > 0 || this.#next.size > 0) return;
    parent.#next.delete(this.names.at(-1) ?? '');
    parent.dropIfEmpty();
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
