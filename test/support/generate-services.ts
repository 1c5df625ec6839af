// SPDX-License-Identifier: Apache-2.0
/** EndpointSlices by chance: several of a service, each with addresses of one family and ports of its own. */
import { familyOf } from '../../src/lib/address.ts';
import type { Resource } from '../../src/model/types.ts';
import { portNumbers, type World } from './generate-pools.ts';

export function endpointSliceIn(world: World, i: number): Resource {
  const { random } = world;
  const family = random.pick([4, 6] as const);
  const { namespace, name } = random.pick(world.services);
  const labels = random.chance(0.95) ? { 'kubernetes.io/service-name': name } : {};
  const addresses = world.addresses.filter((address) => familyOf(address) === family);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `slice-${i}`, namespace, labels },
    addressType: `IPv${family}`,
    endpoints: random.some(addresses, 0, 4).map((address) => ({
      addresses: [address],
      ...random.maybe(0.5, () => ({ conditions: { ready: random.chance(0.5) } })),
    })),
    ports: random.times(0, 3, (port) => ({
      name: `port-${port}`,
      port: random.pick(portNumbers),
      ...random.maybe(0.7, () => ({ protocol: random.pick(['TCP', 'TCP', 'UDP', 'SCTP']) })),
    })),
  };
}
