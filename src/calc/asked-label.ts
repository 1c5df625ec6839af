// SPDX-License-Identifier: Apache-2.0
import type { LabelClass } from './label-class.ts';
import type { SelectorEntry } from './selector-index.ts';
import { SmallSet } from './small-set.ts';

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
