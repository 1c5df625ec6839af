// SPDX-License-Identifier: Apache-2.0
/** The spec of networking.k8s.io/v1 NetworkPolicy, enforced and staged. */
import { stagedAction } from './calico-policy.ts';
import { anyText, labelSelector, listOf, object, oneOf, resource, setOf } from './fragments.ts';
import type { Schema } from './schema.ts';

/** Addresses that an ipBlock leaves out: parts of it, which kubernetes.ts checks. */
const ipBlock: Schema = object(
  { cidr: { type: 'string', format: 'cidr' }, except: listOf({ type: 'string', format: 'cidr' }) },
  { required: ['cidr'] },
);

const peer: Schema = object(
  { podSelector: labelSelector, namespaceSelector: labelSelector, ipBlock },
  {
    minProperties: 1,
    'x-kubernetes-validations': [
      {
        rule: '!has(self.ipBlock) || (!has(self.podSelector) && !has(self.namespaceSelector))',
        message: 'got ipBlock together with selectors, want ipBlock alone',
        reason: 'FieldValueForbidden',
      },
    ],
  },
);

const port: Schema = object(
  {
    protocol: oneOf('TCP', 'UDP', 'SCTP'),
    port: { 'x-kubernetes-int-or-string': true, format: 'pod-port' },
    endPort: { type: 'integer', minimum: 1, maximum: 65535 },
  },
  {
    'x-kubernetes-validations': [
      {
        rule: '!has(self.endPort) || (has(self.port) && self.endPort >= self.port)',
        message: 'want a port that is a number, and an endPort of at least that',
        fieldPath: '.endPort',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

function ruleList(peers: 'from' | 'to'): Schema {
  const rule = object({ [peers]: listOf(peer), ports: listOf(port) });
  return listOf(rule, { maxItems: 1024, 'x-kubernetes-list-type': 'atomic' });
}

const members: { readonly [name: string]: Schema } = {
  podSelector: labelSelector,
  policyTypes: setOf(oneOf('Ingress', 'Egress'), { maxItems: 2 }),
  ingress: ruleList('from'),
  egress: ruleList('to'),
};

export const kubernetesNetworkPolicy: Schema = {
  type: 'object',
  properties: {
    apiVersion: anyText,
    kind: anyText,
    metadata: { type: 'object' },
    spec: object(members, { required: ['podSelector'] }),
    status: { type: 'object' },
  },
  required: ['metadata', 'spec'],
};

export const stagedKubernetesNetworkPolicy: Schema = resource(object({ stagedAction, ...members }));
