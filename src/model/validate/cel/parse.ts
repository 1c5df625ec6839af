// SPDX-License-Identifier: Apache-2.0
/** A CEL expression as a tree: the operators, in the order in which they bind, and calls; no messages, no maps. */
import { type Token, tokensOf } from './lex.ts';

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'select'; readonly of: Expression; readonly field: string }
  | { readonly kind: 'index'; readonly of: Expression; readonly at: Expression }
  | {
      readonly kind: 'call';
      readonly name: string;
      /** What a method is called on; null for functions. */
      readonly on: Expression | null;
      readonly args: readonly Expression[];
    }
  | { readonly kind: 'not'; readonly operand: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: Operator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'choice'; readonly test: Expression; readonly yes: Expression; readonly no: Expression };

/** Those that bind loosest first; of one row from left to right. */
const rows = [['||'], ['&&'], ['==', '!=', '<', '<=', '>', '>=', 'in'], ['+', '-'], ['*', '/', '%']] as const;
export type Operator = (typeof rows)[number][number];

const words: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** @throws {SyntaxError} for what is no CEL, or CEL that no schema of ours needs. */
export function parseExpression(text: string): Expression {
  const parser = new Parser(tokensOf(text));
  const expression = parser.choice();
  parser.expect('');
  return expression;
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  choice(): Expression {
    const test = this.#binary(0);
    if (!this.#takes('?')) return test;
    const yes = this.choice();
    this.expect(':');
    return { kind: 'choice', test, yes, no: this.choice() };
  }

  #binary(row: number): Expression {
    const operators: readonly string[] | undefined = rows[row];
    if (!operators) return this.#unary();
    let left = this.#binary(row + 1);
    while (operators.includes(this.#peek().text) && this.#peek().kind !== 'text') {
      const operator = this.#take().text as Operator;
      left = { kind: 'binary', operator, left, right: this.#binary(row + 1) };
    }
    return left;
  }

  #unary(): Expression {
    if (this.#takes('!')) return { kind: 'not', operand: this.#unary() };
    if (this.#takes('-')) return negative(this.#unary());
    let value = this.#primary();
    for (;;) {
      if (this.#takes('.')) value = this.#member(value);
      else if (this.#takes('[')) {
        value = { kind: 'index', of: value, at: this.choice() };
        this.expect(']');
      } else return value;
    }
  }

  #member(of: Expression): Expression {
    const name = this.#take();
    if (name.kind !== 'name') throw this.#unexpected(name);
    if (!this.#takes('(')) return { kind: 'select', of, field: name.text };
    return { kind: 'call', name: name.text, on: of, args: this.#until(')') };
  }

  #primary(): Expression {
    const token = this.#take();
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind === 'text') return { kind: 'literal', value: token.text };
    if (token.kind === 'name') return this.#named(token.text);
    if (token.text === '[') return { kind: 'list', items: this.#until(']') };
    if (token.text !== '(') throw this.#unexpected(token);
    const inner = this.choice();
    this.expect(')');
    return inner;
  }

  #named(name: string): Expression {
    const word = words.get(name);
    if (word !== undefined) return { kind: 'literal', value: word };
    if (this.#takes('(')) return { kind: 'call', name, on: null, args: this.#until(')') };
    return { kind: 'name', name };
  }

  #until(close: string): readonly Expression[] {
    const items: Expression[] = [];
    if (this.#takes(close)) return items;
    do items.push(this.choice());
    while (this.#takes(','));
    this.expect(close);
    return items;
  }

  /** @param sign - '' for the end. */
  expect(sign: string): void {
    if (this.#peek().text !== sign || this.#peek().kind === 'text') throw this.#unexpected(this.#peek());
    this.#next++;
  }

  #takes(sign: string): boolean {
    if (this.#peek().kind !== 'sign' || this.#peek().text !== sign) return false;
    this.#next++;
    return true;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', text: '', position: -1 };
  }

  #unexpected(token: Token): SyntaxError {
    return new SyntaxError(`CEL: got ${JSON.stringify(token.text)} at ${token.position}`);
  }
}

function negative(operand: Expression): Expression {
  return { kind: 'binary', operator: '-', left: { kind: 'literal', value: 0 }, right: operand };
}
