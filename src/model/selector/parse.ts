// SPDX-License-Identifier: Apache-2.0
/**
 * Calico's selector language: text to tree, in one pass from left to right with a stack of its own.
 *
 * Owns:       the grammar. `selector := "" | or`, `or := and { "||" and }`, `and := op { "&&" op }`,
 *             `op := { "!" } ( "(" or ")" | has(label) | all() | global() | label comparison )`.
 * Takes in:   text. Gives out: Selector, with its normal text and id.
 * Invariants: only space and tab are white space; strings have no escapes; keywords are keywords only after a label;
 *             time is linear in the text, stack use does not depend on it.
 * Next:       match.ts evaluates, canonical.ts prints, restrictions.ts serves the index, rewrite.ts scopes.
 */
import type { IpSetId } from '../../lib/brand.ts';
import { InvalidError } from '../../lib/errors.ts';
import { type Comparison, type Leaf, type Node, valueSet } from './ast.ts';
import { canonicalText, uniqueId } from './canonical.ts';
import { compileMatch, type LabelLookup, type MatchProgram, runProgram } from './match.ts';

/** Characters of text. API fields have a limit of their own, 1024, which validation checks. */
export const maxSelectorLength = 65_536;
/** Parentheses inside parentheses. A text within the API's limit cannot reach it by way of its normal form. */
export const maxSelectorDepth = 256;
const maxLabelLength = 512;

export interface Selector {
  readonly root: Node;
  /** Calico's normal text. */
  readonly canonical: string;
  /** `s:` and a hash of the normal text: the name of the IP set of what it selects. */
  readonly id: IpSetId;
  readonly program: MatchProgram;
}

/** @see SelectorError.position - 0-based index into the text. */
export class SelectorError extends InvalidError {
  readonly position: number;
  constructor(position: number, detail: string) {
    super(`selector: at ${position}: ${detail}`);
    this.position = position;
  }
}

/**
 * An empty text selects everything.
 *
 * @throws {SelectorError} where the text leaves the grammar or a limit is passed.
 */
export function parseSelector(text: string): Selector {
  return selectorOf(new Reader(text).selector());
}

/** Null instead of an error: for text that was validated elsewhere or may be anything. */
export function tryParseSelector(text: string): Selector | null {
  try {
    return parseSelector(text);
  } catch (error) {
    if (error instanceof SelectorError) return null;
    throw error;
  }
}

export function selectorOf(root: Node): Selector {
  return new LazySelector(root);
}

/** Normal text, id and program are made when first asked for. */
class LazySelector implements Selector {
  readonly root: Node;
  #canonical: string | undefined;
  #id: IpSetId | undefined;
  #program: MatchProgram | undefined;

  constructor(root: Node) {
    this.root = root;
  }

  get canonical(): string {
    this.#canonical ??= canonicalText(this.root);
    return this.#canonical;
  }

  get id(): IpSetId {
    this.#id ??= uniqueId('s', this.canonical) as IpSetId;
    return this.#id;
  }

  get program(): MatchProgram {
    this.#program ??= compileMatch(this.root);
    return this.#program;
  }
}

export function matches(selector: Selector, labels: LabelLookup): boolean {
  return runProgram(selector.program, labels);
}

const label = /[a-zA-Z0-9_./-]+/y;
const blanks = /[ \t]*/y;
const keywords: readonly (readonly [RegExp, Comparison | 'in' | 'not-in'])[] = [
  [/==/y, 'eq'],
  [/!=/y, 'ne'],
  [/contains(?![a-zA-Z0-9_./-])/y, 'contains'],
  [/starts[ \t]*with(?![a-zA-Z0-9_./-])/y, 'starts-with'],
  [/ends[ \t]*with(?![a-zA-Z0-9_./-])/y, 'ends-with'],
  [/not[ \t]*in(?![a-zA-Z0-9_./-])/y, 'not-in'],
  [/in(?![a-zA-Z0-9_./-])/y, 'in'],
];

interface Group {
  readonly negated: boolean;
  /** Of its opening parenthesis; -1 for the whole text. */
  readonly position: number;
  readonly ors: Node[];
  ands: Node[];
}

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    if (text.length > maxSelectorLength) {
      throw new SelectorError(
        maxSelectorLength,
        `got ${text.length} characters, want at most ${maxSelectorLength}`,
      );
    }
    this.text = text;
  }

  selector(): Node {
    this.skipBlanks();
    if (this.at === this.text.length) return { kind: 'all' };
    const groups: Group[] = [newGroup(false, -1)];
    for (;;) {
      const negated = this.negations();
      if (this.take('(')) {
        if (groups.length > maxSelectorDepth)
          throw this.error(`more than ${maxSelectorDepth} parentheses deep`, -1);
        groups.push(newGroup(negated, this.at - 1));
        continue;
      }
      const done = this.afterOperand(groups, negate(this.leaf(), negated));
      if (done) return done;
    }
  }

  /** Files the operand and what follows it, up to where the next operand is due. @returns the tree at the end. */
  private afterOperand(groups: Group[], first: Node): Node | null {
    let operand = first;
    for (;;) {
      const group = groups.at(-1) as Group;
      group.ands.push(operand);
      this.skipBlanks();
      if (this.take('&&')) return null;
      if (this.take('||')) {
        group.ors.push(join('and', group.ands));
        group.ands = [];
        return null;
      }
      if (this.at === this.text.length && groups.length === 1) return close(group);
      if (groups.length === 1 || !this.take(')')) throw this.missingOperator(group);
      groups.pop();
      operand = negate(close(group), group.negated);
    }
  }

  private missingOperator(group: Group): SelectorError {
    if (group.position < 0) return this.error('want "&&", "||" or the end');
    return this.error(`want "&&", "||" or the ")" of the "(" at ${group.position}`);
  }

  private negations(): boolean {
    let negated = false;
    this.skipBlanks();
    while (this.text[this.at] === '!' && this.text[this.at + 1] !== '=') {
      negated = !negated;
      this.at++;
      this.skipBlanks();
    }
    return negated;
  }

  private leaf(): Leaf {
    for (const kind of ['all', 'global'] as const) {
      if (this.take(`${kind}(`)) {
        this.closeParenthesis(`${kind}(`);
        return { kind };
      }
    }
    if (this.take('has(')) {
      this.skipBlanks();
      const name = this.label('a label name');
      this.closeParenthesis('has(');
      return { kind: 'has', label: name };
    }
    return this.comparison(this.label('"(", "!", has(), all(), global() or a label name'));
  }

  private comparison(name: string): Leaf {
    this.skipBlanks();
    const kind = keywords.find(([keyword]) => this.takeMatch(keyword) !== null)?.[1];
    if (!kind) throw this.error('want ==, !=, contains, starts with, ends with, in or not in');
    this.skipBlanks();
    if (kind === 'in' || kind === 'not-in') return { kind, label: name, values: valueSet(this.set()) };
    return { kind, label: name, value: this.string() };
  }

  private set(): string[] {
    if (!this.take('{')) throw this.error('want "{"');
    const values: string[] = [];
    for (;;) {
      this.skipBlanks();
      if (this.take('}')) return values;
      values.push(this.string());
      this.skipBlanks();
      if (this.take(',')) continue;
      if (this.take('}')) return values;
      throw this.error('want "," or "}"');
    }
  }

  private string(): string {
    const quote = this.text[this.at];
    if (quote !== '"' && quote !== "'") throw this.error('want a string in quotes');
    const end = this.text.indexOf(quote, this.at + 1);
    if (end < 0) throw new SelectorError(this.at, `string has no end: want ${quote} before the end`);
    const value = this.text.slice(this.at + 1, end);
    this.at = end + 1;
    return value;
  }

  private label(want: string): string {
    const start = this.at;
    const name = this.takeMatch(label);
    if (name === null) throw this.error(`want ${want}`);
    if (name.length > maxLabelLength) {
      throw new SelectorError(
        start,
        `got a label name of ${name.length} characters, want at most ${maxLabelLength}`,
      );
    }
    return name;
  }

  private closeParenthesis(opened: string): void {
    this.skipBlanks();
    if (!this.take(')')) throw this.error(`want ")" after ${opened}`);
  }

  private skipBlanks(): void {
    this.takeMatch(blanks);
  }

  private take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  private takeMatch(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at += found[0].length;
    return found ? found[0] : null;
  }

  private error(want: string, shift = 0): SelectorError {
    const position = this.at + shift;
    const rest = this.text.slice(position, position + 12);
    return new SelectorError(position, `got ${rest === '' ? 'the end' : JSON.stringify(rest)}, ${want}`);
  }
}

function newGroup(negated: boolean, position: number): Group {
  return { negated, position, ors: [], ands: [] };
}

function close(group: Group): Node {
  return join('or', [...group.ors, join('and', group.ands)]);
}

function join(kind: 'and' | 'or', operands: Node[]): Node {
  const [only] = operands;
  return operands.length === 1 && only ? only : { kind, operands };
}

function negate(node: Node, negated: boolean): Node {
  return negated ? { kind: 'not', operand: node } : node;
}
