// SPDX-License-Identifier: Apache-2.0
/** ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2. */
import { anyText, conditions, labelSelector, listOf, object, oneOf, setOf } from './fragments.ts';
import type { Schema } from './schema.ts';

const one: Schema = { minProperties: 1, maxProperties: 1 };
const portNumber: Schema = { type: 'integer', format: 'int32', minimum: 1, maximum: 65535 };

const destinationPort: Schema = object(
  {
    number: portNumber,
    range: object(
      { start: portNumber, end: portNumber },
      {
        required: ['start', 'end'],
        'x-kubernetes-validations': [
          { rule: 'self.start < self.end', message: 'want more than start', fieldPath: '.end' },
        ],
      },
    ),
  },
  one,
);

const transport: Schema = object({ destinationPort }, { minProperties: 1 });

const protocol: Schema = object(
  { tcp: transport, udp: transport, sctp: transport, destinationNamedPort: anyText },
  one,
);

const pods: Schema = object(
  { namespaceSelector: labelSelector, podSelector: labelSelector },
  { required: ['podSelector'] },
);

/** Wherever it stands, an address range may be of either family. */
const network: Schema = {
  type: 'string',
  maxLength: 43,
  'x-kubernetes-validations': [{ rule: 'isCIDR(self)', message: 'want a CIDR like 10.0.0.0/8 or fd00::/8' }],
};

const networks: Schema = setOf(network, { minItems: 1, maxItems: 25 });

function rules(peers: 'from' | 'to'): Schema {
  const peer = object({ namespaces: labelSelector, pods, ...(peers === 'to' ? { networks } : {}) }, one);
  const rule = object(
    {
      name: { type: 'string', maxLength: 100 },
      action: oneOf('Accept', 'Deny', 'Pass'),
      [peers]: listOf(peer, { minItems: 1, maxItems: 25 }),
      protocols: listOf(protocol, { minItems: 1, maxItems: 25 }),
    },
    { required: ['action', peers] },
  );
  return listOf(rule, { maxItems: 25 });
}

export const clusterNetworkPolicy: Schema = {
  type: 'object',
  properties: {
    apiVersion: anyText,
    kind: anyText,
    metadata: { type: 'object' },
    spec: object(
      {
        tier: oneOf('Admin', 'Baseline'),
        priority: { type: 'integer', format: 'int32', minimum: 0, maximum: 1000 },
        subject: object({ namespaces: labelSelector, pods }, one),
        ingress: rules('from'),
        egress: rules('to'),
      },
      { required: ['tier', 'priority', 'subject'] },
    ),
    status: conditions,
  },
  required: ['metadata', 'spec'],
};
