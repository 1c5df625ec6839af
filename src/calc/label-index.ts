// SPDX-License-Identifier: Apache-2.0
import { ClassIndex, classKey, effectiveLabels, type LabelClass, type Labels } from './label-class.ts';
import { Multimap } from './multimap.ts';
import { type SelectorEntry, SelectorIndex } from './selector-index.ts';
import type { LabelSelector } from './selectors.ts';

export interface MatchListener {
  onMatch(selectorKey: string, item: string): void;
  onUnmatch(selectorKey: string, item: string): void;
}

/**
 * Which selectors match which labelled items, kept up to date from both sides.
 *
 * @remarks A new item looks only at selectors that one of its labels leads to, a new selector only at classes of items
 * that meet its rarest restriction. Each match is told once and taken back once.
 */
export class LabelIndex {
  readonly #listener: MatchListener;
  readonly #profiles = new Map<string, Labels>();
  readonly #classes = new Map<string, LabelClass>();
  readonly #classesByProfile = new Multimap<string, LabelClass>();
  readonly #classIndex = new ClassIndex();
  readonly #classOf = new Map<string, LabelClass>();
  readonly #selectors = new Map<string, SelectorEntry>();
  readonly #selectorIndex = new SelectorIndex();

  constructor(listener: MatchListener) {
    this.#listener = listener;
  }

  /** @param labels - null when there is no such profile. */
  setProfile(name: string, labels: Labels | null): void {
    if (labels) this.#profiles.set(name, labels);
    else this.#profiles.delete(name);
    for (const labelClass of this.#classesByProfile.get(name)) this.#relabel(labelClass);
  }

  setItem(item: string, own: Labels, profiles: readonly string[]): void {
    const before = this.#classOf.get(item);
    const after = this.#classFor(own, profiles);
    if (before === after) return;
    before?.items.delete(item);
    after.items.add(item);
    this.#classOf.set(item, after);
    for (const entry of before?.selectors ?? []) {
      if (!after.selectors.has(entry)) this.#listener.onUnmatch(entry.key, item);
    }
    for (const entry of after.selectors) {
      if (!before?.selectors.has(entry)) this.#listener.onMatch(entry.key, item);
    }
    if (before) this.#dropIfEmpty(before);
  }

  deleteItem(item: string): void {
    const before = this.#classOf.get(item);
    if (!before) return;
    before.items.delete(item);
    this.#classOf.delete(item);
    for (const entry of before.selectors) this.#listener.onUnmatch(entry.key, item);
    this.#dropIfEmpty(before);
  }

  /** @param key - new, or freed by deleteSelector. */
  addSelector(key: string, selector: LabelSelector): void {
    const entry = this.#selectorIndex.add(key, selector);
    this.#selectors.set(key, entry);
    for (const labelClass of this.#candidatesFor(selector)) {
      if (!selector.matches(labelClass.effective)) continue;
      link(entry, labelClass);
      for (const item of labelClass.items) this.#listener.onMatch(key, item);
    }
  }

  deleteSelector(key: string): void {
    const entry = this.#selectors.get(key);
    if (!entry) return;
    this.#selectors.delete(key);
    this.#selectorIndex.delete(entry);
    for (const labelClass of entry.classes) {
      labelClass.selectors.delete(entry);
      for (const item of labelClass.items) this.#listener.onUnmatch(key, item);
    }
  }

  *selectorsOf(item: string): Generator<string> {
    for (const entry of this.#classOf.get(item)?.selectors ?? []) yield entry.key;
  }

  *itemsOf(key: string): Generator<string> {
    for (const labelClass of this.#selectors.get(key)?.classes ?? []) yield* labelClass.items;
  }

  #classFor(own: Labels, profiles: readonly string[]): LabelClass {
    const key = classKey(own, profiles);
    const known = this.#classes.get(key);
    if (known) return known;
    const effective = this.#effective(own, profiles);
    const fresh: LabelClass = { key, own, profiles, effective, items: new Set(), selectors: new Set() };
    this.#classes.set(key, fresh);
    for (const profile of profiles) this.#classesByProfile.add(profile, fresh);
    this.#classIndex.add(fresh);
    for (const entry of this.#matching(fresh)) link(entry, fresh);
    return fresh;
  }

  #dropIfEmpty(labelClass: LabelClass): void {
    if (labelClass.items.size > 0) return;
    this.#classes.delete(labelClass.key);
    for (const profile of labelClass.profiles) this.#classesByProfile.delete(profile, labelClass);
    this.#classIndex.delete(labelClass);
    for (const entry of labelClass.selectors) entry.classes.delete(labelClass);
  }

  /** After one of its profiles changed. */
  #relabel(labelClass: LabelClass): void {
    this.#classIndex.delete(labelClass);
    labelClass.effective = this.#effective(labelClass.own, labelClass.profiles);
    this.#classIndex.add(labelClass);
    const matching = new Set(this.#matching(labelClass));
    for (const entry of [...labelClass.selectors]) {
      if (matching.has(entry)) continue;
      unlink(entry, labelClass);
      for (const item of labelClass.items) this.#listener.onUnmatch(entry.key, item);
    }
    for (const entry of matching) {
      if (labelClass.selectors.has(entry)) continue;
      link(entry, labelClass);
      for (const item of labelClass.items) this.#listener.onMatch(entry.key, item);
    }
  }

  #effective(own: Labels, profiles: readonly string[]): Labels {
    return effectiveLabels(
      own,
      profiles.map((name) => this.#profiles.get(name) ?? {}),
    );
  }

  *#matching(labelClass: LabelClass): Generator<SelectorEntry> {
    for (const entry of this.#selectorIndex.candidates(labelClass.effective)) {
      if (entry.selector.matches(labelClass.effective)) yield entry;
    }
  }

  #candidatesFor(selector: LabelSelector): Iterable<LabelClass> {
    let best: { count: number; classes: Iterable<LabelClass> } | null = null;
    for (const { label, values } of selector.restrictions) {
      const count = this.#classIndex.count(label, values);
      if (!best || count < best.count) best = { count, classes: this.#classIndex.find(label, values) };
    }
    return best?.classes ?? this.#classes.values();
  }
}

function link(entry: SelectorEntry, labelClass: LabelClass): void {
  entry.classes.add(labelClass);
  labelClass.selectors.add(entry);
}

function unlink(entry: SelectorEntry, labelClass: LabelClass): void {
  entry.classes.delete(labelClass);
  labelClass.selectors.delete(entry);
}
