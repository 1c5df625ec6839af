// SPDX-License-Identifier: Apache-2.0
/** What a cluster is born with: its namespaces, the Service of the API itself, the built-in roles. */
import { addressFromNumber } from '../lib/address.ts';
import { cidrRange, parseCidr } from '../lib/cidr.ts';
import type { JsonObject } from '../model/types.ts';
import { decode } from './objects/decode.ts';
import { builtinRbac } from './objects/rbac.ts';
import type { Serving } from './serving.ts';
import { storedOf } from './serving.ts';
import { bear } from './writes.ts';

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

const options = { dryRun: false, fieldManager: 'kube-apiserver', fieldValidation: 'Ignore' } as const;

/** What is there already stays as it is. */
export function bootstrap(serving: Serving): void {
  for (const name of namespaces) {
    ensure(serving, '', 'namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  for (const object of builtinRbac)
    ensure(serving, 'rbac.authorization.k8s.io', pluralOf(object.kind), object);
  ensure(serving, '', 'services', serviceOfTheApi(serving.services.ranges[0] ?? '10.96.0.0/12'));
}

function pluralOf(kind: string): string {
  return `${kind.toLowerCase()}s`;
}

function ensure(serving: Serving, group: string, plural: string, body: JsonObject): void {
  const resource = serving.catalog.findAny(group, plural);
  if (!resource) return;
  const { object } = decode(resource, body, 'Ignore');
  const namespace = resource.namespaced ? (object.metadata.namespace ?? 'default') : '';
  if (storedOf(serving, resource, namespace, object.metadata.name)) return;
  bear({ serving, resource, namespace, options }, object);
}

/** At the first address of the range, where Pods look for the API. */
function serviceOfTheApi(range: string): JsonObject {
  const { first, family } = cidrRange(parseCidr(range));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: addressFromNumber(first + 1n, family),
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
    },
  };
}
