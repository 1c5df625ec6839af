// SPDX-License-Identifier: Apache-2.0
/**
 * Whose an address is: the rows of the map `routes`, from endpoints, remote routes, pools and nodes. Only rows that a change
 * touches are made anew.
 */
import type { DataplaneMessage, ResolvedEndpoint, Route } from '../../contract/dataplane.ts';
import type { TranslationConfig } from '../../contract/services.ts';
import { familyOf } from '../../lib/address.ts';
import type { Address, Cidr, KeyPath } from '../../lib/brand.ts';
import { cidrContains, hostCidr } from '../../lib/cidr.ts';
import { addTo, removeFrom } from '../../lib/sets-by-key.ts';
import type { TableReport } from '../../reconcile/reconciler.ts';
import { routeAt, routeBytes, routeFlags, routeKeyAt, routeKeyBytes } from './layout.ts';
import { keyText, type MapRows, reconciled, type TableMap } from './map-table.ts';
import { endpointId } from './names.ts';
import { mappedLength, Row } from './row.ts';

interface Net {
  readonly cidr: Cidr;
  readonly flags: number;
}

export class Routes {
  readonly #rows: MapRows;
  readonly #endpoints = new Map<KeyPath, ResolvedEndpoint>();
  /** Who say that an address is theirs, in the order in which they said so: the last one has it. */
  readonly #local = new Map<Cidr, Set<KeyPath>>();
  readonly #remote = new Map<Cidr, Route>();
  readonly #dirty = new Set<Cidr>();
  #nets: readonly Net[] = [];
  #nodes: ReadonlySet<Cidr> = new Set();
  #own: ReadonlySet<Cidr> = new Set();
  #links: ReadonlyMap<string, number> = new Map();
  #refused: ReadonlyMap<KeyPath, string> = new Map();

  constructor(map: TableMap) {
    this.#rows = reconciled(map, 'eBPF routes');
  }

  onMessage(message: DataplaneMessage): void {
    switch (message.kind) {
      case 'endpoint-update':
        return this.#setEndpoint(message.id, message.endpoint);
      case 'endpoint-remove':
        return this.#setEndpoint(message.id, null);
      case 'route-update':
        this.#remote.set(message.dst, message.route);
        this.#dirty.add(message.dst);
        return;
      case 'route-remove':
        this.#remote.delete(message.dst);
        this.#dirty.add(message.dst);
        return;
      default: // nothing else says where an address is
    }
  }

  setTranslation(config: TranslationConfig): void {
    const { pools, dsrOptOut, nodeAddresses } = config;
    const before = [...this.#nets.map(({ cidr }) => cidr), ...this.#nodes];
    this.#nets = [
      ...pools.map(({ cidr, natOutgoing }) => ({
        cidr,
        flags: routeFlags.pool | (natOutgoing ? routeFlags.natOutgoing : 0),
      })),
      ...dsrOptOut.map((cidr) => ({ cidr, flags: routeFlags.dsrOptOut })),
    ];
    this.#nodes = new Set(nodeAddresses.map(hostCidr));
    this.#markAll(before);
  }

  /** @param own - this host's addresses. */
  setLinks(links: ReadonlyMap<string, number>, own: Iterable<Address>): void {
    const next = new Set([...own].map(hostCidr));
    if (links === this.#links && sameSet(next, this.#own)) return;
    for (const cidr of [...this.#own, ...next, ...this.#local.keys()]) this.#dirty.add(cidr);
    this.#links = links;
    this.#own = next;
  }

  queueResync(): void {
    this.#rows.queueResync();
  }

  /** Someone else wrote the map. */
  differs(): boolean {
    return this.#rows.differs();
  }

  apply(): TableReport {
    for (const cidr of this.#dirty) this.#make(cidr);
    this.#dirty.clear();
    const report = this.#rows.apply();
    this.#refused = report.failed.length === 0 ? new Map() : this.#ownersOf(report.failed);
    return { ...report, failed: report.failed.filter(({ key }) => !this.#ownerOf(key)) };
  }

  /** Endpoints of which an address has no row since the last apply, and why: nobody reaches them, and they nobody. */
  refusals(): ReadonlyMap<KeyPath, string> {
    return this.#refused;
  }

  #ownersOf(failed: TableReport['failed']): ReadonlyMap<KeyPath, string> {
    const owners = failed.map(({ key, message }) => [this.#ownerOf(key), message] as const);
    return new Map(owners.flatMap(([id, message]) => (id === null ? [] : [[id, message] as const])));
  }

  #ownerOf(key: string): KeyPath | null {
    for (const cidr of this.#local.keys())
      if (keyText(routeKey(cidr)) === key) return this.#ownerAt(cidr) ?? null;
    return null;
  }

  #markAll(before: readonly Cidr[]): void {
    const sources = [before, this.#nodes, this.#own, this.#local.keys(), this.#remote.keys()];
    for (const cidrs of sources) for (const cidr of cidrs) this.#dirty.add(cidr);
    for (const { cidr } of this.#nets) this.#dirty.add(cidr);
  }

  #setEndpoint(id: KeyPath, endpoint: ResolvedEndpoint | null): void {
    for (const address of this.#endpoints.get(id)?.addresses ?? []) {
      const cidr = hostCidr(address);
      removeFrom(this.#local, cidr, id);
      this.#dirty.add(cidr);
    }
    if (!endpoint) {
      this.#endpoints.delete(id);
      return;
    }
    this.#endpoints.set(id, endpoint);
    for (const address of endpoint.addresses) {
      addTo(this.#local, hostCidr(address), id);
      this.#dirty.add(hostCidr(address));
    }
  }

  #ownerAt(cidr: Cidr): KeyPath | undefined {
    return [...(this.#local.get(cidr) ?? [])].at(-1);
  }

  #make(cidr: Cidr): void {
    const key = keyText(routeKey(cidr));
    const row = this.#row(cidr);
    if (row) this.#rows.setDesired(key, row);
    else this.#rows.deleteDesired(key);
  }

  /** A local workload beats a remote one, as packets for it are here already; a node's own address beats both. */
  #row(cidr: Cidr): Uint8Array | null {
    const inherited = this.#inherited(cidr);
    const row = new Row(routeBytes);
    if (this.#own.has(cidr)) {
      return row.u32(routeAt.flags, inherited | routeFlags.node | routeFlags.local).bytes;
    }
    const owner = this.#ownerAt(cidr);
    const ifName = owner && this.#endpoints.get(owner)?.ifName;
    const ifIndex = ifName === undefined ? undefined : this.#links.get(ifName);
    if (owner !== undefined && ifIndex !== undefined) {
      return row
        .u32(routeAt.flags, inherited | routeFlags.workload | routeFlags.local)
        .u32(routeAt.ifIndex, ifIndex)
        .u64(routeAt.endpoint, endpointId(owner)).bytes;
    }
    const remote = this.#remote.get(cidr);
    if (remote)
      return row.u32(routeAt.flags, inherited | routeFlags.workload).address(routeAt.via, remote.via).bytes;
    if (this.#nodes.has(cidr)) return row.u32(routeAt.flags, inherited | routeFlags.node).bytes;
    return this.#nets.some((net) => net.cidr === cidr) ? row.u32(routeAt.flags, inherited).bytes : null;
  }

  /** The longest prefix alone is found: it says what all that cover it say. */
  #inherited(cidr: Cidr): number {
    let flags = 0;
    for (const net of this.#nets) {
      if (familyOf(net.cidr) === familyOf(cidr) && cidrContains(net.cidr, cidr)) flags |= net.flags;
    }
    return flags;
  }
}

function routeKey(cidr: Cidr): Uint8Array {
  return new Row(routeKeyBytes).u32(routeKeyAt.prefixLength, mappedLength(cidr)).net(routeKeyAt.address, cidr)
    .bytes;
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((each) => b.has(each));
}
