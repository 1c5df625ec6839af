// SPDX-License-Identifier: Apache-2.0
import {
  AskedLabel,
  type Item,
  type LabelClass,
  LabelKeys,
  type Labels,
  type Lineage,
} from './label-class.ts';
import { Multimap } from './multimap.ts';
import { type SelectorEntry, SelectorIndex } from './selector-index.ts';
import type { LabelSelector, Restriction } from './selectors.ts';

export interface MatchListener {
  onMatch(selectorKey: string, item: string): void;
  onUnmatch(selectorKey: string, item: string): void;
}

/** Labels that nobody asks about any more are kept apart until there are so many and more than those asked about. */
const maxIdleLabels = 16;

/**
 * Which selectors match which labelled items, kept up to date from both sides.
 *
 * @remarks Items are kept apart only by labels that a selector asks about, so 250,000 pods are a few classes, and a match is
 * worked out once for each class. A new class looks only at selectors that one of its values leads to, a new selector only
 * at classes that meet its rarest restriction, a label that is asked about for the first time only at items that have it.
 * Each match is told once and taken back once.
 */
export class LabelIndex {
  readonly #listener: MatchListener;
  readonly #labels = new Map<string, AskedLabel>();
  readonly #items = new Map<string, Item>();
  readonly #keys = new LabelKeys(null, []);
  readonly #profiles = new Map<string, Labels>();
  readonly #lineages = new Map<string, Lineage>();
  readonly #lineagesByProfile = new Multimap<string, Lineage>();
  readonly #selectors = new Map<string, SelectorEntry>();
  readonly #selectorIndex = new SelectorIndex(this.#labels);
  #idleLabels = 0;

  constructor(listener: MatchListener) {
    this.#listener = listener;
  }

  /** @param labels - null when there is no such profile. */
  setProfile(name: string, labels: Labels | null): void {
    if (labels) this.#profiles.set(name, labels);
    else this.#profiles.delete(name);
    for (const lineage of this.#lineagesByProfile.get(name)) this.#inheritAgain(lineage);
  }

  setItem(key: string, own: Labels, profiles: readonly string[]): void {
    const before = this.#items.get(key);
    const keys = this.#keysOf(own);
    const lineage = this.#lineageOf(profiles);
    if (before) this.#reuse(before, own, keys, lineage);
    else this.#insert(key, own, keys, lineage);
  }

  deleteItem(key: string): void {
    const item = this.#items.get(key);
    if (!item) return;
    this.#items.delete(key);
    const { labelClass } = item;
    displace(item, labelClass.items, 'classSlot');
    for (const entry of labelClass.selectors.values()) this.#listener.onUnmatch(entry.key, key);
    this.#dropIfEmpty(labelClass);
    displace(item, item.lineage.items, 'lineageSlot');
    this.#release(item.keys, item.lineage);
  }

  /** @param key - new, or freed by deleteSelector. */
  addSelector(key: string, selector: LabelSelector): void {
    this.#ask(selector.labels);
    const entry = this.#selectorIndex.add(key, selector);
    this.#selectors.set(key, entry);
    for (const labelClass of this.#candidatesFor(selector.restrictions)) {
      if (!selector.matches((name) => labelClass.textOf(name))) continue;
      link(entry, labelClass);
      for (const item of labelClass.items) this.#listener.onMatch(key, item.key);
    }
  }

  deleteSelector(key: string): void {
    const entry = this.#selectors.get(key);
    if (!entry) return;
    this.#selectors.delete(key);
    this.#selectorIndex.delete(entry);
    for (const labelClass of entry.classes.values()) {
      labelClass.selectors.delete(entry);
      for (const item of labelClass.items) this.#listener.onUnmatch(key, item.key);
    }
    this.#askNoMore(entry.selector.labels);
  }

  *selectorsOf(item: string): Generator<string> {
    for (const entry of this.#items.get(item)?.labelClass.selectors.values() ?? []) yield entry.key;
  }

  *itemsOf(key: string): Generator<string> {
    for (const labelClass of this.#selectors.get(key)?.classes.values() ?? []) {
      for (const item of labelClass.items) yield item.key;
    }
  }

  #insert(key: string, own: Labels, keys: LabelKeys, lineage: Lineage): void {
    const labelClass = classOf(own, keys, lineage);
    const item: Item = { key, own, keys, lineage, labelClass, classSlot: 0, lineageSlot: 0 };
    keys.itemCount++;
    place(item, lineage.items, 'lineageSlot');
    this.#enter(item, labelClass);
    this.#items.set(key, item);
    for (const entry of labelClass.selectors.values()) this.#listener.onMatch(entry.key, key);
  }

  /** The new keys and lineage hold it before the old ones are dropped, so that what stays does not end and begin. */
  #reuse(item: Item, own: Labels, keys: LabelKeys, lineage: Lineage): void {
    const { keys: oldKeys, lineage: oldLineage } = item;
    keys.itemCount++;
    displace(item, oldLineage.items, 'lineageSlot');
    place(item, lineage.items, 'lineageSlot');
    item.own = own;
    item.keys = keys;
    item.lineage = lineage;
    this.#settle(item);
    this.#release(oldKeys, oldLineage);
  }

  #release(keys: LabelKeys, lineage: Lineage): void {
    keys.itemCount--;
    keys.dropIfEmpty();
    if (lineage.items.length > 0) return;
    this.#lineages.delete(lineage.key);
    for (const profile of lineage.profiles) this.#lineagesByProfile.delete(profile, lineage);
  }

  /** Moves it to the class where it belongs now, and tells what that changes. */
  #settle(item: Item): void {
    const before = item.labelClass;
    const after = classOf(item.own, item.keys, item.lineage);
    if (before === after) return;
    displace(item, before.items, 'classSlot');
    this.#enter(item, after);
    for (const entry of before.selectors.values()) {
      if (!after.selectors.has(entry)) this.#listener.onUnmatch(entry.key, item.key);
    }
    for (const entry of after.selectors.values()) {
      if (!before.selectors.has(entry)) this.#listener.onMatch(entry.key, item.key);
    }
    this.#dropIfEmpty(before);
  }

  /** A class is compared with selectors when its first item comes. */
  #enter(item: Item, labelClass: LabelClass): void {
    if (labelClass.items.length === 0) {
      const lookup = (name: string) => labelClass.textOf(name);
      for (const entry of this.#selectorIndex.candidates(labelClass)) {
        if (entry.selector.matches(lookup)) link(entry, labelClass);
      }
    }
    item.labelClass = labelClass;
    place(item, labelClass.items, 'classSlot');
  }

  #dropIfEmpty(labelClass: LabelClass): void {
    if (labelClass.items.length > 0) return;
    for (const entry of [...labelClass.selectors.values()]) unlink(entry, labelClass);
    labelClass.dropIfEmpty();
  }

  #keysOf(own: Labels): LabelKeys {
    let at = this.#keys;
    for (const name of Object.keys(own)) at = at.next(name) ?? this.#extend(at, name);
    return at;
  }

  #extend(parent: LabelKeys, name: string): LabelKeys {
    const fresh = parent.extend(name);
    const label = this.#labels.get(name);
    fresh.asked = label ? [...parent.asked, label] : parent.asked;
    return fresh;
  }

  #lineageOf(profiles: readonly string[]): Lineage {
    const [only = ''] = profiles;
    const key = profiles.length === 1 ? only : JSON.stringify(profiles);
    const known = this.#lineages.get(key);
    if (known) return known;
    const fresh: Lineage = { key, profiles, inherited: this.#inherited(profiles), items: [] };
    this.#lineages.set(key, fresh);
    for (const profile of profiles) this.#lineagesByProfile.add(profile, fresh);
    return fresh;
  }

  #inherited(profiles: readonly string[]): Lineage['inherited'] {
    const found = new Map<AskedLabel, string>();
    for (const profile of profiles) {
      const labels = this.#profiles.get(profile) ?? {};
      for (const name of Object.keys(labels)) {
        const label = this.#labels.get(name);
        if (label && !found.has(label)) found.set(label, labels[name] ?? '');
      }
    }
    return [...found].map(([label, text]) => ({ label, text }));
  }

  #inheritAgain(lineage: Lineage): void {
    const inherited = this.#inherited(lineage.profiles);
    if (sameInheritance(inherited, lineage.inherited)) return;
    lineage.inherited = inherited;
    for (const item of lineage.items) this.#settle(item);
  }

  #ask(names: ReadonlySet<string>): void {
    const fresh = new Set<string>();
    for (const name of names) {
      const label = this.#labels.get(name) ?? new AskedLabel(name);
      if (!this.#labels.has(name)) fresh.add(name);
      else if (label.askers === 0) this.#idleLabels--;
      label.askers++;
      this.#labels.set(name, label);
    }
    if (fresh.size > 0) this.#keepApart(fresh);
  }

  #askNoMore(names: ReadonlySet<string>): void {
    for (const name of names) {
      const label = this.#labels.get(name);
      if (label && --label.askers === 0) this.#idleLabels++;
    }
    if (this.#idleLabels > maxIdleLabels && this.#idleLabels * 2 > this.#labels.size) this.#forgetIdle();
  }

  #forgetIdle(): void {
    const idle = new Set<string>();
    for (const [name, { askers }] of this.#labels) if (askers === 0) idle.add(name);
    for (const name of idle) this.#labels.delete(name);
    this.#idleLabels = 0;
    this.#keepApart(idle);
  }

  /** Puts the items that have one of these labels into the classes where they belong now. */
  #keepApart(names: ReadonlySet<string>): void {
    for (const keys of this.#keys.all()) {
      if (!keys.names.some((name) => names.has(name))) continue;
      keys.asked = keys.names.flatMap((name) => this.#labels.get(name) ?? []);
      const items = [...keys.root.populated()].flatMap((labelClass) => labelClass.items);
      for (const item of items) this.#settle(item);
    }
    for (const lineage of this.#lineages.values()) {
      if (lineage.profiles.some((profile) => hasAny(this.#profiles.get(profile), names))) {
        this.#inheritAgain(lineage);
      }
    }
  }

  #candidatesFor(restrictions: readonly Restriction[]): Iterable<LabelClass> {
    const rarest = this.#selectorIndex.rarest(restrictions, (_, classes) => classes);
    return rarest ? this.#selectorIndex.classesOf(rarest) : this.#classes();
  }

  *#classes(): Generator<LabelClass> {
    for (const keys of this.#keys.all()) yield* keys.root.populated();
  }
}

/** An own label beats an inherited one. */
function classOf(own: Labels, keys: LabelKeys, lineage: Lineage): LabelClass {
  let at = keys.root;
  for (const label of keys.asked) at = at.child(label.valueOf(own[label.name] ?? ''));
  for (const { label, text } of lineage.inherited) {
    if (!keys.asked.includes(label)) at = at.child(label.valueOf(text));
  }
  return at;
}

type Inheritance = Lineage['inherited'];

function sameInheritance(a: Inheritance, b: Inheritance): boolean {
  return (
    a.length === b.length && a.every(({ label, text }, i) => b[i]?.label === label && b[i]?.text === text)
  );
}

function hasAny(labels: Labels | undefined, names: ReadonlySet<string>): boolean {
  if (!labels) return false;
  for (const name of names) if (Object.hasOwn(labels, name)) return true;
  return false;
}

type Slot = 'classSlot' | 'lineageSlot';

/** Lists with places instead of Sets: an item takes 16 bytes in both, and leaves as fast. */
function place(item: Item, list: Item[], slot: Slot): void {
  item[slot] = list.length;
  list.push(item);
}

/** The last of the list takes its place. */
function displace(item: Item, list: Item[], slot: Slot): void {
  const last = list.pop();
  if (!last || last === item) return;
  list[item[slot]] = last;
  last[slot] = item[slot];
}

function link(entry: SelectorEntry, labelClass: LabelClass): void {
  entry.classes.add(labelClass);
  labelClass.selectors.add(entry);
}

function unlink(entry: SelectorEntry, labelClass: LabelClass): void {
  entry.classes.delete(labelClass);
  labelClass.selectors.delete(entry);
}
