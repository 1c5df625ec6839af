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

/** A selector made ready for the indexes. */
export interface LabelSelector {
  /** `s:` and a hash of the canonical text. */
  readonly id: IpSetId;
  readonly canonical: string;
  /** Every label that can make a difference, each once. */
  readonly labels: ReadonlySet<string>;
  readonly restrictions: readonly Restriction[];
  matches(labels: LabelLookup): boolean;
}

/** Null when `text` does not parse; what passed the model always does. */
export function tryCompileSelector(text: string): LabelSelector | null {
  const selector = tryParseSelector(text);
  return selector && compile(selector);
}

/** `all()`. */
export function selectEverything(): LabelSelector {
  const selector = tryCompileSelector('all()');
  if (!selector) throw new TypeError('all() does not parse');
  return selector;
}

/** What an index asks for is worked out when it first asks: most selectors of inactive rules never get there. */
function compile(selector: Selector): LabelSelector {
  let labels: ReadonlySet<string> | undefined;
  let restrictions: Restriction[] | undefined;
  return {
    get id() {
      return selector.id;
    },
    get canonical() {
      return selector.canonical;
    },
    get labels() {
      labels ??= labelsOf(selector);
      return labels;
    },
    get restrictions() {
      restrictions ??= [...restrictionsOf(selector)].flatMap(([label, restriction]) =>
        usable(label, restriction),
      );
      return restrictions;
    },
    matches: (of) => matches(selector, of),
  };
}

/** Absence of a label leads nowhere in an index. */
function usable(label: string, { mustBePresent, values }: LabelRestriction): Restriction[] {
  return mustBePresent || values ? [{ label, values }] : [];
}
