// SPDX-License-Identifier: Apache-2.0
/** One rule of a policy or a profile, and the two ends that it speaks of. */
import { anyText, listOf, name, object, oneOf, selector, setOf } from './fragments.ts';
import type { Rule, Schema } from './schema.ts';

const protocol: Schema = { 'x-kubernetes-int-or-string': true, format: 'protocol' };
const ports: Schema = listOf(
  { 'x-kubernetes-int-or-string': true, format: 'rule-port' },
  { maxItems: 50, 'x-kubernetes-list-type': 'atomic' },
);

/** The members that hold no value beside services. */
function servicesAlone(field: string): Rule {
  return {
    rule: `!has(self.services) || !has(self.${field}) || size(self.${field}) == 0`,
    message: `got services together with ${field}, want services alone`,
    fieldPath: '.services',
    reason: 'FieldValueForbidden',
  };
}

const entity: Schema = object(
  {
    nets: setOf({ type: 'string', format: 'net' }, { maxItems: 256 }),
    notNets: setOf({ type: 'string', format: 'negated-net' }, { maxItems: 256 }),
    selector,
    notSelector: selector,
    namespaceSelector: { type: 'string', maxLength: 1024, format: 'rule-namespace-selector' },
    services: object({
      name: { type: 'string', maxLength: 253 },
      namespace: { type: 'string', maxLength: 253 },
    }),
    ports,
    notPorts: ports,
    serviceAccounts: object({ names: setOf(name), selector: { type: 'string', format: 'selector' } }),
  },
  {
    'x-kubernetes-validations': [
      {
        rule: '!has(self.services) || (has(self.services.name) && size(self.services.name) > 0)',
        message: 'want the name of a service',
        fieldPath: '.services.name',
        reason: 'FieldValueRequired',
      },
      servicesAlone('selector'),
      servicesAlone('notSelector'),
      servicesAlone('namespaceSelector'),
      servicesAlone('nets'),
      servicesAlone('notNets'),
      {
        rule: '!has(self.services) || !has(self.serviceAccounts)',
        message: 'got services together with serviceAccounts, want services alone',
        fieldPath: '.services',
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

const icmp: Schema = object(
  {
    type: { type: 'integer', minimum: 0, maximum: 254 },
    code: { type: 'integer', minimum: 0, maximum: 255 },
  },
  {
    'x-kubernetes-validations': [
      {
        rule: '!has(self.code) || has(self.type)',
        message: 'got a code without a type, want both or the type alone',
        fieldPath: '.code',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

const http: Schema = object({
  methods: setOf({ type: 'string', format: 'http-method' }, { maxItems: 20 }),
  paths: listOf(
    object(
      { exact: { type: 'string', maxLength: 1024 }, prefix: { type: 'string', maxLength: 1024 } },
      {
        'x-kubernetes-validations': [
          {
            rule: '(has(self.exact) && size(self.exact) > 0) != (has(self.prefix) && size(self.prefix) > 0)',
            message: 'want one of exact and prefix',
            reason: 'FieldValueInvalid',
          },
        ],
      },
    ),
    { maxItems: 20, 'x-kubernetes-list-type': 'atomic' },
  ),
});

function icmpNeedsProtocol(field: 'icmp' | 'notICMP'): Rule {
  return {
    rule: `!has(self.${field}) || (has(self.protocol) && string(self.protocol).matches('^(?i)(icmp|icmpv6|1|58)$'))`,
    message: `got ${field} without protocol ICMP or ICMPv6, want one of them`,
    fieldPath: `.${field}`,
    reason: 'FieldValueInvalid',
  };
}

/** A protocol of one family, asked for or excluded, binds the rule to it. */
function icmpFamily(field: 'protocol' | 'notProtocol', names: string, family: 4 | 6): Rule {
  return {
    rule: `!has(self.${field}) || !string(self.${field}).matches('^(?i)(${names})$') || !has(self.ipVersion) || self.ipVersion == ${family}`,
    message: `want ${family} with the ${field} of the rule`,
    fieldPath: '.ipVersion',
    reason: 'FieldValueInvalid',
  };
}

const ruleRules: readonly Rule[] = [
  {
    rule: "!has(self.http) || !has(self.protocol) || string(self.protocol).matches('^(?i)(tcp|6)$')",
    message: 'got http with another protocol, want TCP or none',
    fieldPath: '.http',
    reason: 'FieldValueInvalid',
  },
  {
    rule: "!has(self.http) || self.action == 'Allow'",
    message: 'got http with another action, want Allow',
    fieldPath: '.http',
    reason: 'FieldValueForbidden',
  },
  {
    rule: '!has(self.destination) || !has(self.destination.services) || ((!has(self.destination.ports) || size(self.destination.ports) == 0) && (!has(self.destination.notPorts) || size(self.destination.notPorts) == 0))',
    message: 'got services together with ports, want services alone: they bring their ports along',
    fieldPath: '.destination.services',
    reason: 'FieldValueForbidden',
  },
  icmpNeedsProtocol('icmp'),
  icmpNeedsProtocol('notICMP'),
  icmpFamily('protocol', 'icmp|1', 4),
  icmpFamily('protocol', 'icmpv6|58', 6),
  icmpFamily('notProtocol', 'icmp|1', 4),
  icmpFamily('notProtocol', 'icmpv6|58', 6),
];

const rule: Schema = object(
  {
    action: oneOf('Allow', 'Deny', 'Log', 'Pass'),
    ipVersion: { type: 'integer', enum: [4, 6] },
    protocol,
    notProtocol: protocol,
    icmp,
    notICMP: icmp,
    source: entity,
    destination: entity,
    http,
    metadata: object({
      annotations: { type: 'object', additionalProperties: anyText, format: 'annotations' },
    }),
  },
  { required: ['action'], 'x-kubernetes-validations': ruleRules },
);

export const rules: Schema = listOf(rule, { maxItems: 1024, 'x-kubernetes-list-type': 'atomic' });
