// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selects } from './selects.ts';

const labels: { readonly [name: string]: string } = {
  a: '1',
  in: 'x',
  has: 'y',
  'a.b/c-d_e': 'z',
  both: '"',
};
const subject = { label: (name: string) => labels[name], all: true, global: true };

/** Null where the text is not in the language. */
function holds(text: string): boolean | null {
  try {
    return selects(text)(subject);
  } catch {
    return null;
  }
}

const facts: readonly (readonly [fact: string, text: string, holds: boolean | null])[] = [
  ['empty is all()', '', true],
  ['white space is space and tab', "a\t== '1' ", true],
  ['white space is space and tab', "a == '1'\n", null],
  ['white space is space and tab', "a ==\u00a0'1'", null],
  ['inner blanks of operators may be missing', "a notin {'2'}", true],
  ['inner blanks of operators may be missing', "a startswith '1'", true],
  ['inner blanks of operators may be missing', "a endswith '2'", false],
  ['inner blanks of operators may be missing', "a  not \t in {'1'}", false],
  ['keywords are keywords only after a label', "in == 'x'", true],
  ['keywords are keywords only after a label', "has == 'y'", true],
  ['keywords are keywords only after a label', "in in {'x'}", true],
  ['keywords are keywords only after a label', 'has(has)', true],
  ['keywords are keywords only after a label', "all == 'x'", false],
  ['a keyword must be followed by no identifier', "a inx {'1'}", null],
  ['a keyword must be followed by no identifier', "a containsx '1'", null],
  ['a keyword must be followed by no identifier', "a in{'1'}", true],
  ['a keyword must be followed by no identifier', "a contains'1'", true],
  ['no blank before the parenthesis, some within', 'has (a)', null],
  ['no blank before the parenthesis, some within', 'all ()', null],
  ['no blank before the parenthesis, some within', 'has( a )', true],
  ['no blank before the parenthesis, some within', 'all( )', true],
  ['! collapses by parity and binds tighter than &&', '!!has(a)', true],
  ['! collapses by parity and binds tighter than &&', '! ! !has(a)', false],
  ['! collapses by parity and binds tighter than &&', '!has(b) && has(a)', true],
  ['! collapses by parity and binds tighter than &&', '!has(a) && has(b)', false],
  ['&& binds tighter than ||', 'has(a) || has(b) && has(c)', true],
  ['&& binds tighter than ||', '(has(a) || has(b)) && has(c)', false],
  ['empty set and trailing comma', 'a in {}', false],
  ['empty set and trailing comma', 'a not in {}', true],
  ['empty set and trailing comma', "a in {'2', '1',}", true],
  ['strings have no escapes', `both == '"'`, true],
  ['strings have no escapes', String.raw`both == "\""`, null],
  ['characters of labels', "a.b/c-d_e == 'z'", true],
  ['false without the label', "x == 'v'", false],
  ['false without the label', "x in {'v'}", false],
  ['false without the label', "x contains ''", false],
  ['false without the label', "x starts with ''", false],
  ['false without the label', "x ends with ''", false],
  ['true without the label', "x != 'v'", true],
  ['true without the label', "x not in {'v'}", true],
];

for (const [fact, rows] of Map.groupBy(facts, ([fact]) => fact)) {
  test(`oracle: 2.8 Facts: ${fact}`, () => {
    for (const [, text, expected] of rows) assert.equal(holds(text), expected, JSON.stringify(text));
  });
}
