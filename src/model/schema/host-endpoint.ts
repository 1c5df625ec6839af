// SPDX-License-Identifier: Apache-2.0
/** HostEndpoint: an interface of a host, under policy. */
import { listOf, name, object, resource, setOf } from './fragments.ts';
import type { Schema } from './schema.ts';

const port: Schema = object(
  {
    name: { type: 'string', format: 'port-name' },
    protocol: { 'x-kubernetes-int-or-string': true, format: 'protocol-with-ports' },
    port: { type: 'integer', minimum: 1, maximum: 65535 },
  },
  { required: ['name', 'protocol', 'port'] },
);

export const hostEndpoint: Schema = resource(
  object(
    {
      node: name,
      interfaceName: { type: 'string', maxLength: 15, format: 'interface-or-any' },
      expectedIPs: setOf({ type: 'string', format: 'ip' }),
      profiles: setOf(name),
      ports: listOf(port),
    },
    {
      'x-kubernetes-validations': [
        {
          rule: 'has(self.node) && size(self.node) > 0',
          message: 'want the name of a node',
          fieldPath: '.node',
          reason: 'FieldValueRequired',
        },
        {
          rule: '(has(self.interfaceName) && size(self.interfaceName) > 0) || (has(self.expectedIPs) && size(self.expectedIPs) > 0)',
          message: 'got neither interfaceName nor expectedIPs, want one of them',
          reason: 'FieldValueInvalid',
        },
      ],
    },
  ),
  { required: ['spec'] },
);
