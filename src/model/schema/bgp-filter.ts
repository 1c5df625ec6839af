// SPDX-License-Identifier: Apache-2.0
/** BGPFilter: which routes a session takes in and gives out, and what is done to them. */
import { asNumber, listOf, object, oneOf, resource, routePriority } from './fragments.ts';
import type { Rule, Schema } from './schema.ts';

const community: Schema = { type: 'string', maxLength: 32, format: 'community' };

const operation: Schema = object(
  {
    addCommunity: object({ value: community }, { required: ['value'], 'x-kubernetes-map-type': 'atomic' }),
    prependASPath: object(
      { prefix: listOf(asNumber, { minItems: 1, maxItems: 10 }) },
      { required: ['prefix'], 'x-kubernetes-map-type': 'atomic' },
    ),
    setPriority: object({ value: routePriority }, { required: ['value'], 'x-kubernetes-map-type': 'atomic' }),
  },
  {
    'x-kubernetes-map-type': 'atomic',
    'x-kubernetes-validations': [
      {
        rule: '(has(self.addCommunity) ? 1 : 0) + (has(self.prependASPath) ? 1 : 0) + (has(self.setPriority) ? 1 : 0) == 1',
        message: 'want one of addCommunity, prependASPath and setPriority',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

const isSet = (field: string) => `(has(self.${field}) && size(self.${field}) > 0)`;

const rules: readonly Rule[] = [
  {
    rule: `${isSet('cidr')} == ${isSet('matchOperator')}`,
    message: 'got one of cidr and matchOperator, want both or none',
    fieldPath: '.matchOperator',
    reason: 'FieldValueInvalid',
  },
  {
    rule: `!has(self.prefixLength) || ${isSet('cidr')}`,
    message: 'got prefixLength without cidr, want both or none',
    fieldPath: '.prefixLength',
    reason: 'FieldValueInvalid',
  },
  {
    rule: "!has(self.operations) || size(self.operations) == 0 || self.action == 'Accept'",
    message: 'got operations with another action, want Accept',
    fieldPath: '.operations',
    reason: 'FieldValueForbidden',
  },
];

function filterRules(family: 4 | 6): Schema {
  const length: Schema = { type: 'integer', format: 'int32', minimum: 0, maximum: family === 4 ? 32 : 128 };
  const rule = object(
    {
      cidr: {
        type: 'string',
        maxLength: family === 4 ? 18 : 43,
        format: family === 4 ? 'ipv4-cidr' : 'ipv6-cidr',
      },
      matchOperator: oneOf('Equal', 'NotEqual', 'In', 'NotIn'),
      prefixLength: object({ min: length, max: length }, { 'x-kubernetes-map-type': 'atomic' }),
      source: oneOf('RemotePeers'),
      interface: { type: 'string', format: 'interface-pattern' },
      peerType: oneOf('eBGP', 'iBGP'),
      communities: object(
        { values: listOf(community, { minItems: 1, maxItems: 1 }) },
        { required: ['values'], 'x-kubernetes-map-type': 'atomic' },
      ),
      asPathPrefix: listOf(asNumber),
      priority: routePriority,
      action: oneOf('Accept', 'Reject'),
      operations: listOf(operation, { minItems: 1, maxItems: 10 }),
    },
    { required: ['action'], 'x-kubernetes-map-type': 'atomic', 'x-kubernetes-validations': rules },
  );
  return listOf(rule);
}

const v4 = filterRules(4);
const v6 = filterRules(6);

export const bgpFilter: Schema = resource(object({ exportV4: v4, importV4: v4, exportV6: v6, importV6: v6 }));
