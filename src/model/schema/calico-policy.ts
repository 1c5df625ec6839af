// SPDX-License-Identifier: Apache-2.0
/** NetworkPolicy, GlobalNetworkPolicy, and what is staged of them. */
import { flag, object, oneOf, resource, selector, setOf } from './fragments.ts';
import { rules } from './policy-rule.ts';
import type { Rule, Schema } from './schema.ts';

/** `types: []` is let through, as Calico's library reads it: its schema wants one at least. */
const types: Schema = setOf(oneOf('Ingress', 'Egress'), { maxItems: 2 });

const shared: { readonly [name: string]: Schema } = {
  tier: { type: 'string', format: 'dns-label', default: 'default' },
  order: { type: 'number' },
  selector,
  serviceAccountSelector: selector,
  types,
  ingress: rules,
  egress: rules,
  performanceHints: setOf(oneOf('AssumeNeededOnEveryNode')),
};

const global: { readonly [name: string]: Schema } = {
  ...shared,
  namespaceSelector: selector,
  doNotTrack: flag,
  preDNAT: flag,
  applyOnForward: flag,
};

export const stagedAction: Schema = { ...oneOf('Set', 'Delete', 'Learn', 'Ignore'), default: 'Set' };

const globalRules: readonly Rule[] = [
  {
    rule: '!has(self.doNotTrack) || !self.doNotTrack || !has(self.preDNAT) || !self.preDNAT',
    message: 'got true together with doNotTrack, want one of them',
    fieldPath: '.preDNAT',
    reason: 'FieldValueForbidden',
  },
  {
    rule: '!has(self.preDNAT) || !self.preDNAT || !has(self.egress) || size(self.egress) == 0',
    message: 'got rules, want none: preDNAT is for ingress only',
    fieldPath: '.egress',
    reason: 'FieldValueForbidden',
  },
  {
    rule: "!has(self.preDNAT) || !self.preDNAT || !has(self.types) || !self.types.exists(type, type == 'Egress')",
    message: 'got Egress, want Ingress alone with preDNAT',
    fieldPath: '.types',
    reason: 'FieldValueForbidden',
  },
  {
    rule: '(has(self.applyOnForward) && self.applyOnForward) || ((!has(self.doNotTrack) || !self.doNotTrack) && (!has(self.preDNAT) || !self.preDNAT))',
    message: 'want true with doNotTrack or preDNAT',
    fieldPath: '.applyOnForward',
    reason: 'FieldValueInvalid',
  },
];

export const networkPolicy: Schema = resource(object(shared));
export const stagedNetworkPolicy: Schema = resource(object({ stagedAction, ...shared }));
export const globalNetworkPolicy: Schema = resource(
  object(global, { 'x-kubernetes-validations': globalRules }),
);
export const stagedGlobalNetworkPolicy: Schema = resource(
  object({ stagedAction, ...global }, { 'x-kubernetes-validations': globalRules }),
);
