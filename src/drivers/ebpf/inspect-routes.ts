// SPDX-License-Identifier: Apache-2.0
/** The map `routes`: whose an address is. */
import type { InspectedRoute, Inspection, RoutesAnswer } from '../../contract/inspect.ts';
import { familyOf } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { cidrContains, cidrRange, hostCidr } from '../../lib/cidr.ts';
import { endpointNamed, type Inspected, Picked } from './inspected.ts';
import { routeAt, routeFlags, routeKeyAt } from './layout.ts';
import { cidrAt, someAddressAt, viewOf } from './row-view.ts';

type Question = Extract<Inspection, { kind: 'routes' }>;

/** With an address: those that cover it; the one with the longest prefix is what programs find. */
export function routesAnswer(of: Inspected, { address, endpoint, limit }: Question): RoutesAnswer {
  const id = endpoint === undefined ? null : endpointNamed(of, endpoint).id;
  const routes = [...of.map('routes').entries()]
    .map(([key, value]) => routeOf(of, viewOf(key), viewOf(value)))
    .filter((route) => address === undefined || covers(route, address))
    .filter((route) => id === null || route.endpoint?.id === id)
    .sort(byNet);
  const picked = new Picked<InspectedRoute>(limit);
  for (const route of routes) picked.add(() => route);
  return { kind: 'routes', routes: picked.rows, leftOut: picked.leftOut };
}

function routeOf(of: Inspected, key: DataView, value: DataView): InspectedRoute {
  const flags = value.getUint32(routeAt.flags, true);
  const ifIndex = value.getUint32(routeAt.ifIndex, true);
  return {
    cidr: cidrAt(key, routeKeyAt.address, key.getUint32(routeKeyAt.prefixLength, true)),
    flags: flagWords.filter(([bit]) => flags & bit).map(([, word]) => word),
    via: someAddressAt(value, routeAt.via),
    link: ifIndex === 0 ? null : (of.linkName(ifIndex) ?? `gone (${ifIndex})`),
    endpoint: of.names.endpoint(value.getBigUint64(routeAt.endpoint, true)),
  };
}

const flagWords: readonly (readonly [number, InspectedRoute['flags'][number]])[] = [
  [routeFlags.workload, 'workload'],
  [routeFlags.local, 'local'],
  [routeFlags.node, 'node'],
  [routeFlags.pool, 'pool'],
  [routeFlags.natOutgoing, 'nat-outgoing'],
  [routeFlags.dsrOptOut, 'dsr-opt-out'],
];

function covers({ cidr }: InspectedRoute, address: Address): boolean {
  return familyOf(cidr) === familyOf(address) && cidrContains(cidr, hostCidr(address));
}

function byNet(a: InspectedRoute, b: InspectedRoute): number {
  const [x, y] = [cidrRange(a.cidr), cidrRange(b.cidr)];
  if (x.family !== y.family) return x.family - y.family;
  if (x.first !== y.first) return x.first < y.first ? -1 : 1;
  return x.last > y.last ? -1 : 1;
}
