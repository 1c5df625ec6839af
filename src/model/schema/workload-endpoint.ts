// SPDX-License-Identifier: Apache-2.0
/** WorkloadEndpoint: an interface of a workload, as orchestrators without Pods store it. */
import { anyText, listOf, name, object, resource } from './fragments.ts';
import type { Schema } from './schema.ts';

/** In bits and packets per second; 0: no limit. */
function limit(least: number, most: number): Schema {
  return { type: 'integer', format: 'int64', minimum: least, maximum: most };
}

function limits(direction: 'ingress' | 'egress'): { readonly [name: string]: Schema } {
  return {
    [`${direction}Bandwidth`]: limit(0, 1e15),
    [`${direction}Burst`]: limit(0, 34_359_738_360),
    [`${direction}Peakrate`]: limit(0, 1.01e15),
    [`${direction}Minburst`]: limit(0, 1e8),
    [`${direction}PacketRate`]: limit(0, 10_000),
    [`${direction}PacketBurst`]: limit(0, 10_000),
    [`${direction}MaxConnections`]: limit(0, 4_294_967_295),
  };
}

const port: Schema = object(
  {
    name: { type: 'string', format: 'port-name' },
    protocol: { 'x-kubernetes-int-or-string': true, format: 'protocol-with-ports' },
    port: { type: 'integer', minimum: 1, maximum: 65535 },
    hostPort: { type: 'integer', minimum: 0, maximum: 65535 },
    hostIP: { type: 'string', format: 'ip' },
  },
  {
    required: ['protocol', 'port'],
    'x-kubernetes-validations': [
      {
        rule: '(has(self.name) && size(self.name) > 0) || (has(self.hostPort) && self.hostPort != 0)',
        message: 'got neither name nor hostPort, want one of them',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

const nat: Schema = object(
  { internalIP: { type: 'string', format: 'ip' }, externalIP: { type: 'string', format: 'ip' } },
  {
    required: ['internalIP', 'externalIP'],
    'x-kubernetes-validations': [
      {
        rule: 'ip(self.internalIP).family() == ip(self.externalIP).family()',
        message: 'want an address of the family of internalIP',
        fieldPath: '.externalIP',
        reason: 'FieldValueInvalid',
      },
    ],
  },
);

export const workloadEndpoint: Schema = resource(
  object({
    orchestrator: name,
    workload: name,
    node: name,
    containerID: anyText,
    pod: name,
    endpoint: name,
    serviceAccountName: name,
    ipNetworks: listOf({ type: 'string', format: 'net' }),
    ipNATs: listOf(nat),
    ipv4Gateway: { type: 'string', format: 'ipv4' },
    ipv6Gateway: { type: 'string', format: 'ipv6' },
    profiles: listOf(name),
    interfaceName: { type: 'string', format: 'interface' },
    mac: { type: 'string', format: 'mac' },
    ports: listOf(port),
    allowSpoofedSourcePrefixes: listOf({ type: 'string', format: 'any-net' }),
    qosControls: object({
      ...limits('ingress'),
      ...limits('egress'),
      dscp: { 'x-kubernetes-int-or-string': true, format: 'dscp' },
    }),
  }),
);
