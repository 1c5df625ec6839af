// SPDX-License-Identifier: Apache-2.0
/**
 * What one family's table should hold, kept up to date from messages: policies and profiles as shared chains, each
 * endpoint's list, the dispatch maps. Memory only; driver.ts commits.
 *
 * A change is rendered when it is asked for (`render`), not when it is heard, so that ten messages about one policy
 * cost one rendering. A policy whose outline changed (which ports, whether it can pass) has its lists rendered too.
 */
import type {
  DataplaneMessage,
  Direction,
  ResolvedEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  ResolvedRule,
} from '../../contract/dataplane.ts';
import type { BaseHook, Element } from '../../kernel/nft/model.ts';
import type { Family } from '../../lib/address.ts';
import type { IpSetId, KeyPath } from '../../lib/brand.ts';
import { assertNever } from '../../lib/errors.ts';
import type { Chain } from '../../rules/chain.ts';
import { chainName } from '../../rules/names.ts';
import { type RuleListChains, ruleListChains } from '../../rules/policy-chains.ts';
import {
  dispatchMaps,
  endpointSteps,
  hookChains,
  type StaticOptions,
  staticChains,
} from '../../rules/static-chains.ts';
import { listChains, type PolicyInList } from '../../rules/tier-chains.ts';
import { IpSets } from './ip-sets.ts';
import { dispatchSpec, renderUnit } from './render.ts';
import { FamilyTable } from './tables.ts';

export const tableName = 'muslin';
const directions: readonly Direction[] = ['ingress', 'egress'];
const dispatchOf: { readonly [D in Direction]: string } = {
  egress: dispatchMaps.from,
  ingress: dispatchMaps.to,
};
const staticOwner = 'static';

/** Priorities of the hooks: filter, as kube-proxy's and Calico's own (0): users' rules at -1 and +1 stand around it. */
const hooks: ReadonlyMap<string, BaseHook> = new Map(
  (['forward', 'input', 'output'] as const).map((hook) => [
    hookChains[hook],
    { type: 'filter', hook, priority: 0, policy: 'accept' },
  ]),
);

type Outline = Pick<PolicyInList, 'footprint' | 'commutes' | 'passes' | 'only'>;

export class FamilyRuleset {
  readonly family: Family;
  readonly table: FamilyTable;
  readonly #ipSets: IpSets;
  readonly #options: StaticOptions;
  readonly #policies = new Map<KeyPath, ResolvedPolicy>();
  readonly #profiles = new Map<string, ResolvedProfile>();
  readonly #endpoints = new Map<KeyPath, ResolvedEndpoint>();
  readonly #outlines = new Map<string, Outline>();
  readonly #dirty = new Set<string>();
  /** Owners by the IP set that they read. */
  readonly #readers = new Map<IpSetId, Set<string>>();
  /** Endpoints by the policy in their tiers. */
  readonly #users = new Map<KeyPath, Set<KeyPath>>();

  constructor(family: Family, options: StaticOptions) {
    this.family = family;
    this.#options = options;
    this.table = new FamilyTable({ family, name: tableName }, hooks);
    this.#ipSets = new IpSets(family, this.table);
    this.#dirty.add(staticOwner);
  }

  onMessage(message: DataplaneMessage): void {
    switch (message.kind) {
      case 'ipset-update':
        if (this.#ipSets.replace(message.id, message.set)) this.#markReaders(message.id);
        return;
      case 'ipset-delta':
        if (this.#ipSets.change(message.id, message.add, message.remove)) this.#markReaders(message.id);
        return;
      case 'ipset-remove':
        return this.#ipSets.remove(message.id);
      case 'policy-update':
        return this.#set(this.#policies, message.id, message.policy, `policy ${message.id}`);
      case 'policy-remove':
        return this.#set(this.#policies, message.id, null, `policy ${message.id}`);
      case 'profile-update':
        return this.#set(this.#profiles, message.name, message.profile, `profile ${message.name}`);
      case 'profile-remove':
        return this.#set(this.#profiles, message.name, null, `profile ${message.name}`);
      case 'endpoint-update':
        return this.#setEndpoint(message.id, message.endpoint);
      case 'endpoint-remove':
        return this.#setEndpoint(message.id, null);
      case 'config-update':
      case 'host-endpoint-update':
      case 'host-endpoint-remove':
      case 'route-update':
      case 'route-remove':
      case 'in-sync':
        return;
      default:
        return assertNever(message);
    }
  }

  /** Brings what is wanted of the table up to date. Policies first: lists are rendered from their outlines. */
  render(): void {
    const byKind = (kind: string) => [...this.#dirty].filter((owner) => owner.startsWith(kind));
    if (this.#dirty.has(staticOwner)) this.#renderStatic();
    for (const owner of byKind('policy ')) this.#renderPolicy(owner.slice(7) as KeyPath);
    for (const owner of byKind('profile ')) this.#renderProfile(owner.slice(8));
    for (const owner of byKind('endpoint ')) this.#renderEndpoint(owner.slice(9) as KeyPath);
    this.#dirty.clear();
  }

  /** Everything is wanted anew, for what was quarantined was wanted as closed. */
  rerenderAll(): void {
    this.#ipSets.wantAll();
    this.#dirty.add(staticOwner);
    for (const id of this.#policies.keys()) this.#dirty.add(`policy ${id}`);
    for (const name of this.#profiles.keys()) this.#dirty.add(`profile ${name}`);
    for (const id of this.#endpoints.keys()) this.#dirty.add(`endpoint ${id}`);
  }

  /** Why packets of this endpoint are dropped although its policy may allow them; null when all of it is in force. */
  closedBecause(id: KeyPath): string | null {
    const endpoint = this.#endpoints.get(id);
    const quarantined = this.table.quarantined();
    if (!endpoint || quarantined.size === 0) return null;
    const policies = endpoint.tiers.flatMap((tier) => [...tier.ingress, ...tier.egress]);
    const profiles = endpoint.profiles.map((name) => `profile ${name}`);
    for (const owner of [
      staticOwner,
      `endpoint ${id}`,
      ...policies.map((policy) => `policy ${policy}`),
      ...profiles,
    ]) {
      for (const object of this.table.reaches(owner)) {
        const reason = quarantined.get(object);
        if (reason !== undefined) return `${owner}: ${reason}`;
      }
      for (const set of this.table.unit(owner)?.ipSets ?? []) {
        const reason = quarantined.get(this.#ipSets.nameOf(set));
        if (reason !== undefined) return `${owner}: IP set ${set}: ${reason}`;
      }
    }
    return null;
  }

  #set<K, V>(map: Map<K, V>, key: K, value: V | null, owner: string): void {
    if (value === null) map.delete(key);
    else map.set(key, value);
    this.#dirty.add(owner);
  }

  #setEndpoint(id: KeyPath, endpoint: ResolvedEndpoint | null): void {
    for (const policy of policiesOf(this.#endpoints.get(id))) this.#users.get(policy)?.delete(id);
    for (const policy of policiesOf(endpoint ?? undefined)) addTo(this.#users, policy, id);
    this.#set(this.#endpoints, id, endpoint, `endpoint ${id}`);
  }

  #markReaders(id: IpSetId): void {
    for (const owner of this.#readers.get(id) ?? []) this.#dirty.add(owner);
  }

  #renderStatic(): void {
    this.#want(staticOwner, staticChains(this.family, this.#options));
    for (const map of Object.values(dispatchMaps)) {
      this.table.wantSet(map, {
        spec: dispatchSpec,
        elements: [...this.table.members(map).desired().values()],
      });
    }
  }

  #renderPolicy(id: KeyPath): void {
    const policy = this.#policies.get(id);
    const owner = `policy ${id}`;
    if (!policy) {
      for (const direction of directions) this.#outlines.delete(outlineKey(owner, direction));
      return this.#want(owner, null);
    }
    const lists = this.#ruleLists(owner, id, policy, 'mark');
    this.#want(
      owner,
      lists.flatMap((list) => list.chains),
    );
    if (lists.map((list, i) => this.#outline(owner, directions[i] ?? 'ingress', list)).some(Boolean)) {
      for (const endpoint of this.#users.get(id) ?? []) this.#dirty.add(`endpoint ${endpoint}`);
    }
  }

  #renderProfile(name: string): void {
    const profile = this.#profiles.get(name);
    const owner = `profile ${name}`;
    if (!profile) return this.#want(owner, null);
    const lists = this.#ruleLists(owner, name, profile, 'return');
    this.#want(
      owner,
      lists.flatMap((list) => list.chains),
    );
  }

  #ruleLists(
    owner: string,
    title: string,
    lists: { readonly [D in Direction]: readonly ResolvedRule[] },
    onPass: 'mark' | 'return',
  ): readonly RuleListChains[] {
    return directions.map((direction) =>
      ruleListChains(
        { chain: listChainName(owner, direction), title, onPass },
        lists[direction],
        direction,
        this.family,
      ),
    );
  }

  /** @returns whether lists that hold the policy must be rendered anew. */
  #outline(owner: string, direction: Direction, list: RuleListChains): boolean {
    const { footprint, commutes, passes, only } = list;
    const key = outlineKey(owner, direction);
    const before = JSON.stringify(this.#outlines.get(key));
    this.#outlines.set(key, { footprint, commutes, passes, only });
    return before !== JSON.stringify(this.#outlines.get(key));
  }

  #renderEndpoint(id: KeyPath): void {
    const endpoint = this.#endpoints.get(id);
    const owner = `endpoint ${id}`;
    if (!endpoint) {
      for (const direction of directions) this.#dispatch(owner, direction, null);
      return this.#want(owner, null);
    }
    const chains = directions.flatMap((direction) => {
      const list = listChains(endpoint, direction, this.#sources());
      const name = listChainName(owner, direction);
      this.#dispatch(owner, direction, endpoint.ifName);
      return [{ name, steps: endpointSteps(direction, list.first, endpoint.adminUp) }, ...list.chains];
    });
    this.#want(owner, chains);
  }

  /** One member of the dispatch map leads packets of the endpoint's interface to the endpoint's chain. */
  #dispatch(owner: string, direction: Direction, ifName: string | null): void {
    const members = this.table.members(dispatchOf[direction]);
    const chain = listChainName(owner, direction);
    for (const element of this.#dispatched(members.desired().values(), chain)) {
      if (element.key !== ifName) members.deleteDesired(element.key);
    }
    if (ifName !== null) members.setDesired(ifName, { key: ifName, verdict: { kind: 'goto', chain } });
  }

  #dispatched(elements: Iterable<Element>, chain: string): Element[] {
    return [...elements].filter(({ verdict }) => verdict && 'chain' in verdict && verdict.chain === chain);
  }

  #sources(): Parameters<typeof listChains>[2] {
    return {
      policy: (id, direction) => {
        const owner = `policy ${id}`;
        const outline = this.#outlines.get(outlineKey(owner, direction));
        if (!outline) throw new TypeError(`policy ${id} is referred to before it was sent`);
        return { id, chain: listChainName(owner, direction), ...outline };
      },
      profileChain: (name, direction) => listChainName(`profile ${name}`, direction),
    };
  }

  #want(owner: string, chains: readonly Chain[] | null): void {
    for (const set of this.table.unit(owner)?.ipSets ?? []) this.#readers.get(set)?.delete(owner);
    const unit = chains ? renderUnit(chains, this.#ipSets) : null;
    const before = this.table.unit(owner)?.unions ?? new Map<string, readonly IpSetId[]>();
    for (const [name, sets] of unit?.unions ?? []) this.#ipSets.useUnion(name, sets);
    for (const name of before.keys()) this.#ipSets.releaseUnion(name);
    for (const set of unit?.ipSets ?? []) addTo(this.#readers, set, owner);
    this.table.setUnit(owner, unit);
  }
}

function policiesOf(endpoint: ResolvedEndpoint | undefined): readonly KeyPath[] {
  return endpoint?.tiers.flatMap((tier) => [...tier.ingress, ...tier.egress]) ?? [];
}

function addTo<K, V>(index: Map<K, Set<V>>, key: K, value: V): void {
  const found = index.get(key);
  if (found) found.add(value);
  else index.set(key, new Set([value]));
}

function outlineKey(owner: string, direction: Direction): string {
  return `${direction} ${owner}`;
}

function listChainName(owner: string, direction: Direction): string {
  const prefix = `${owner[0] === 'e' ? 'w' : 'p'}${direction[0]}`;
  return chainName(prefix, owner.split(/[ /]/).at(-1) ?? '', [owner, direction]);
}
