// SPDX-License-Identifier: Apache-2.0
/**
 * `x-kubernetes-validations` of a schema, run over an object: model/validate/cel compiles, this walks and tells.
 *
 * @see k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go
 */
import type { Json, JsonObject } from '../../model/types.ts';
import { OptionalValue } from '../../model/validate/cel/functions.ts';
import { type CompiledRule, compileExpression, compileRule } from '../../model/validate/cel/rule.ts';
import type { Cause } from './api-error.ts';
import { isList, isMap, listAt, memberOf, sameJson, textAt } from './json.ts';
import { additionalOf, childOf, flagOf, itemsOf, propertiesOf } from './schema.ts';
import type { OpenApiSchema } from './served-resource.ts';
import { childPath, itemKey, oldItems } from './validate-value.ts';

interface NodeRule {
  readonly source: JsonObject;
  readonly rule: CompiledRule;
  readonly message: ((self: unknown, oldSelf?: unknown) => unknown) | null;
  /** Runs without an old value too, and gets it as an optional. */
  readonly isOptional: boolean;
}

const compiled = new WeakMap<OpenApiSchema, readonly NodeRule[]>();
const bearing = new WeakMap<OpenApiSchema, boolean>();

/** Whether a rule stands anywhere in it. */
export function hasRules(schema: OpenApiSchema): boolean {
  const known = bearing.get(schema);
  if (known !== undefined) return known;
  const inner = [...Object.values(propertiesOf(schema)), additionalOf(schema), itemsOf(schema)];
  const found = rulesAt(schema).length > 0 || inner.some((each) => each !== undefined && hasRules(each));
  bearing.set(schema, found);
  return found;
}

function rulesAt(schema: OpenApiSchema): readonly Json[] {
  return listAt(schema, 'x-kubernetes-validations');
}

/** @param old - what stood there before; undefined: nothing that is known to be the same thing */
export function ruleCauses(
  schema: OpenApiSchema,
  value: Json,
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  if (!hasRules(schema)) return [];
  const causes = nodeRules(schema).flatMap((each) => judged(each, value, old, path));
  if (isList(value)) causes.push(...itemCauses(schema, value, old, path));
  if (isMap(value)) causes.push(...memberCauses(schema, value, old, path));
  return causes;
}

function itemCauses(
  schema: OpenApiSchema,
  value: readonly Json[],
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  const items = itemsOf(schema);
  if (!items) return [];
  const known = oldItems(schema, old);
  return value.flatMap((item, i) =>
    ruleCauses(items, item, known?.get(itemKey(schema, item)), `${path}[${i}]`),
  );
}

function memberCauses(
  schema: OpenApiSchema,
  value: JsonObject,
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  return Object.entries(value).flatMap(([name, member]) => {
    const inner = childOf(schema, name);
    return inner ? ruleCauses(inner, member, memberOf(old, name), childPath(path, name)) : [];
  });
}

function nodeRules(schema: OpenApiSchema): readonly NodeRule[] {
  const known = compiled.get(schema);
  if (known) return known;
  const made = rulesAt(schema).filter(isMap).flatMap(nodeRule);
  compiled.set(schema, made);
  return made;
}

/** A definition with a rule that cannot be compiled is refused, so there is none here. */
function nodeRule(source: JsonObject): readonly NodeRule[] {
  const message = textAt(source, 'messageExpression');
  const rule = compileRule(textAt(source, 'rule'));
  return [
    {
      source,
      rule,
      message: message === '' ? null : compileExpression(message),
      isOptional: flagOf(source, 'optionalOldSelf'),
    },
  ];
}

function judged(
  { source, rule, message, isOptional }: NodeRule,
  value: Json,
  old: Json | undefined,
  path: string,
): readonly Cause[] {
  const isTransition = rule.isTransition && !isOptional;
  if (isTransition && old === undefined) return [];
  if (!rule.isTransition && old !== undefined && sameJson(value, old)) return [];
  const oldSelf = isOptional ? new OptionalValue(old) : old;
  if (rule.holds(value, oldSelf)) return [];
  const told = message?.(value, oldSelf);
  const text = typeof told === 'string' && told.trim() !== '' ? told.trim() : plainMessage(source);
  return [cause(source, text, value, path)];
}

function plainMessage(source: JsonObject): string {
  return textAt(source, 'message').trim() || `failed rule: ${textAt(source, 'rule')}`;
}

function cause(source: JsonObject, text: string, value: Json, path: string): Cause {
  const below = textAt(source, 'fieldPath').replaceAll(/\['([^']*)'\]/g, '[$1]');
  const field = path === '' ? below.replace(/^\./, '') : `${path}${below}`;
  const reason = textAt(source, 'reason') || 'FieldValueInvalid';
  const isShown = below === '' && (typeof value !== 'object' || value === null);
  const shown = isShown ? `${JSON.stringify(value)}: ` : '';
  return {
    reason,
    message: `${prefixOf(reason)}: ${reason === 'FieldValueInvalid' ? shown : ''}${text}`,
    field,
  };
}

function prefixOf(reason: string): string {
  if (reason === 'FieldValueForbidden') return 'Forbidden';
  if (reason === 'FieldValueRequired') return 'Required value';
  return reason === 'FieldValueDuplicate' ? 'Duplicate value' : 'Invalid value';
}

const blocking = [
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueNotSupported',
  'FieldValueTypeInvalid',
];

/** What stands beside faults of the schema that keep its rules from running; null: they run. */
export function rulesNotChecked(schema: OpenApiSchema, causes: readonly Cause[]): Cause | null {
  if (!hasRules(schema) || !causes.some(({ reason }) => blocking.includes(reason))) return null;
  const message =
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
  return { reason: 'FieldValueInvalid', message, field: '<nil>' };
}
