// SPDX-License-Identifier: Apache-2.0
/**
 * Patterns of schemas: RE2's syntax, of which ours use what JavaScript has too and the one flag that it writes elsewhere.
 *
 * Invariants: our patterns take time linear in the text, though JavaScript backtracks: no repetition stands in another in
 *             two ways (test/hostile/group-m.test.ts feeds each with long texts).
 */

import { patterns } from '../schema/patterns.ts';

/** @param pattern - RE2's, `(?i)` for any case anywhere in it. */
export function jsPattern(pattern: string): RegExp {
  const anyCase = pattern.includes('(?i)');
  return new RegExp(pattern.replace('(?i)', ''), anyCase ? 'i' : '');
}

const choices = /^\^\(\?i\)\(([A-Za-z|]+)\)\?\$$/;

/** The words of `^(?i)(Drop|Accept)?$`; null for a pattern of another form. */
export function patternChoices(pattern: string): readonly string[] | null {
  return choices.exec(pattern)?.[1]?.split('|') ?? null;
}

/** What patterns mean, reading on from "want ". */
export const patternWords: ReadonlyMap<string, string> = new Map([
  [patterns.duration, 'a duration like 90s, 1.5h or 2m30s'],
  [patterns.conntrackTimeout, 'a duration like 90s, or Auto'],
  [patterns.featureOverrides, 'name=true, name=false or name=, with commas between'],
  [patterns.featureGates, 'name=value, with commas between'],
  [patterns.rateLimit, 'a rate like 10/second: 1 to 9999 per second, minute, hour or day'],
  [patterns.logPrefix, "letters, digits, blanks, '_', '-', '/', ':' and '%'"],
  [patterns.affinity, 'host:NODE or virtual:NAME'],
  [patterns.condition, "a word of letters, digits, '_', ',' and ':', first a letter"],
  [patterns.conditionType, 'a condition type like Ready'],
]);
