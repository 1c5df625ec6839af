// SPDX-License-Identifier: Apache-2.0
/** Pieces that the schemas of several kinds share. */
import { patterns } from './patterns.ts';
import type { Rule, Schema } from './schema.ts';

export const flag: Schema = { type: 'boolean' };
export const whole: Schema = { type: 'integer' };
export const anyText: Schema = { type: 'string' };

export const name: Schema = { type: 'string', maxLength: 253, format: 'dns-name' };
export const selector: Schema = { type: 'string', maxLength: 1024, format: 'selector' };
export const labels: Schema = {
  type: 'object',
  additionalProperties: { type: 'string' },
  format: 'labels',
};
export const port: Schema = { type: 'integer', minimum: 0, maximum: 65535 };
export const duration: Schema = { type: 'string', pattern: patterns.duration };
/** Where Calico's own schema has no pattern: whatever Go reads. */
export const goDuration: Schema = { type: 'string', format: 'duration' };
export const asNumber: Schema = { 'x-kubernetes-int-or-string': true, format: 'as-number' };
export const routePriority: Schema = { type: 'integer', minimum: 1, maximum: 2147483646 };
export const enabled: Schema = { type: 'string', enum: ['Enabled', 'Disabled'] };

export function object(properties: { readonly [name: string]: Schema }, more: Schema = {}): Schema {
  return { type: 'object', properties, ...more };
}

export function listOf(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, ...more };
}

/** No item twice. */
export function setOf(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, 'x-kubernetes-list-type': 'set', ...more };
}

export function oneOf(...choices: readonly string[]): Schema {
  return { type: 'string', enum: choices };
}

/** Case counts for nothing, and '' is none of them. */
export function anyCaseOf(...choices: readonly string[]): Schema {
  return { type: 'string', pattern: `^(?i)(${choices.join('|')})?$` };
}

/** At most one of the fields of self has a value that is not empty. */
export function apart(a: string, b: string, message: string): Rule {
  return {
    rule: `!has(self.${a}) || size(self.${a}) == 0 || !has(self.${b}) || size(self.${b}) == 0`,
    message,
    fieldPath: `.${b}`,
    reason: 'FieldValueForbidden',
  };
}

/** A resource of Calico's: no metadata beyond what every kind has. */
export function resource(
  spec: Schema,
  more: { readonly status?: Schema } & Pick<Schema, 'required' | 'x-kubernetes-validations'> = {},
): Schema {
  const { status, required = [], ...rest } = more;
  return {
    type: 'object',
    properties: {
      apiVersion: anyText,
      kind: anyText,
      metadata: { type: 'object' },
      spec,
      ...(status ? { status } : {}),
    },
    required: ['metadata', ...required],
    ...rest,
  };
}

const condition: Schema = object(
  {
    type: { type: 'string', maxLength: 316, pattern: patterns.conditionType },
    status: oneOf('True', 'False', 'Unknown'),
    reason: { type: 'string', minLength: 1, maxLength: 1024, pattern: patterns.condition },
    message: { type: 'string', maxLength: 32768 },
    lastTransitionTime: { type: 'string', format: 'date-time' },
    observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
  },
  { required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'] },
);

/** metav1.Condition. */
export const conditions: Schema = object({
  conditions: listOf(condition, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
});

const requirement: Schema = object(
  {
    key: { type: 'string', format: 'label-key' },
    operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'),
    values: listOf({ type: 'string', format: 'label-value' }, { 'x-kubernetes-list-type': 'atomic' }),
  },
  {
    required: ['key', 'operator'],
    'x-kubernetes-validations': [
      {
        rule: "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
        message: 'want at least one value with In and NotIn',
        fieldPath: '.values',
        reason: 'FieldValueRequired',
      },
      {
        rule: "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0",
        message: 'want no values with Exists and DoesNotExist',
        fieldPath: '.values',
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

/** metav1.LabelSelector. */
export const labelSelector: Schema = object(
  {
    matchLabels: labels,
    matchExpressions: listOf(requirement, { 'x-kubernetes-list-type': 'atomic' }),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);

/** v1.SecretKeySelector. */
export const password: Schema = object({
  secretKeyRef: object(
    { name: { type: 'string', default: '' }, key: anyText, optional: flag },
    { required: ['key'], 'x-kubernetes-map-type': 'atomic' },
  ),
});
