// SPDX-License-Identifier: Apache-2.0
import type { IpSetId } from '../lib/brand.ts';
import { matches, type Selector, tryParseSelector } from '../model/selector/parse.ts';
import { type LabelRestriction, restrictionsOf } from '../model/selector/restrictions.ts';
import type { Labels } from './label-class.ts';

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
  readonly restrictions: readonly Restriction[];
  matches(labels: Labels): boolean;
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

/** The restrictions are worked out when an index first asks: most selectors of inactive rules never get there. */
function compile(selector: Selector): LabelSelector {
  let restrictions: Restriction[] | undefined;
  return {
    id: selector.id,
    canonical: selector.canonical,
    get restrictions() {
      restrictions ??= [...restrictionsOf(selector)].flatMap(([label, restriction]) =>
        usable(label, restriction),
      );
      return restrictions;
    },
    matches: (labels) => matches(selector, labels),
  };
}

/** Absence of a label leads nowhere in an index. */
function usable(label: string, { mustBePresent, values }: LabelRestriction): Restriction[] {
  return mustBePresent || values ? [{ label, values }] : [];
}
