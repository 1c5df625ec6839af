// SPDX-License-Identifier: Apache-2.0
import type { IpSetId } from '../lib/brand.ts';
import type { LabelLookup } from '../model/selector/match.ts';
import { matches, type Selector, tryParseSelector } from '../model/selector/parse.ts';
import { type LabelRestriction, labelsOf, restrictionsOf } from '../model/selector/restrictions.ts';

/** What every match must meet: the label is there and, unless `values` is null, has one of the values. */
export interface Restriction {
  readonly label: string;
  readonly values: readonly string[] | null;
}

/** A selector as the indexes read it. */
export interface LabelSelector {
  /** `s:` and a hash of the canonical text. */
  readonly id: IpSetId;
  readonly canonical: string;
  /** Every label that can make a difference, each once. */
  labels(): ReadonlySet<string>;
  restrictions(): readonly Restriction[];
  matches(labels: LabelLookup): boolean;
}

/** Null when `text` does not parse; what passed the model always does. */
export function tryCompileSelector(text: string): LabelSelector | null {
  const selector = tryParseSelector(text);
  return selector && new CompiledSelector(selector);
}

/** `all()`. */
export function selectEverything(): LabelSelector {
  const selector = tryCompileSelector('all()');
  if (!selector) throw new TypeError('all() does not parse');
  return selector;
}

/** Keeps the tree alone: there may be one for each of 100,000 policies, and an index asks once for the rest. */
class CompiledSelector implements LabelSelector {
  readonly #selector: Selector;

  constructor(selector: Selector) {
    this.#selector = selector;
  }

  get id(): IpSetId {
    return this.#selector.id;
  }

  get canonical(): string {
    return this.#selector.canonical;
  }

  labels(): ReadonlySet<string> {
    return labelsOf(this.#selector);
  }

  restrictions(): readonly Restriction[] {
    return [...restrictionsOf(this.#selector)].flatMap(([label, restriction]) => usable(label, restriction));
  }

  matches(labels: LabelLookup): boolean {
    return matches(this.#selector, labels);
  }
}

/** Rules repeat selectors: a text is parsed, and its id hashed, once between two calls of `forget`. */
export class SelectorTexts {
  readonly #compiled = new Map<string, LabelSelector | null>();

  compile(text: string): LabelSelector | null {
    const known = this.#compiled.get(text);
    if (known !== undefined) return known;
    const fresh = tryCompileSelector(text);
    this.#compiled.set(text, fresh);
    return fresh;
  }

  forget(): void {
    this.#compiled.clear();
  }
}

/** Absence of a label leads nowhere in an index. */
function usable(label: string, { mustBePresent, values }: LabelRestriction): Restriction[] {
  return mustBePresent || values ? [{ label, values }] : [];
}
