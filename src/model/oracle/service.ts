// SPDX-License-Identifier: Apache-2.0
/**
 * Where services live: by their EndpointSlices alone, so that a service without selector, or without Service, counts too.
 *
 * @see Kubernetes API reference, discovery.k8s.io/v1 EndpointSlice
 */
import { tryParseAddress } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { tryParseProtocol } from '../../lib/protocol.ts';
import type { Resource } from '../types.ts';
import { type Fields, fieldsOf, labelsIn, listIn, numberIn, textIn, textsIn } from './fields.ts';
import { namespaceOf } from './owner.ts';

/** Some of a service's endpoints: each address on each port, ready or not. */
export interface Slice {
  readonly namespace: string;
  readonly service: string;
  readonly addresses: readonly Address[];
  readonly ports: readonly { readonly protocol: number; readonly port: number }[];
}

const serviceLabel = 'kubernetes.io/service-name';

export function slicesOf(resources: readonly Resource[]): Slice[] {
  return resources.filter((resource) => resource.kind === 'EndpointSlice').flatMap(sliceOf);
}

/** One that says no service is nobody's. */
function sliceOf(resource: Resource): Slice[] {
  const service = labelsIn(resource.metadata, 'labels').get(serviceLabel);
  if (service === undefined) return [];
  const addresses = listIn(resource, 'endpoints').flatMap((row) => textsIn(fieldsOf(row), 'addresses'));
  return [
    {
      namespace: namespaceOf(resource),
      service,
      addresses: addresses.flatMap((text) => tryParseAddress(text) ?? []), // names, in slices of type FQDN, are none
      ports: listIn(resource, 'ports').map(fieldsOf).flatMap(portOf),
    },
  ];
}

/** A port without number restricts nothing to Kubernetes; a rule cannot mean that, so it opens nothing. */
function portOf(row: Fields): Slice['ports'] {
  const port = numberIn(row, 'port');
  const protocol = tryParseProtocol(textIn(row, 'protocol') || 'TCP');
  return port === undefined || protocol === null ? [] : [{ protocol, port }];
}
