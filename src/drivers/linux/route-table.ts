// SPDX-License-Identifier: Apache-2.0
/**
 * Routes of one family in the main table: local workloads by their link, remote ones by their node. All are the
 * agent's; BIRD, when it comes, only speaks BGP. Ours are told by protocol 80, as Calico's are, whoever set them before.
 */

import { mainTable, type Route, type RouteSpec, type Routes } from '../../kernel/rtnetlink/routes.ts';
import type { Family } from '../../lib/address.ts';
import type { Address, Cidr } from '../../lib/brand.ts';
import type { KernelTable } from '../../reconcile/reconciler.ts';

/** rtm_protocol of every route that the agent writes (Calico: FelixConfiguration deviceRouteProtocol 80). */
export const routeProtocol = 80;
/** rtm_scope of a directly attached host, RT_SCOPE_LINK. */
const scopeLink = 253;

/** Where a destination is: behind this link, or behind that node. `unknown` is a route of ours in a form we never write. */
export type RoutePath =
  | { readonly kind: 'link'; readonly ifIndex: number }
  | { readonly kind: 'via'; readonly gateway: Address }
  | { readonly kind: 'unknown' };

export class RouteTable implements KernelTable<Cidr, RoutePath> {
  readonly name: string;
  readonly #family: Family;
  readonly #routes: Routes;

  constructor(family: Family, routes: Routes) {
    this.name = `IPv${family} routes`;
    this.#family = family;
    this.#routes = routes;
  }

  isOurs(): boolean {
    return true; // list() asks the kernel for our protocol only
  }

  *list(): Iterable<readonly [Cidr, RoutePath]> {
    for (const route of this.#routes.list(this.#family, { table: mainTable, protocol: routeProtocol })) {
      yield [route.dst, pathOf(route)];
    }
  }

  commit(
    upserts: readonly (readonly [Cidr, RoutePath])[],
    deletes: readonly Cidr[],
  ): ReadonlyMap<Cidr, Error> {
    const gone = this.#routes.delete(deletes.map((dst) => ({ dst, protocol: routeProtocol })));
    const refused = this.#routes.replace(upserts.flatMap(([dst, path]) => specOf(dst, path, this.#family)));
    return new Map([...gone, ...refused].map(({ route, error }) => [route.dst, error]));
  }

  same(a: RoutePath, b: RoutePath): boolean {
    return samePath(a, b);
  }
}

export function samePath(a: RoutePath, b: RoutePath): boolean {
  if (a.kind === 'link' && b.kind === 'link') return a.ifIndex === b.ifIndex;
  return a.kind === 'via' && b.kind === 'via' && a.gateway === b.gateway;
}

export function pathOf(route: Route): RoutePath {
  if (route.type !== 'unicast') return { kind: 'unknown' };
  if (route.gateway !== undefined) return { kind: 'via', gateway: route.gateway };
  return route.oif === undefined ? { kind: 'unknown' } : { kind: 'link', ifIndex: route.oif };
}

function specOf(dst: Cidr, path: RoutePath, family: Family): RouteSpec[] {
  const common = { dst, protocol: routeProtocol };
  if (path.kind === 'unknown') return [];
  if (path.kind === 'via') return [{ ...common, gateway: path.gateway }];
  return [{ ...common, oif: path.ifIndex, ...(family === 4 ? { scope: scopeLink } : {}) }];
}
