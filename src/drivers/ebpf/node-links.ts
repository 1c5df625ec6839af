// SPDX-License-Identifier: Apache-2.0
/**
 * The node's links: whose each is, which programs stand there, and its row in the map `links`.
 *
 * A workload's link has a row, and is open, only while all its policies are loaded and told apart from everyone's else. The network's
 * links have one always, with the host endpoint's policies where one claims the link.
 */
import type { ApplyFailure, ResolvedEndpoint, ResolvedHostEndpoint } from '../../contract/dataplane.ts';
import type { Link } from '../../kernel/rtnetlink/links.ts';
import type { Address, IfName, KeyPath } from '../../lib/brand.ts';
import { parseIfName } from '../../lib/if-name.ts';
import { type HostClaims, hostClaims, noClaims } from '../linux/host-claims.ts';
import type { Interfaces } from '../linux/interfaces.ts';
import { type EndpointPolicies, wishesOfHost, wishesOfWorkload } from './endpoint-policies.ts';
import type { HookKind } from './hooks.ts';
import { linkKey, linkRow } from './links.ts';
import { keyText, type MapRows } from './map-table.ts';

/** Endpoints that must be closed, and why. */
export type Refusals = ReadonlyMap<KeyPath, string>;

export interface ClaimedLink {
  readonly name: string;
  readonly ifIndex: number;
  readonly endpoint: KeyPath;
}

export class NodeLinks {
  readonly #interfaces: Interfaces;
  readonly #interfacePrefix: string;
  readonly #wishes: { readonly workloads: EndpointPolicies; readonly hosts: EndpointPolicies };
  readonly #rows: MapRows;
  readonly #endpoints = new Map<KeyPath, ResolvedEndpoint>();
  readonly #hostEndpoints = new Map<KeyPath, ResolvedHostEndpoint>();

  constructor(
    interfaces: Interfaces,
    interfacePrefix: string,
    wishes: { readonly workloads: EndpointPolicies; readonly hosts: EndpointPolicies },
    rows: MapRows,
  ) {
    this.#interfaces = interfaces;
    this.#interfacePrefix = interfacePrefix;
    this.#wishes = wishes;
    this.#rows = rows;
  }

  setEndpoint(id: KeyPath, endpoint: ResolvedEndpoint | null): void {
    if (endpoint) this.#endpoints.set(id, endpoint);
    else this.#endpoints.delete(id);
    this.#wishes.workloads.set(id, endpoint?.adminUp ? wishesOfWorkload(endpoint) : null);
  }

  setHostEndpoint(id: KeyPath, endpoint: ResolvedHostEndpoint | null): void {
    if (endpoint) this.#hostEndpoints.set(id, endpoint);
    else this.#hostEndpoints.delete(id);
    this.#wishes.hosts.set(id, endpoint ? wishesOfHost(endpoint) : null);
  }

  endpoints(): ReadonlyMap<KeyPath, ResolvedEndpoint> {
    return this.#endpoints;
  }

  /** The host's own links with their addresses. */
  own(): readonly (readonly [IfName, readonly Address[]])[] {
    return [...this.#interfaces.addresses()].filter(([name]) => !name.startsWith(this.#interfacePrefix));
  }

  /** Endpoints of which a policy could not be loaded, or that share a link: nobody could tell whose policy its packets must meet. */
  refusals(): Map<KeyPath, string> {
    const { workloads, hosts } = this.#wishes;
    return new Map([...workloads.refusals(), ...hosts.refusals(), ...this.#sharers()]);
  }

  /** Which programs belong at which link. */
  hooks(refused: Refusals): ReadonlyMap<string, HookKind> {
    const hooks = new Map<string, HookKind>();
    for (const link of this.#interfaces.links()) {
      if (this.#isWorkloads(link)) hooks.set(link.name, 'closed');
      else if (this.#isNetworks(link)) hooks.set(link.name, 'network');
    }
    for (const [id, { ifName }] of this.#endpoints) {
      if (hooks.has(ifName) && this.#wishes.workloads.has(id) && !refused.has(id))
        hooks.set(ifName, 'workload');
    }
    return hooks;
  }

  /** Rows as they shall be. */
  want(refused: Refusals): void {
    const addresses = this.#interfaces.addresses();
    const claims = this.#claims();
    const gone = new Set(this.#rows.desired().keys());
    const set = (ifIndex: number, row: Uint8Array) => {
      const key = keyText(linkKey(ifIndex));
      gone.delete(key);
      this.#rows.setDesired(key, row);
    };
    const byName = new Map(this.#interfaces.links().map((link) => [link.name, link]));
    for (const [id, { ifName }] of this.#endpoints) {
      const link = byName.get(ifName);
      if (!link || refused.has(id) || !this.#wishes.workloads.has(id)) continue;
      const policies = this.#wishes.workloads.placed(id);
      set(link.index, linkRow({ kind: 'workload', endpoint: id, policies, own: [], mtu: link.mtu }));
    }
    for (const link of byName.values()) {
      if (this.#isWorkloads(link) || !this.#isNetworks(link)) continue;
      const id = claims.byInterface.get(parseIfName(link.name)) ?? claims.others;
      const policies = id === null ? [] : this.#wishes.hosts.placed(id);
      const own = addresses.get(parseIfName(link.name)) ?? [];
      set(link.index, linkRow({ kind: 'network', endpoint: id, policies, own, mtu: link.mtu }));
    }
    for (const key of gone) this.#rows.deleteDesired(key);
  }

  /** Rows of links in the words of whom they are for; those of the network's links stay as they are. */
  inWords(all: readonly ApplyFailure[]): {
    readonly failed: readonly ApplyFailure[];
    readonly unplaced: ReadonlyMap<KeyPath, string>;
  } {
    const unplaced = new Map<KeyPath, string>();
    if (all.length === 0) return { failed: [], unplaced };
    const owners = new Map([...this.#endpoints].map(([id, { ifName }]) => [this.#linkKeyOf(ifName), id]));
    const failed = all.filter(({ key, message }) => {
      const id = owners.get(key);
      if (id !== undefined) unplaced.set(id, message);
      return id === undefined;
    });
    return { failed, unplaced };
  }

  /** Links that a host endpoint claims and no program of ours can stand at. */
  unpoliced(): ApplyFailure[] {
    if (this.#hostEndpoints.size === 0) return [];
    const claims = this.#claims();
    const bare = this.#interfaces.links().filter(({ name, mac, up }) => name !== 'lo' && mac === null && up);
    return bare
      .filter(({ name }) => claims.others !== null || claims.byInterface.has(parseIfName(name)))
      .map(({ name }) => ({
        table: 'eBPF host endpoints',
        key: name,
        message: 'got a link without Ethernet header, want one with: its packets meet no policy here',
      }));
  }

  /** The network's links that are some host endpoint's. */
  *claimed(): Generator<ClaimedLink> {
    const claims = this.#claims();
    for (const link of this.#interfaces.links()) {
      if (this.#isWorkloads(link) || !this.#isNetworks(link)) continue;
      const endpoint = claims.byInterface.get(parseIfName(link.name)) ?? claims.others;
      if (endpoint !== null) yield { name: link.name, ifIndex: link.index, endpoint };
    }
  }

  *#sharers(): Generator<readonly [KeyPath, string]> {
    const first = new Map<IfName, KeyPath>();
    for (const [id, { ifName }] of this.#endpoints) {
      const other = first.get(ifName);
      if (other === undefined) first.set(ifName, id);
      else yield* this.#bothRefused(ifName, other, id);
    }
  }

  *#bothRefused(ifName: IfName, one: KeyPath, other: KeyPath): Generator<readonly [KeyPath, string]> {
    const why = (id: KeyPath) => `got link ${ifName}, which is ${id}'s too, want a link for each endpoint`;
    yield [one, why(other)];
    yield [other, why(one)];
  }

  #isWorkloads({ name }: Link): boolean {
    return name.startsWith(this.#interfacePrefix);
  }

  /** The loopback is no network; what is in a bridge comes in by the bridge. */
  #isNetworks({ name, master, mac }: Link): boolean {
    return name !== 'lo' && master === null && mac !== null;
  }

  #linkKeyOf(ifName: IfName): string {
    return keyText(linkKey(this.#interfaces.indexOf(ifName) ?? 0));
  }

  #claims(): HostClaims {
    if (this.#hostEndpoints.size === 0) return noClaims;
    return hostClaims(this.#hostEndpoints, this.#interfaces.addresses(), this.#interfacePrefix);
  }
}
