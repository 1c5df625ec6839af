// SPDX-License-Identifier: Apache-2.0
/** Pods of manifests have no address until they run; those that are only evaluated are given one. */

import { podView } from '../lab/pod-view.ts';
import { addressFromNumber, type Family } from '../lib/address.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { cidrRange } from '../lib/cidr.ts';
import { podAddresses } from '../model/kubernetes/pod.ts';
import type { Resource } from '../model/types.ts';

/** Set aside for benchmarks, so that nobody's network has them: RFC 2544, RFC 5180. */
export const imaginedNetworks: { readonly [F in Family]: Cidr } = {
  4: '198.18.0.0/15' as Cidr,
  6: '2001:2::/48' as Cidr,
};

export interface AddressedPods {
  readonly resources: readonly Resource[];
  /** How many were given one. */
  readonly imagined: number;
}

/**
 * What their authors chose for them comes first. In order of the resources, so that the same text has the same addresses.
 *
 * @param given - by Pod: those of an earlier call are kept, so that two states of one cluster agree. Added to.
 */
export function addressedPods(
  resources: readonly Resource[],
  given: Map<string, readonly Address[]> = new Map(),
): AddressedPods {
  const addressed = resources.map((resource) => {
    if (resource.apiVersion !== 'v1' || resource.kind !== 'Pod' || podAddresses(resource).length > 0)
      return resource;
    const { wanted, namespace, name } = podView(resource);
    if (wanted.length > 0) return withAddresses(resource, wanted);
    const next = given.size + 1;
    const known = given.get(`${namespace}/${name}`) ?? [imaginedAddress(4, next), imaginedAddress(6, next)];
    given.set(`${namespace}/${name}`, known);
    return withAddresses(resource, known);
  });
  return { resources: addressed, imagined: given.size };
}

function imaginedAddress(family: Family, host: number): Address {
  return addressFromNumber(cidrRange(imaginedNetworks[family]).first + BigInt(host), family);
}

function withAddresses(pod: Resource, addresses: readonly Address[]): Resource {
  const status = { ...(pod.status as object | undefined), podIPs: addresses.map((ip) => ({ ip })) };
  return { ...pod, status };
}
