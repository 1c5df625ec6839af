// SPDX-License-Identifier: Apache-2.0
/** Which fields an expression names: CEL's check of types, as far as it is about fields that a schema does not have. */
import { assertNever } from '../../lib/errors.ts';
import { type Expression, parseExpression } from '../../model/validate/cel/parse.ts';
import {
  additionalOf,
  isEmbedded,
  itemsOf,
  keepsUnknown,
  propertiesOf,
  propertyOf,
  typeOf,
} from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';

/** null: a value whose fields nobody knows. */
type Known = OpenApiSchema | null;
type Names = ReadonlyMap<string, Known>;

/**
 * A field that the expression reads and the schema does not have; null: none.
 *
 * @param text - compiles
 */
export function undeclaredField(schema: OpenApiSchema, text: string): string | null {
  const found: string[] = [];
  const names: Names = new Map([
    ['self', schema],
    ['oldSelf', schema],
  ]);
  walk(parseExpression(text), names, found);
  return found[0] ?? null;
}

/** @returns the schema of the expression's value */
function walk(expression: Expression, names: Names, found: string[]): Known {
  switch (expression.kind) {
    case 'literal':
      return null;
    case 'name':
      return names.get(expression.name) ?? null;
    case 'list':
      for (const item of expression.items) walk(item, names, found);
      return null;
    case 'select':
      return selected(walk(expression.of, names, found), expression.field, found);
    case 'index': {
      walk(expression.at, names, found);
      const of = walk(expression.of, names, found);
      return of && (itemsOf(of) ?? additionalOf(of) ?? null);
    }
    case 'call':
      return called(expression, names, found);
    case 'not':
      walk(expression.operand, names, found);
      return null;
    case 'binary':
      walk(expression.left, names, found);
      walk(expression.right, names, found);
      return null;
    case 'choice':
      walk(expression.test, names, found);
      walk(expression.no, names, found);
      return walk(expression.yes, names, found);
    default:
      return assertNever(expression);
  }
}

function selected(of: Known, field: string, found: string[]): Known {
  if (!of || typeOf(of) !== 'object' || keepsUnknown(of) || isEmbedded(of)) return null;
  const inner = propertyOf(of, field) ?? additionalOf(of);
  const isCommon = ['apiVersion', 'kind', 'metadata'].includes(field);
  if (!inner && !isCommon && Object.keys(propertiesOf(of)).length > 0) found.push(field);
  return inner ?? null;
}

function called(call: Expression & { kind: 'call' }, names: Names, found: string[]): Known {
  const on = call.on ? walk(call.on, names, found) : null;
  const [variable, ...rest] = call.args;
  const isMacro =
    call.on !== null && variable?.kind === 'name' && rest.length > 0 && !names.has(variable.name);
  if (!isMacro) {
    for (const each of call.args) walk(each, names, found);
    return call.name === 'value' || call.name === 'orValue' ? on : null;
  }
  const inner = new Map([...names, [variable.name, (on && itemsOf(on)) ?? null]]);
  for (const each of rest) walk(each, inner, found);
  return null;
}
