// SPDX-License-Identifier: Apache-2.0
/**
 * What one family's table should hold, kept up to date from messages: policies and profiles as shared chains, each
 * endpoint's list, the dispatch maps. Memory only; driver.ts commits.
 *
 * A change is rendered when it is asked for (`render`), not when it is heard, so that ten messages about one policy
 * cost one rendering. A policy whose outline changed (which ports, whether it can pass) has its lists rendered too.
 */
import { defaultDataplaneConfig } from '../../contract/config.ts';
import type {
  DataplaneConfig,
  DataplaneMessage,
  Direction,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  ResolvedRule,
  ResolvedTier,
} from '../../contract/dataplane.ts';
import type { BaseHook, Element } from '../../kernel/nft/model.ts';
import type { Family } from '../../lib/address.ts';
import type { IpSetId, KeyPath } from '../../lib/brand.ts';
import { assertNever } from '../../lib/errors.ts';
import { addTo, removeFrom } from '../../lib/sets-by-key.ts';
import type { Chain } from '../../rules/chain.ts';
import { hostPlaces } from '../../rules/host-chains.ts';
import { logPrefix } from '../../rules/log-prefix.ts';
import { chainName } from '../../rules/names.ts';
import {
  allowedChain,
  missingProfile,
  type RuleListChains,
  ruleListChains,
  stageAllowedChain,
} from '../../rules/policy-chains.ts';
import { dispatchMaps, endpointSteps, hookChains, staticChains } from '../../rules/static-chains.ts';
import { listChains, type PolicyInList } from '../../rules/tier-chains.ts';
import type { HostClaims } from '../linux/host-claims.ts';
import { HostRules } from './host-rules.ts';
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

/**
 * Priorities of the hooks: filter, as kube-proxy's and Calico's own (0): users' rules at -1 and +1 stand around it. Hosts'
 * policy stands where iptables' raw (-300) and mangle (-150) tables would, and around the forward hook's.
 */
const hooks: ReadonlyMap<string, BaseHook> = new Map(
  (
    [
      [hookChains.forward, 'forward', 0],
      [hookChains.input, 'input', 0],
      [hookChains.output, 'output', 0],
      [hostPlaces['untracked-in'].base, 'prerouting', -300],
      [hostPlaces['untracked-out'].base, 'output', -300],
      [hostPlaces['pre-dnat'].base, 'prerouting', -150],
      [hostPlaces['forward-in'].base, 'forward', -5],
      [hostPlaces['forward-out'].base, 'forward', 5],
      [hostPlaces.output.base, 'postrouting', -150],
    ] as const
  ).flatMap(([chain, hook, priority]) =>
    chain === null ? [] : [[chain, { type: 'filter', hook, priority, policy: 'accept' }]],
  ),
);

export interface RulesetOptions {
  /** The first letters of every workload's interface on the host. */
  readonly interfacePrefix: string;
}

type Outline = Pick<PolicyInList, 'footprint' | 'commutes' | 'passes' | 'only'>;

export class FamilyRuleset {
  readonly family: Family;
  readonly table: FamilyTable;
  readonly #ipSets: IpSets;
  readonly #options: RulesetOptions;
  readonly #hosts: HostRules;
  #config: DataplaneConfig = defaultDataplaneConfig;
  readonly #policies = new Map<KeyPath, ResolvedPolicy>();
  readonly #profiles = new Map<string, ResolvedProfile>();
  readonly #endpoints = new Map<KeyPath, ResolvedEndpoint>();
  readonly #outlines = new Map<string, Outline>();
  readonly #dirty = new Set<string>();
  /** Owners by the IP set that they read. */
  readonly #readers = new Map<IpSetId, Set<string>>();
  /** Endpoints' owners by the policy in their tiers. */
  readonly #users = new Map<KeyPath, Set<string>>();

  constructor(family: Family, options: RulesetOptions) {
    this.family = family;
    this.#options = options;
    this.#hosts = new HostRules(family, options.interfacePrefix);
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
      case 'host-endpoint-update':
        return this.#setHost(message.id, message.endpoint);
      case 'host-endpoint-remove':
        return this.#setHost(message.id, null);
      case 'config-update':
        this.#config = message.config;
        return this.#dirtyAll();
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
    for (const owner of byKind('policy ')) this.#renderPolicy(owner.slice(7) as KeyPath);
    for (const owner of byKind('profile ')) this.#renderProfile(owner.slice(8));
    for (const owner of byKind('endpoint ')) this.#renderEndpoint(owner.slice(9) as KeyPath);
    for (const owner of byKind('host ')) this.#renderHost(owner.slice(5) as KeyPath);
    if (this.#dirty.has(staticOwner)) this.#renderStatic();
    this.#dirty.clear();
  }

  /** Which interface is which host endpoint's: links and addresses come and go without a message. */
  setClaims(claims: HostClaims): void {
    if (this.#hosts.setClaims(claims)) this.#dirty.add(staticOwner);
  }

  /** Everything is wanted anew, for what was quarantined was wanted as closed. */
  rerenderAll(): void {
    this.#ipSets.wantAll();
    this.#dirtyAll();
  }

  #dirtyAll(): void {
    this.#dirty.add(staticOwner);
    for (const id of this.#hosts.ids()) this.#dirty.add(`host ${id}`);
    for (const id of this.#policies.keys()) this.#dirty.add(`policy ${id}`);
    for (const name of this.#profiles.keys()) this.#dirty.add(`profile ${name}`);
    for (const id of this.#endpoints.keys()) this.#dirty.add(`endpoint ${id}`);
  }

  /** Why packets of this endpoint are dropped although its policy may allow them; null when all of it is in force. */
  closedBecause(id: KeyPath): string | null {
    const endpoint = this.#endpoints.get(id);
    const quarantined = this.table.quarantined();
    if (!endpoint || quarantined.size === 0) return null;
    const policies = policiesOf(endpoint.tiers);
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
    const owner = `endpoint ${id}`;
    this.#replaceUses(owner, this.#endpoints.get(id)?.tiers, endpoint?.tiers);
    this.#set(this.#endpoints, id, endpoint, owner);
  }

  #setHost(id: KeyPath, endpoint: ResolvedHostEndpoint | null): void {
    const owner = `host ${id}`;
    this.#replaceUses(owner, tiersOfHost(this.#hosts.get(id)), tiersOfHost(endpoint));
    const wasEmpty = this.#hosts.isEmpty;
    this.#hosts.set(id, endpoint);
    this.#dirty.add(owner);
    this.#dirty.add(staticOwner);
    if (this.#hosts.isEmpty !== wasEmpty) this.#dirtyAll(); // policies of hosts' stages come and go with hosts
  }

  #replaceUses(
    owner: string,
    before: readonly ResolvedTier[] = [],
    after: readonly ResolvedTier[] = [],
  ): void {
    for (const policy of policiesOf(before)) removeFrom(this.#users, policy, owner);
    for (const policy of policiesOf(after)) addTo(this.#users, policy, owner);
  }

  #markReaders(id: IpSetId): void {
    for (const owner of this.#readers.get(id) ?? []) this.#dirty.add(owner);
  }

  #renderStatic(): void {
    const hasHosts = !this.#hosts.isEmpty;
    const options = { ...this.#options, config: this.#config, hasHosts };
    this.#want(staticOwner, [
      ...staticChains(this.family, options, this.#hosts.inputSteps()),
      ...this.#hosts.sharedChains(this.#config),
    ]);
    for (const [map, elements] of this.#hosts.maps()) {
      if (elements) this.table.wantSet(map, { spec: dispatchSpec, elements });
      else this.table.forgetSet(map);
    }
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
    if (!policy || policy.staged !== undefined || (policy.stage && this.#hosts.isEmpty)) {
      for (const direction of directions) this.#outlines.delete(outlineKey(owner, direction));
      return this.#want(owner, null);
    }
    const lists = this.#ruleLists(owner, id, policy, 'mark', policy);
    this.#want(
      owner,
      lists.flatMap((list) => list.chains),
    );
    if (lists.map((list, i) => this.#outline(owner, directions[i] ?? 'ingress', list)).some(Boolean)) {
      for (const user of this.#users.get(id) ?? []) this.#dirty.add(user);
    }
  }

  #renderProfile(name: string): void {
    const profile = this.#profiles.get(name);
    const owner = `profile ${name}`;
    if (!profile) return this.#want(owner, null);
    const lists = profile.missing
      ? directions.map((direction) => missingProfile(listChainName(owner, direction), `profile ${name}`))
      : this.#ruleLists(owner, name, profile, 'return');
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
    policy?: ResolvedPolicy,
  ): readonly RuleListChains[] {
    return directions.map((direction) =>
      ruleListChains(
        {
          chain: listChainName(owner, direction),
          title,
          logPrefix: logPrefix(this.#config.logPrefix, direction, title, policy),
          allowed: policy?.stage ? stageAllowedChain[policy.stage] : allowedChain[direction],
          onPass,
        },
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
      const steps = endpointSteps(direction, list.first, endpoint.adminUp, this.#config);
      return [{ name, steps }, ...list.chains];
    });
    this.#want(owner, chains);
  }

  #renderHost(id: KeyPath): void {
    const owner = `host ${id}`;
    if (!this.#hosts.get(id)) return this.#want(owner, null);
    this.#want(owner, this.#hosts.endpointChains(id, this.#config, this.#sources()));
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
    for (const set of this.table.unit(owner)?.ipSets ?? []) removeFrom(this.#readers, set, owner);
    const unit = chains ? renderUnit(chains, this.#ipSets) : null;
    const before = this.table.unit(owner)?.unions ?? new Map<string, readonly IpSetId[]>();
    for (const [name, sets] of unit?.unions ?? []) this.#ipSets.useUnion(name, sets);
    for (const name of before.keys()) this.#ipSets.releaseUnion(name);
    for (const set of unit?.ipSets ?? []) addTo(this.#readers, set, owner);
    this.table.setUnit(owner, unit);
  }
}

function policiesOf(tiers: readonly ResolvedTier[]): readonly KeyPath[] {
  return tiers.flatMap((tier) => [...tier.ingress, ...tier.egress]);
}

function tiersOfHost(endpoint: ResolvedHostEndpoint | null | undefined): readonly ResolvedTier[] {
  if (!endpoint) return [];
  const { tiers, forward, untracked, preDnat } = endpoint;
  return [...tiers, ...forward, ...untracked, ...preDnat];
}

function outlineKey(owner: string, direction: Direction): string {
  return `${direction} ${owner}`;
}

function listChainName(owner: string, direction: Direction): string {
  const prefix = `${owner[0] === 'e' ? 'w' : 'p'}${direction[0]}`;
  return chainName(prefix, owner.split(/[ /]/).at(-1) ?? '', [owner, direction]);
}
