// SPDX-License-Identifier: Apache-2.0
/** Tier: a group of policies. */
import { conditions, object, oneOf, resource } from './fragments.ts';
import type { Rule, Schema } from './schema.ts';

/** A built-in tier keeps its order and its action; what is not written follows from its name (../defaults.ts). */
function fixed(tier: string, order: number, action: 'Deny' | 'Pass'): readonly Rule[] {
  const other = `self.metadata.name != '${tier}' || !has(self.spec)`;
  return [
    {
      rule: `${other} || !has(self.spec.order) || self.spec.order == ${order}`,
      message: `want ${order}: the tier is built in`,
      fieldPath: '.spec.order',
      reason: 'FieldValueInvalid',
    },
    {
      rule: `${other} || !has(self.spec.defaultAction) || self.spec.defaultAction == '${action}'`,
      message: `want ${action}: the tier is built in`,
      fieldPath: '.spec.defaultAction',
      reason: 'FieldValueInvalid',
    },
  ];
}

export const tier: Schema = resource(
  object({ order: { type: 'number' }, defaultAction: oneOf('Deny', 'Pass') }),
  {
    status: conditions,
    'x-kubernetes-validations': [
      ...fixed('default', 1_000_000, 'Deny'),
      ...fixed('kube-admin', 1_000, 'Pass'),
      ...fixed('kube-baseline', 10_000_000, 'Pass'),
    ],
  },
);
