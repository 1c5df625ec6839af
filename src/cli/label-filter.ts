// SPDX-License-Identifier: Apache-2.0
/**
 * `-l`: kubectl's label selectors (`a=b,c!=d,e in (x,y),f notin (z),g,!h`) and Calico's (`a == "b" && has(c)`).
 *
 * A text that Calico's grammar takes is Calico's, any other must be kubectl's. No text is both, for Calico's comparisons
 * want quotes, which kubectl's never have, and its only bare words are calls: `has(g)`, `all()`.
 */
import { UsageError } from '../lib/errors.ts';

import { matches, parseSelector, type Selector, tryParseSelector } from '../model/selector/parse.ts';
import { labelKeyFault } from '../model/validate/names.ts';

export type LabelFilter = (labels: { readonly [name: string]: string }) => boolean;

/** @throws {UsageError} when neither grammar takes `text`. */
export function parseLabelFilter(text: string): LabelFilter {
  const selector = tryParseSelector(text) ?? kubernetesSelector(text);
  return (labels) => matches(selector, labels);
}

function kubernetesSelector(text: string): Selector {
  return parseSelector(
    splitOutsideBrackets(text)
      .map((part) => requirement(part.trim(), text))
      .join(' && '),
  );
}

const key = '([A-Za-z0-9][A-Za-z0-9_./-]*)';
const value = '([A-Za-z0-9_.-]*)';
const equality = new RegExp(`^${key}\\s*(==?|!=)\\s*${value}$`);
const membership = new RegExp(`^${key}\\s+(in|notin)\\s*\\(([A-Za-z0-9_.,\\s-]*)\\)$`);
const presence = new RegExp(`^(!?)\\s*${key}$`);

/** One requirement in Calico's language, where absent labels count as kubectl counts them. */
function requirement(part: string, whole: string): string {
  const equal = equality.exec(part);
  if (equal) return `${label(equal[1])} ${equal[2] === '!=' ? '!=' : '=='} ${quoted(equal[3])}`;
  const member = membership.exec(part);
  if (member) {
    const values = (member[3] ?? '').split(',').map((each) => quoted(each.trim()));
    return `${label(member[1])} ${member[2] === 'in' ? 'in' : 'not in'} {${values.join(', ')}}`;
  }
  const present = presence.exec(part);
  if (present) return `${present[1]}has(${label(present[2])})`;
  throw new UsageError(
    `-l: got ${JSON.stringify(whole)}, want kubectl's form (a=b,c!=d,e in (x,y),!f) or Calico's (a == "b" && has(c))`,
  );
}

function label(name = ''): string {
  const fault = labelKeyFault(name);
  if (fault) throw new UsageError(`-l: got label ${JSON.stringify(name)}, ${fault}`);
  return name;
}

function quoted(text = ''): string {
  return `"${text}"`;
}

function splitOutsideBrackets(text: string): readonly string[] {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}
