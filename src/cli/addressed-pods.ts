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

/** What their authors chose for them comes first. In order of the resources, so that the same text has the same addresses. */
export function addressedPods(resources: readonly Resource[]): AddressedPods {
  let imagined = 0;
  const addressed = resources.map((resource) => {
    if (resource.apiVersion !== 'v1' || resource.kind !== 'Pod' || podAddresses(resource).length > 0)
      return resource;
    const { wanted } = podView(resource);
    if (wanted.length > 0) return withAddresses(resource, wanted);
    imagined++;
    return withAddresses(resource, [imaginedAddress(4, imagined), imaginedAddress(6, imagined)]);
  });
  return { resources: addressed, imagined };
}

function imaginedAddress(family: Family, host: number): Address {
  return addressFromNumber(cidrRange(imaginedNetworks[family]).first + BigInt(host), family);
}

function withAddresses(pod: Resource, addresses: readonly Address[]): Resource {
  const status = { ...(pod.status as object | undefined), podIPs: addresses.map((ip) => ({ ip })) };
  return { ...pod, status };
}
