// SPDX-License-Identifier: Apache-2.0
/**
 * What keeps a schema from being one that a definition can have: structural, its defaults valid, its rules compilable.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
import type { Json, JsonObject } from '../../../model/types.ts';
import { compileExpression, compileRule } from '../../../model/validate/cel/rule.ts';
import type { Cause } from '../api-error.ts';
import { invalid, required } from '../causes.ts';
import { undeclaredField } from '../cel-fields.ts';
import { isMap, listAt, mapAt, memberOf, textAt } from '../json.ts';
import { additionalOf, defaultOf, isIntOrString, itemsOf, keepsUnknown, propertiesOf } from '../schema.ts';
import type { OpenApiSchema } from '../served-resource.ts';
import { compiledPattern, valueCauses } from '../validate-value.ts';

export function schemaCauses(schema: OpenApiSchema, path: string): readonly Cause[] {
  const type = textAt(schema, 'type');
  const root = type === '' ? [required(`${path}.type`, 'must not be empty at the root')] : [];
  const other =
    type !== '' && type !== 'object' ? [invalid(`${path}.type`, type, 'must be object at the root')] : [];
  return [...root, ...other, ...nodeCauses(schema, path)];
}

function nodeCauses(schema: OpenApiSchema, path: string): readonly Cause[] {
  const others = additionalOf(schema);
  const items = itemsOf(schema);
  return [
    ...ownCauses(schema, path),
    ...Object.entries(propertiesOf(schema)).flatMap(([name, inner]) =>
      innerCauses(inner, `${path}.properties[${name}]`, 'must not be empty for specified object fields'),
    ),
    ...(others && Object.keys(others).length > 0
      ? innerCauses(others, `${path}.additionalProperties`, 'must not be empty for specified object fields')
      : []),
    ...(items ? innerCauses(items, `${path}.items`, 'must not be empty for specified array items') : []),
  ];
}

function innerCauses(schema: OpenApiSchema, path: string, empty: string): readonly Cause[] {
  const isTyped = textAt(schema, 'type') !== '' || isIntOrString(schema) || keepsUnknown(schema);
  return [...(isTyped ? [] : [required(`${path}.type`, empty)]), ...nodeCauses(schema, path)];
}

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

function ownCauses(schema: OpenApiSchema, path: string): readonly Cause[] {
  const causes: Cause[] = [];
  const [type, pattern] = [textAt(schema, 'type'), textAt(schema, 'pattern')];
  if (type !== '' && !types.includes(type))
    causes.push(invalid(`${path}.type`, type, `must be one of ${types.join(', ')}`));
  if (type === 'array' && !itemsOf(schema)) causes.push(required(`${path}.items`, 'must be specified'));
  if (pattern !== '' && !compiledPattern(pattern))
    causes.push(invalid(`${path}.pattern`, pattern, 'must be a valid regular expression'));
  if (Object.keys(mapAt(schema, 'properties')).length > 0 && additionalOf(schema))
    causes.push({
      reason: 'FieldValueForbidden',
      message: 'Forbidden: additionalProperties and properties are mutual exclusive',
      field: `${path}.additionalProperties`,
    });
  const listType = textAt(schema, 'x-kubernetes-list-type');
  if (listType === 'map' && listAt(schema, 'x-kubernetes-list-map-keys').length === 0)
    causes.push(
      required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'),
    );
  return [...causes, ...defaultCauses(schema, path), ...rulesCauses(schema, path)];
}

function defaultCauses(schema: OpenApiSchema, path: string): readonly Cause[] {
  const value = defaultOf(schema);
  if (value === undefined) return [];
  return valueCauses(schema, value, undefined, '').map((cause) => ({
    ...cause,
    field: `${path}.default${cause.field && cause.field !== '<nil>' ? `.${cause.field}` : ''}`,
  }));
}

function rulesCauses(schema: OpenApiSchema, path: string): readonly Cause[] {
  return listAt(schema, 'x-kubernetes-validations')
    .filter(isMap)
    .flatMap((rule, i) => ruleCauses(schema, rule, `${path}.x-kubernetes-validations[${i}]`));
}

function ruleCauses(schema: OpenApiSchema, rule: JsonObject, path: string): readonly Cause[] {
  const [text, message] = [textAt(rule, 'rule'), textAt(rule, 'messageExpression')];
  if (text.trim() === '') return [required(`${path}.rule`, 'rule is not specified')];
  const fault = celFault(schema, text, compileRule);
  const messageFault = message === '' ? null : celFault(schema, message, compileExpression);
  return [
    ...(fault === null ? [] : [invalid(`${path}.rule`, shown(rule), `compilation failed: ${fault}`)]),
    ...(messageFault === null
      ? []
      : [
          invalid(
            `${path}.messageExpression`,
            shown(rule),
            `messageExpression compilation failed: ${messageFault}`,
          ),
        ]),
  ];
}

/** null: none. */
function celFault(schema: OpenApiSchema, text: string, compile: (text: string) => unknown): string | null {
  try {
    compile(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const field = undeclaredField(schema, text);
  return field === null ? null : `ERROR: <input>: undefined field '${field}'`;
}

/** As Go prints a rule. */
function shown(rule: JsonObject): Json {
  return {
    Rule: textAt(rule, 'rule'),
    Message: textAt(rule, 'message'),
    MessageExpression: textAt(rule, 'messageExpression'),
    Reason: memberOf(rule, 'reason') ?? null,
    FieldPath: textAt(rule, 'fieldPath'),
    OptionalOldSelf: memberOf(rule, 'optionalOldSelf') ?? null,
  };
}
