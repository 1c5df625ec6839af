// SPDX-License-Identifier: Apache-2.0
/**
 * What every Linux data plane does beside policy: routes to local workloads by their links, to remote ones by their
 * nodes, and knowing the node's links.
 *
 * Owns:       routes with protocol 80 in the main table, both families; the list of links.
 * Takes in:   endpoint and route messages; rtnetlink's events. Gives out: reports; word that someone else changed routes or links.
 * Invariants: a route is there only while its link is; a lost event leads to a new list.
 * Next:       route-table.ts, guards.ts.
 */
import type { ApplyFailure, DataplaneMessage, ResolvedEndpoint, Route } from '../../contract/dataplane.ts';
import { type Route as KernelRoute, mainTable } from '../../kernel/rtnetlink/routes.ts';
import { Rtnetlink } from '../../kernel/rtnetlink/rtnetlink.ts';
import { type RouteWatcher, watchRoutes } from '../../kernel/rtnetlink/watch.ts';
import { familyOf } from '../../lib/address.ts';
import type { Cidr, KeyPath } from '../../lib/brand.ts';
import { hostCidr } from '../../lib/cidr.ts';
import { Reconciler } from '../../reconcile/reconciler.ts';
import { Interfaces } from './interfaces.ts';
import { pathOf, type RoutePath, RouteTable, routeProtocol, samePath } from './route-table.ts';

export class NodeNetwork implements Disposable {
  readonly interfaces: Interfaces;
  readonly #rtnetlink = Rtnetlink.open();
  readonly #watch: RouteWatcher;
  readonly #tables: { readonly [F in 4 | 6]: Reconciler<Cidr, RoutePath> };
  readonly #endpoints = new Map<KeyPath, ResolvedEndpoint>();
  readonly #remote = new Map<Cidr, Route>();
  /** The links by which the tables were last told what is wanted; null: messages came since. */
  #toldFor: ReadonlyMap<string, number> | null = null;

  /** In the network namespace of the calling thread, for good. */
  constructor(onStrangersChange: (reason: string) => void) {
    this.interfaces = new Interfaces(this.#rtnetlink);
    this.#tables = {
      4: new Reconciler(new RouteTable(4, this.#rtnetlink.routes)),
      6: new Reconciler(new RouteTable(6, this.#rtnetlink.routes)),
    };
    this.#watch = watchRoutes({
      kinds: ['link', 'address', 'route'],
      onEvent: (event) => {
        if (event.kind === 'link' || event.kind === 'address') this.#linkChanged(onStrangersChange);
        else if (event.kind === 'route' && this.#disagrees(event.row, event.gone)) {
          this.#tables[familyOf(event.row.dst)].queueResync();
          onStrangersChange(`route ${event.row.dst} was changed by someone else`);
        }
      },
      onOverflow: () => {
        this.queueResync();
        onStrangersChange('events of links and routes were lost');
      },
    });
  }

  onMessage(message: DataplaneMessage): void {
    if (message.kind === 'endpoint-update') this.#endpoints.set(message.id, message.endpoint);
    else if (message.kind === 'endpoint-remove') this.#endpoints.delete(message.id);
    else if (message.kind === 'route-update') this.#remote.set(message.dst, message.route);
    else if (message.kind === 'route-remove') this.#remote.delete(message.dst);
    else return;
    this.#toldFor = null;
  }

  /** Before an apply: messages may have overtaken the event of the very link or address that they are about. */
  hear(): void {
    this.#watch.hear();
  }

  queueResync(): void {
    this.interfaces.forget();
    for (const table of Object.values(this.#tables)) table.queueResync();
  }

  apply(): { changed: number; failed: ApplyFailure[] } {
    if (this.#toldFor !== this.interfaces.listing()) this.#tellTables();
    const reports = Object.values(this.#tables).map((table) => table.apply());
    return {
      changed: reports.reduce((sum, report) => sum + report.changed, 0),
      failed: this.#stillWanted(reports.flatMap((report) => report.failed)),
    };
  }

  /** What is wanted follows from endpoints, remote routes and links; a change of policy touches none of them. */
  #tellTables(): void {
    const wanted = this.#wanted();
    for (const table of Object.values(this.#tables)) {
      for (const dst of [...table.desired().keys()]) if (!wanted.has(dst)) table.deleteDesired(dst);
    }
    for (const [dst, path] of wanted) this.#tables[familyOf(dst)].setDesired(dst, path);
    this.#toldFor = this.interfaces.listing();
  }

  /** A route is refused when its link went since links were listed, and then nobody wants it any more. */
  #stillWanted(failed: readonly ApplyFailure[]): ApplyFailure[] {
    if (failed.length === 0) return [];
    const before = new Set<string>(
      Object.values(this.#tables).flatMap((table) => [...table.desired().keys()]),
    );
    this.interfaces.forget();
    const now: ReadonlyMap<string, RoutePath> = this.#wanted();
    return failed.filter(({ key }) => now.has(key) || !before.has(key));
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#rtnetlink.close();
  }

  /** A local workload beats a remote one with the same address: packets for it are here already. */
  #wanted(): ReadonlyMap<Cidr, RoutePath> {
    const wanted = new Map<Cidr, RoutePath>();
    for (const [dst, route] of this.#remote) wanted.set(dst, { kind: 'via', gateway: route.via });
    for (const endpoint of this.#endpoints.values()) {
      const ifIndex = this.interfaces.upIndexOf(endpoint.ifName);
      if (ifIndex === undefined) continue; // its link was not made or set up yet: the event will come
      for (const address of endpoint.addresses) wanted.set(hostCidr(address), { kind: 'link', ifIndex });
    }
    return wanted;
  }

  #linkChanged(onStrangersChange: (reason: string) => void): void {
    this.queueResync(); // IPv4 routes go with their link without an event: net/ipv4/fib_trie.c, fib_table_flush
    onStrangersChange('links changed');
  }

  /** Our own writes are heard too: only what contradicts them is someone else's. */
  #disagrees(route: KernelRoute, gone: boolean): boolean {
    if (route.table !== mainTable) return false;
    const actual = this.#tables[familyOf(route.dst)].actual().get(route.dst);
    const isOurs = route.protocol === routeProtocol;
    if (!actual) return isOurs && !gone;
    return gone ? isOurs : !isOurs || !samePath(pathOf(route), actual);
  }
}
