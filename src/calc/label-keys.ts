// SPDX-License-Identifier: Apache-2.0
import type { AskedLabel } from './asked-label.ts';
import { LabelClass } from './label-class.ts';

/**
 * The label names of items, in the order in which they were written: a path of names from the root.
 *
 * @remarks One node for each name, and no recursion: an object may have 50,000 labels.
 */
export class LabelKeys {
  readonly parent: LabelKeys | null;
  /** The last of the path. */
  readonly name: string;
  /** Of its names, those that are asked about, first the one that was first; the tree has their values in this order. */
  asked: readonly AskedLabel[] = [];
  readonly root: LabelClass = new LabelClass(null, null);
  itemCount = 0;
  #next: Map<string, LabelKeys> | null = null;

  constructor(parent: LabelKeys | null, name: string) {
    this.parent = parent;
    this.name = name;
  }

  next(name: string): LabelKeys | undefined {
    return this.#next?.get(name);
  }

  extend(name: string): LabelKeys {
    const fresh = new LabelKeys(this, name);
    this.#next ??= new Map();
    this.#next.set(name, fresh);
    return fresh;
  }

  /** Itself and every path below. */
  *all(): Generator<LabelKeys> {
    const open: LabelKeys[] = [this];
    for (let keys = open.pop(); keys; keys = open.pop()) {
      yield keys;
      for (const next of keys.#next?.values() ?? []) open.push(next);
    }
  }

  /** Every path below that has the name. */
  *having(name: string): Generator<LabelKeys> {
    const open: LabelKeys[] = [this];
    for (let keys = open.pop(); keys; keys = open.pop()) {
      if (keys.name === name && keys.parent) yield* keys.all();
      else for (const next of keys.#next?.values() ?? []) open.push(next);
    }
  }

  /** Takes it out of its parent, and the parent out of its own, as far up as no item needs them. */
  dropIfEmpty(): void {
    for (let at: LabelKeys = this; at.parent && at.itemCount === 0 && !at.#next; at = at.parent) {
      const siblings = at.parent.#next;
      if (siblings?.delete(at.name) && siblings.size === 0) at.parent.#next = null;
    }
  }
}
