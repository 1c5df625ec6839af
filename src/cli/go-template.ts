// SPDX-License-Identifier: Apache-2.0
/**
 * The part of Go's templates that scripts for kubectl use: `{{.a.b}}`, `{{.}}`, `{{$.a}}`, literals (`{{"\n"}}`), `index`,
 * `len`, `eq`, `ne`, `not`, `{{if}}`, `{{else if}}`, `{{else}}`, `{{range}}`, `{{with}}`, `{{end}}`, comments, `{{-` and `-}}`.
 * Anything else (variables, pipelines, printf, nested calls, define) is refused by its name.
 *
 * A template becomes a flat list of steps with jumps: neither reading nor running it recurses, however deep it nests.
 *
 * @see pkg.go.dev/text/template
 */
import { UsageError } from '../lib/errors.ts';
import { isObject, member } from '../model/json.ts';

type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'field'; readonly ofRoot: boolean; readonly path: readonly string[] };

type Call = 'value' | 'index' | 'len' | 'eq' | 'ne' | 'not';

interface Expression {
  readonly call: Call;
  readonly operands: readonly Operand[];
}

/** Jumps lead to the index of a step. */
type Step =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly value: Expression }
  | { readonly kind: 'if'; readonly value: Expression; otherwise: number }
  | { readonly kind: 'with'; readonly value: Expression; otherwise: number }
  | { readonly kind: 'range'; readonly value: Expression; otherwise: number }
  /** At the end of what `range` repeats: the next item, or on. */
  | { readonly kind: 'again' }
  /** At the end of what `with` is about. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'jump'; to: number };

export type GoTemplate = readonly Step[];

const allowed =
  'want fields (.a.b, $.a), literals, index, len, eq, ne, not, if, else, range, with and end; -o jsonpath= and -o json do the rest';

/** @throws {UsageError} naming what is not in the subset. */
export function parseGoTemplate(text: string): GoTemplate {
  const builder = new Builder();
  let trims = false;
  for (const { literal, action, trimsBefore, trimsAfter } of piecesOf(text)) {
    const left = trims ? literal.trimStart() : literal;
    const shown = trimsBefore ? left.trimEnd() : left;
    if (shown !== '') builder.add({ kind: 'text', text: shown });
    if (action !== null) builder.action(action);
    trims = trimsAfter;
  }
  return builder.finish();
}

interface Piece {
  /** What stands before the action. */
  readonly literal: string;
  readonly action: string | null;
  readonly trimsBefore: boolean;
  readonly trimsAfter: boolean;
}

const actionPattern =
  /\{\{(-\s)?\s*(\/\*[\s\S]*?\*\/|(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|[^"`}]|\}(?!\}))*?)\s*(\s-)?\}\}/g;

function* piecesOf(text: string): Generator<Piece> {
  let at = 0;
  for (const match of text.matchAll(actionPattern)) {
    const [whole, before, action = '', after] = match;
    const literal = text.slice(at, match.index);
    if (literal.includes('{{')) break;
    at = match.index + whole.length;
    yield { literal, action, trimsBefore: before !== undefined, trimsAfter: after !== undefined };
  }
  const rest = text.slice(at);
  if (rest.includes('{{')) throw refused(`${JSON.stringify(rest.slice(rest.indexOf('{{')))} without its end`);
  yield { literal: rest, action: null, trimsBefore: false, trimsAfter: false };
}

interface Open {
  readonly kind: 'if' | 'with' | 'range';
  /** The step that jumps when its condition does not hold; none after `else`. */
  condition: number | null;
  /** Ends of branches, which go on after `end`. */
  readonly jumps: number[];
}

class Builder {
  readonly #steps: Step[] = [];
  readonly #open: Open[] = [];

  add(step: Step): number {
    return this.#steps.push(step) - 1;
  }

  action(text: string): void {
    if (text.startsWith('/*')) return;
    const [, word = '', rest = ''] = /^(if|range|with|else|end)\b\s*([\s\S]*)$/.exec(text) ?? [];
    if (word === 'if' || word === 'range' || word === 'with') this.#begin(word, rest);
    else if (word === 'else') this.#else(rest);
    else if (word === 'end' && rest === '') this.#end();
    else this.add({ kind: 'print', value: parseExpression(text) });
  }

  #begin(kind: Open['kind'], text: string): void {
    const condition = this.add({ kind, value: parseExpression(text), otherwise: -1 });
    this.#open.push({ kind, condition, jumps: [] });
  }

  #else(rest: string): void {
    const open = this.#open.at(-1);
    if (!open || open.condition === null) throw refused('an {{else}} without {{if}}, {{range}} or {{with}}');
    this.#closeBranch(open);
    open.jumps.push(this.add({ kind: 'jump', to: -1 }));
    this.#meet(open.condition);
    open.condition = null;
    if (rest === '') return;
    const [, text] = /^if\s+([\s\S]*)$/.exec(rest) ?? [];
    if (text === undefined || open.kind !== 'if') throw refused(`{{else ${rest}}}`);
    open.condition = this.add({ kind: 'if', value: parseExpression(text), otherwise: -1 });
  }

  #end(): void {
    const open = this.#open.pop();
    if (!open) throw refused('an {{end}} without its beginning');
    if (open.condition !== null) {
      this.#closeBranch(open);
      this.#meet(open.condition);
    }
    for (const jump of open.jumps) this.#meet(jump);
  }

  #closeBranch({ kind }: Open): void {
    if (kind === 'range') this.add({ kind: 'again' });
    if (kind === 'with') this.add({ kind: 'leave' });
  }

  /** What jumped ahead, comes down at the next step. */
  #meet(index: number): void {
    const step = this.#steps[index];
    if (step?.kind === 'jump') step.to = this.#steps.length;
    else if (step && 'otherwise' in step) step.otherwise = this.#steps.length;
  }

  finish(): GoTemplate {
    const open = this.#open.at(-1);
    if (open) throw refused(`an {{${open.kind}}} without {{end}}`);
    return this.#steps;
  }
}

const calls: readonly string[] = ['index', 'len', 'eq', 'ne', 'not'];
const counts: { readonly [C in Call]: readonly [number, number] } = {
  value: [1, 1],
  index: [2, 16],
  len: [1, 1],
  eq: [2, 16],
  ne: [2, 2],
  not: [1, 1],
};

const operandPattern =
  /\s*(?:("(?:[^"\\\n]|\\.)*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|(true|false)\b|(\$?)((?:\.[\p{L}_][\p{L}\p{N}_]*)+|\.?))(?=\s|$)/uy;

function parseExpression(text: string): Expression {
  const [, name, rest] = /^([a-zA-Z]+)(?=\s|$)([\s\S]*)$/.exec(text) ?? [];
  const isCall = name !== undefined && name !== 'true' && name !== 'false';
  if (isCall && !calls.includes(name)) throw refused(`{{${text}}}`);
  const call = (isCall ? name : 'value') as Call;
  const operands = operandsOf(isCall ? (rest ?? '') : text, text);
  const [fewest, most] = counts[call];
  if (operands.length < fewest || operands.length > most) throw refused(`{{${text}}}`);
  return { call, operands };
}

function operandsOf(text: string, whole: string): readonly Operand[] {
  const operands: Operand[] = [];
  for (let at = 0; text.slice(at).trim() !== ''; at = operandPattern.lastIndex) {
    operandPattern.lastIndex = at;
    const match = operandPattern.exec(text);
    if (!match || match[0].trim() === '') throw refused(`{{${whole}}}`);
    operands.push(operandOf(match));
  }
  return operands;
}

function operandOf([, quoted, number, truth, root = '', path = '']: RegExpExecArray): Operand {
  if (quoted !== undefined) return { kind: 'literal', value: unquoted(quoted) };
  if (number !== undefined) return { kind: 'literal', value: Number(number) };
  if (truth !== undefined) return { kind: 'literal', value: truth === 'true' };
  const names = path.split('.').filter((name) => name !== '');
  return { kind: 'field', ofRoot: root === '$', path: names };
}

const escapes: { readonly [letter: string]: string } = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' };

function unquoted(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  return text.slice(1, -1).replace(/\\(.)/gs, (whole, letter: string) => {
    const found = escapes[letter];
    if (found === undefined) throw refused(`the escape ${whole}`);
    return found;
  });
}

function refused(what: string): UsageError {
  return new UsageError(`-o go-template: got ${what}, ${allowed}`);
}

// ---- running -------------------------------------------------------------------------------------------------------

interface Loop {
  readonly items: readonly unknown[];
  at: number;
  readonly body: number;
}

interface Frame {
  readonly dot: unknown;
  /** null: of a `with`. */
  readonly loop: Loop | null;
}

export function renderGoTemplate(steps: GoTemplate, root: unknown): string {
  const frames: Frame[] = [{ dot: root, loop: null }];
  const out: string[] = [];
  for (let at = 0; at < steps.length; ) {
    const step = steps[at];
    if (!step) break;
    const dot = frames.at(-1)?.dot;
    if (step.kind === 'text') out.push(step.text);
    else if (step.kind === 'print') out.push(goText(evaluate(step.value, dot, root)));
    at = nextStep(step, at, frames, root);
  }
  return out.join('');
}

function nextStep(step: Step, at: number, frames: Frame[], root: unknown): number {
  const dot = frames.at(-1)?.dot;
  switch (step.kind) {
    case 'text':
    case 'print':
      return at + 1;
    case 'jump':
      return step.to;
    case 'if':
      return isTrue(evaluate(step.value, dot, root)) ? at + 1 : step.otherwise;
    case 'with': {
      const value = evaluate(step.value, dot, root);
      if (!isTrue(value)) return step.otherwise;
      frames.push({ dot: value, loop: null });
      return at + 1;
    }
    case 'range': {
      const items = itemsOf(evaluate(step.value, dot, root));
      if (items.length === 0) return step.otherwise;
      frames.push({ dot: items[0], loop: { items, at: 0, body: at + 1 } });
      return at + 1;
    }
    case 'again':
      return repeat(frames, at);
    case 'leave':
      frames.pop();
      return at + 1;
  }
}

function repeat(frames: Frame[], at: number): number {
  const loop = frames.pop()?.loop;
  if (!loop || ++loop.at >= loop.items.length) return at + 1;
  frames.push({ dot: loop.items[loop.at], loop });
  return loop.body;
}

function evaluate({ call, operands }: Expression, dot: unknown, root: unknown): unknown {
  const [first, ...others] = operands.map((operand) => operandValue(operand, dot, root));
  switch (call) {
    case 'value':
      return first;
    case 'index':
      return others.reduce(indexed, first);
    case 'len':
      return typeof first === 'string' ? Buffer.byteLength(first) : itemsOf(first).length;
    case 'eq':
      return others.some((other) => other === first);
    case 'ne':
      return others[0] !== first;
    case 'not':
      return !isTrue(first);
  }
}

function operandValue(operand: Operand, dot: unknown, root: unknown): unknown {
  if (operand.kind === 'literal') return operand.value;
  return operand.path.reduce<unknown>(member, operand.ofRoot ? root : dot);
}

function indexed(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined;
  return typeof key === 'string' ? member(value, key) : undefined;
}

/** Of a map: its values in the order of their keys. */
function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? sortedEntries(value).map(([, item]) => item) : [];
}

function sortedEntries(value: { readonly [key: string]: unknown }): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** "Empty" in the words of text/template. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value) || isObject(value)) return itemsOf(value).length > 0;
  return Boolean(value);
}

/** As fmt prints it. Values come from a store that bounds their nesting. */
function goText(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (isObject(value))
    return `map[${sortedEntries(value)
      .map(([key, item]) => `${key}:${goText(item)}`)
      .join(' ')}]`;
  return String(value);
}
