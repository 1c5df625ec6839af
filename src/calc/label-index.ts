// SPDX-License-Identifier: Apache-2.0
import { AskedLabel } from './asked-label.ts';
import type { Item, LabelClass, Labelled, Labels, Lineage } from './label-class.ts';
import { LabelKeys } from './label-keys.ts';
import { Multimap } from './multimap.ts';
import { stepsPerYield, type Work } from './node.ts';
import { type MatchListener, type SelectorEntry, SelectorIndex } from './selector-index.ts';
import type { LabelSelector, Restriction } from './selectors.ts';

/** Labels that nobody asks about any more are kept apart until there are so many and more than those asked about. */
const maxIdleLabels = 16;

/**
 * Which selectors match which labelled items, kept up to date from both sides.
 *
 * @remarks Items are kept apart only by labels that a selector asks about, so 250,000 pods are a few classes, and a match is
 * worked out once for each class. A new class looks only at selectors that one of its values leads to, a new selector only
 * at classes that meet its rarest restriction, a label that is asked about for the first time only at items that have it.
 */
export class LabelIndex {
  readonly #labels = new Map<string, AskedLabel>();
  readonly #items = new Map<string, Item>();
  readonly #keys = new LabelKeys(null, '');
  readonly #profiles = new Map<string, Labels>();
  readonly #lineages = new Map<string, Lineage>();
  readonly #lineagesByProfile = new Multimap<string, Lineage>();
  readonly #selectorIndex = new SelectorIndex(this.#labels);
  #idleLabels = 0;

  /** @param labels - null when there is no such profile. */
  *setProfile(name: string, labels: Labels | null): Work {
    if (labels) this.#profiles.set(name, labels);
    else this.#profiles.delete(name);
    for (const lineage of this.#lineagesByProfile.get(name)) yield* this.#inheritAgain(lineage);
  }

  setItem(key: string, value: Labelled): void {
    const before = this.#items.get(key);
    const keys = this.#keysOf(value.labels);
    const lineage = this.#lineageOf(value.profiles);
    if (before) this.#replace(before, value, keys, lineage);
    else this.#insert(key, value, keys, lineage);
  }

  deleteItem(key: string): void {
    const item = this.#items.get(key);
    if (!item) return;
    this.#items.delete(key);
    const { labelClass, value } = item;
    displace(item, labelClass.items, 'classSlot');
    for (const { listener } of labelClass.selectors.values()) listener.onUnmatch(key, value);
    dropIfEmpty(labelClass);
    displace(item, item.lineage.items, 'lineageSlot');
    this.#release(item.keys, item.lineage);
  }

  /** Null of what is not here. */
  classOf(key: string): LabelClass | null {
    return this.#items.get(key)?.labelClass ?? null;
  }

  /** Tells the listener of all that matches already: each class, then its items. */
  *addSelector(selector: LabelSelector, listener: MatchListener): Work<SelectorEntry> {
    yield* this.#ask(selector.labels());
    const restrictions = selector.restrictions();
    const entry = this.#selectorIndex.add(selector, restrictions, listener);
    let steps = 0;
    for (const labelClass of this.#candidatesFor(restrictions)) {
      if (++steps % stepsPerYield === 0) yield;
      if (!selector.matches((name) => labelClass.textOf(name))) continue;
      link(entry, labelClass);
      for (const { key, value } of labelClass.items) {
        listener.onMatch(key, value);
        if (++steps % stepsPerYield === 0) yield;
      }
    }
    return entry;
  }

  /** Tells nobody: who wants to know what matched looks at the entry's classes before. */
  *deleteSelector(entry: SelectorEntry): Work {
    this.#selectorIndex.delete(entry);
    for (const labelClass of entry.classes.values()) labelClass.selectors.delete(entry);
    yield* this.#askNoMore(entry.selector.labels());
  }

  #insert(key: string, value: Labelled, keys: LabelKeys, lineage: Lineage): void {
    const labelClass = classOf(value.labels, keys, lineage);
    const item: Item = { key, value, keys, lineage, labelClass, classSlot: 0, lineageSlot: 0 };
    keys.itemCount++;
    place(item, lineage.items, 'lineageSlot');
    this.#enter(item, labelClass);
    this.#items.set(key, item);
    for (const { listener } of labelClass.selectors.values()) listener.onMatch(key, value);
  }

  /** The new keys and lineage hold it before the old ones are dropped, so that what stays does not end and begin. */
  #replace(item: Item, value: Labelled, keys: LabelKeys, lineage: Lineage): void {
    const { value: before, keys: oldKeys, lineage: oldLineage } = item;
    keys.itemCount++;
    displace(item, oldLineage.items, 'lineageSlot');
    place(item, lineage.items, 'lineageSlot');
    item.value = value;
    item.keys = keys;
    item.lineage = lineage;
    this.#settle(item, before);
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
  #settle(item: Item, valueBefore: Labelled): void {
    const { key, value, labelClass: before } = item;
    const after = classOf(value.labels, item.keys, item.lineage);
    if (before !== after) {
      displace(item, before.items, 'classSlot');
      this.#enter(item, after);
    }
    for (const entry of before.selectors.values()) {
      if (!after.selectors.has(entry)) entry.listener.onUnmatch(key, valueBefore);
      else if (value !== valueBefore) entry.listener.onChange(key, valueBefore, value);
    }
    for (const entry of after.selectors.values()) {
      if (!before.selectors.has(entry)) entry.listener.onMatch(key, value);
    }
    if (before !== after) dropIfEmpty(before);
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
    const isPlain = profiles.length === 1 && !only.startsWith('['); // else a name could be the text of a list
    const key = isPlain ? only : JSON.stringify(profiles);
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

  *#inheritAgain(lineage: Lineage): Work {
    const inherited = this.#inherited(lineage.profiles);
    if (sameInheritance(inherited, lineage.inherited)) return;
    lineage.inherited = inherited;
    yield* this.#settleAll(lineage.items);
  }

  *#settleAll(items: readonly Item[]): Work {
    let steps = 0;
    for (const item of items) {
      this.#settle(item, item.value);
      if (++steps % stepsPerYield === 0) yield;
    }
  }

  *#ask(names: ReadonlySet<string>): Work {
    for (const name of names) {
      const known = this.#labels.get(name);
      const label = known ?? new AskedLabel(name);
      if (known?.askers === 0) this.#idleLabels--;
      label.askers++;
      if (known) continue;
      this.#labels.set(name, label);
      for (const keys of this.#keys.having(name)) yield* this.#addLeaves(keys, label);
      yield* this.#inheritEach(new Set([name]));
    }
  }

  /** No selector asked about the label so far: nothing begins or ends to match. */
  *#addLeaves(keys: LabelKeys, label: AskedLabel): Work {
    let steps = 0;
    for (const labelClass of [...keys.root.populated()]) {
      for (let item = labelClass.items.pop(); item; item = labelClass.items.pop()) {
        this.#enter(item, labelClass.child(label.valueOf(item.value.labels[label.name] ?? '')));
        if (++steps % stepsPerYield === 0) yield;
      }
      dropIfEmpty(labelClass);
    }
    keys.asked = [...keys.asked, label];
  }

  *#askNoMore(names: ReadonlySet<string>): Work {
    for (const name of names) {
      const label = this.#labels.get(name);
      if (label && --label.askers === 0) this.#idleLabels++;
    }
    if (this.#idleLabels > maxIdleLabels && this.#idleLabels * 2 > this.#labels.size)
      yield* this.#forgetIdle();
  }

  *#forgetIdle(): Work {
    const idle = new Set([...this.#labels.values()].filter(({ askers }) => askers === 0));
    for (const { name } of idle) this.#labels.delete(name);
    this.#idleLabels = 0;
    for (const keys of this.#keys.all()) {
      if (!keys.asked.some((label) => idle.has(label))) continue;
      keys.asked = keys.asked.filter((label) => !idle.has(label));
      const items = [...keys.root.populated()].flatMap((labelClass) => labelClass.items);
      yield* this.#settleAll(items);
    }
    yield* this.#inheritEach(new Set([...idle].map(({ name }) => name)));
  }

  /** Those lineages that inherit one of these labels. */
  *#inheritEach(names: ReadonlySet<string>): Work {
    let steps = 0;
    for (const [profile, labels] of this.#profiles) {
      if (hasAny(labels, names))
        for (const lineage of this.#lineagesByProfile.get(profile)) yield* this.#inheritAgain(lineage);
      if (++steps % stepsPerYield === 0) yield;
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
  for (const { label, text } of lineage.inherited) {
    if (!keys.asked.includes(label)) at = at.child(label.valueOf(text));
  }
  for (const label of keys.asked) at = at.child(label.valueOf(own[label.name] ?? ''));
  return at;
}

type Inheritance = Lineage['inherited'];

function sameInheritance(a: Inheritance, b: Inheritance): boolean {
  return (
    a.length === b.length && a.every(({ label, text }, i) => b[i]?.label === label && b[i]?.text === text)
  );
}

function hasAny(labels: Labels, names: ReadonlySet<string>): boolean {
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

function dropIfEmpty(labelClass: LabelClass): void {
  if (labelClass.items.length > 0) return;
  for (const entry of [...labelClass.selectors.values()]) unlink(entry, labelClass);
  labelClass.dropIfEmpty();
}

function link(entry: SelectorEntry, labelClass: LabelClass): void {
  entry.classes.add(labelClass);
  labelClass.selectors.add(entry);
  entry.listener.onClassMatch(labelClass);
}

function unlink(entry: SelectorEntry, labelClass: LabelClass): void {
  entry.classes.delete(labelClass);
  labelClass.selectors.delete(entry);
  entry.listener.onClassUnmatch(labelClass);
}
