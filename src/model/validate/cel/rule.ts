// SPDX-License-Identifier: Apache-2.0
/**
 * The rules that schemas carry as CEL expressions (`x-kubernetes-validations`), compiled once into closures.
 *
 * Owns:       the subset of CEL that our schemas need: see parse.ts and functions.ts for all of it.
 * Takes in:   the text of a rule; then self, and for transitions oldSelf.
 * Gives out:  whether the rule holds.
 * Invariants: never throws on data: what CEL calls an error (no such key, no such overload) is undefined here and makes
 *             the rule fail, unless `&&`, `||`, `all` or `exists` decide without it. No time is spent on parsing after
 *             compileRule, and none that grows faster than the data. null is absent: `has` is false of it.
 * Next:       ../structural.ts runs the rules of each node, docs/validation.md says why this is no library.
 */
import { assertNever } from '../../../lib/errors.ts';
import { isObject, member } from '../../json.ts';
import { type Call, functions, isEqual, matching, methods, type Value } from './functions.ts';
import { type Expression, type Operator, parseExpression } from './parse.ts';

export interface CompiledRule {
  readonly holds: (self: unknown, oldSelf?: unknown) => boolean;
  /** Compares with the stored object: runs on updates alone. */
  readonly isTransition: boolean;
  /** The members of self that it reads; null when it reads self as a whole. */
  readonly members: ReadonlySet<string> | null;
}

/** Values of the variables, by the place that `Names` gives them. */
type Frame = Value[];
type Evaluate = (frame: Frame) => Value;
/** Variable -> its place in a frame. */
type Names = ReadonlyMap<string, number>;

const ruleNames: Names = new Map([
  ['self', 0],
  ['oldSelf', 1],
]);

/** @throws {SyntaxError} for an expression outside the subset. */
export function compileRule(text: string): CompiledRule {
  const expression = parseExpression(text);
  const evaluate = compile(expression, ruleNames);
  const read = new Set<string>();
  const isWhole = readMembers(expression, read);
  return {
    holds: (self, oldSelf) => evaluate([self, oldSelf]) === true,
    isTransition: /\boldSelf\b/.test(text),
    members: isWhole ? null : read,
  };
}

/** What an expression of a rule's variables gives: a message of its own. @throws {SyntaxError} */
export function compileExpression(text: string): (self: unknown, oldSelf?: unknown) => Value {
  const evaluate = compile(parseExpression(text), ruleNames);
  return (self, oldSelf) => evaluate([self, oldSelf]);
}

/** @returns true if self is used otherwise than by its members, which are added to `into`. */
function readMembers(expression: Expression, into: Set<string>): boolean {
  if (expression.kind === 'name') return expression.name === 'self';
  if (expression.kind === 'select' && expression.of.kind === 'name' && expression.of.name === 'self') {
    into.add(expression.field);
    return false;
  }
  return children(expression).reduce((whole, child) => readMembers(child, into) || whole, false);
}

function children(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'name':
      return [];
    case 'list':
      return expression.items;
    case 'select':
      return [expression.of];
    case 'index':
      return [expression.of, expression.at];
    case 'call':
      return expression.on ? [expression.on, ...expression.args] : expression.args;
    case 'not':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'choice':
      return [expression.test, expression.yes, expression.no];
    default:
      return assertNever(expression);
  }
}

function compile(expression: Expression, names: Names): Evaluate {
  switch (expression.kind) {
    case 'literal': {
      const { value } = expression;
      return () => value;
    }
    case 'list': {
      const items = expression.items.map((item) => compile(item, names));
      return (frame) => items.map((item) => item(frame));
    }
    case 'name':
      return compileName(expression.name, names);
    case 'select': {
      const of = compile(expression.of, names);
      const { field } = expression;
      return (frame) => member(of(frame), field);
    }
    case 'index':
      return compileIndex(compile(expression.of, names), compile(expression.at, names));
    case 'call':
      return compileCall(expression, names);
    case 'not': {
      const operand = compile(expression.operand, names);
      return (frame) => negated(operand(frame));
    }
    case 'binary':
      return compileBinary(
        expression.operator,
        compile(expression.left, names),
        compile(expression.right, names),
      );
    case 'choice':
      return compileChoice(expression, names);
    default:
      return assertNever(expression);
  }
}

function compileName(name: string, names: Names): Evaluate {
  const place = names.get(name);
  if (place === undefined) throw new SyntaxError(`CEL: no variable ${name}`);
  return (frame) => frame[place];
}

function compileIndex(of: Evaluate, at: Evaluate): Evaluate {
  return (frame) => {
    const holder = of(frame);
    const index = at(frame);
    if (Array.isArray(holder)) return typeof index === 'number' ? holder[index] : undefined;
    return typeof index === 'string' ? member(holder, index) : undefined;
  };
}

function compileChoice(expression: Expression & { kind: 'choice' }, names: Names): Evaluate {
  const test = compile(expression.test, names);
  const yes = compile(expression.yes, names);
  const no = compile(expression.no, names);
  return (frame) => {
    const chosen = test(frame);
    if (chosen === true) return yes(frame);
    return chosen === false ? no(frame) : undefined;
  };
}

function negated(value: Value): Value {
  return typeof value === 'boolean' ? !value : undefined;
}

function compileBinary(operator: Operator, left: Evaluate, right: Evaluate): Evaluate {
  if (operator === '&&') return junction(false, left, right);
  if (operator === '||') return junction(true, left, right);
  const apply = operations[operator];
  return (frame) => {
    const a = left(frame);
    const b = right(frame);
    return a === undefined || b === undefined ? undefined : apply(a, b);
  };
}

/** @param decided - the value that either side settles the whole with, even against an error of the other. */
function junction(decided: boolean, left: Evaluate, right: Evaluate): Evaluate {
  return (frame) => {
    const a = left(frame);
    if (a === decided) return decided;
    const b = right(frame);
    if (b === decided) return decided;
    return a === !decided && b === !decided ? !decided : undefined;
  };
}

const operations: { readonly [O in Exclude<Operator, '&&' | '||'>]: (a: Value, b: Value) => Value } = {
  '==': isEqual,
  '!=': (a, b) => !isEqual(a, b),
  '<': ordered((order) => order < 0),
  '<=': ordered((order) => order <= 0),
  '>': ordered((order) => order > 0),
  '>=': ordered((order) => order >= 0),
  in: (a, b) => {
    if (Array.isArray(b)) return b.some((item) => isEqual(a, item));
    return isObject(b) && typeof a === 'string' ? Object.hasOwn(b, a) : undefined;
  },
  '+': (a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a + b;
    return typeof a === 'string' && typeof b === 'string' ? a + b : undefined;
  },
  '-': (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : undefined),
  '*': (a, b) => (typeof a === 'number' && typeof b === 'number' ? a * b : undefined),
  '/': divided,
  '%': (a, b) => (Number.isInteger(a) && Number.isInteger(b) && b !== 0 ? Number(a) % Number(b) : undefined),
};

/** Of integers an integer, toward zero; by zero an error. JSON does not tell a double without a fraction from one. */
function divided(a: Value, b: Value): Value {
  if (typeof a !== 'number' || typeof b !== 'number' || b === 0) return undefined;
  return Number.isInteger(a) && Number.isInteger(b) ? Math.trunc(a / b) : a / b;
}

function ordered(accepts: (order: number) => boolean): (a: Value, b: Value) => Value {
  return (a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return accepts(a - b);
    if (typeof a !== 'string' || typeof b !== 'string') return undefined;
    return accepts(a < b ? -1 : a > b ? 1 : 0);
  };
}

function compileCall(expression: Expression & { kind: 'call' }, names: Names): Evaluate {
  const { name, on, args } = expression;
  if (on === null && name === 'has') return compileHas(args[0], names);
  if (on && (name === 'all' || name === 'exists')) return compileMacro(name === 'exists', on, args, names);
  const collect = on && args.length > 1 ? collectors.get(name) : undefined;
  if (on && collect) return compileCollector(collect, on, args, names);
  const call = callOf(name, on, args);
  const operands = (on ? [on, ...(name === 'matches' ? [] : args)] : args).map((each) =>
    compile(each, names),
  );
  return (frame) => {
    const values = operands.map((operand) => operand(frame));
    return values.includes(undefined) ? undefined : call(values);
  };
}

function callOf(name: string, on: Expression | null, args: readonly Expression[]): Call {
  if (on && name === 'matches') {
    const [pattern] = args;
    if (pattern?.kind === 'literal' && typeof pattern.value === 'string') return matching(pattern.value);
    throw new SyntaxError('CEL: matches wants a literal: a pattern from data could take any time');
  }
  const call = (on ? methods : functions).get(name);
  if (!call) throw new SyntaxError(`CEL: no ${on ? 'method' : 'function'} ${name}`);
  return call;
}

function compileHas(argument: Expression | undefined, names: Names): Evaluate {
  if (argument?.kind !== 'select') throw new SyntaxError('CEL: has wants a member');
  const of = compile(argument.of, names);
  const { field } = argument;
  return (frame) => {
    const holder = of(frame);
    return isObject(holder) ? member(holder, field) !== undefined : undefined;
  };
}

/** `list.exists(x, condition)` and `list.all(x, condition)`; of a map over its keys. */
function compileMacro(
  decided: boolean,
  on: Expression,
  [variable, condition]: readonly Expression[],
  names: Names,
): Evaluate {
  if (variable?.kind !== 'name' || !condition) throw new SyntaxError('CEL: a macro wants (name, condition)');
  if (names.has(variable.name)) throw new SyntaxError(`CEL: ${variable.name} is a variable already`);
  const place = names.size;
  const list = compile(on, names);
  const test = compile(condition, new Map([...names, [variable.name, place]]));
  return (frame) => {
    const holder = list(frame);
    const items = isObject(holder) ? Object.keys(holder) : holder;
    if (!Array.isArray(items)) return undefined;
    let sure = true;
    for (const item of items) {
      frame[place] = item;
      const found = test(frame);
      if (found === decided) return decided;
      sure &&= found !== undefined;
    }
    return sure ? !decided : undefined;
  };
}

/** Items and what the expression gives of each; undefined: an error. */
type Collect = (items: readonly Value[], results: readonly Value[]) => Value;

const collectors: ReadonlyMap<string, Collect> = new Map<string, Collect>([
  ['map', (_, results) => results],
  ['filter', (items, results) => (areFlags(results) ? items.filter((_, i) => results[i]) : undefined)],
  ['exists_one', (_, results) => (areFlags(results) ? results.filter(Boolean).length === 1 : undefined)],
]);

function areFlags(results: readonly Value[]): boolean {
  return results.every((result) => typeof result === 'boolean');
}

/** `list.map(x, value)`, `list.filter(x, condition)`, `list.exists_one(x, condition)`; of a map over its keys. */
function compileCollector(
  collect: Collect,
  on: Expression,
  [variable, value, ...rest]: readonly Expression[],
  names: Names,
): Evaluate {
  if (variable?.kind !== 'name' || !value || rest.length > 0)
    throw new SyntaxError('CEL: a macro wants (name, expression)');
  if (names.has(variable.name)) throw new SyntaxError(`CEL: ${variable.name} is a variable already`);
  const place = names.size;
  const list = compile(on, names);
  const evaluate = compile(value, new Map([...names, [variable.name, place]]));
  return (frame) => {
    const holder = list(frame);
    const items = isObject(holder) ? Object.keys(holder) : holder;
    if (!Array.isArray(items)) return undefined;
    const results = items.map((item) => {
      frame[place] = item;
      return evaluate(frame);
    });
    return results.includes(undefined) ? undefined : collect(items, results);
  };
}
