// SPDX-License-Identifier: Apache-2.0
/**
 * One family's rules of host endpoints: a chain for each endpoint and place where it has a say, the places' base chains,
 * and the maps that lead from interfaces to endpoints.
 */
import type { DataplaneConfig, ResolvedHostEndpoint } from '../../contract/dataplane.ts';
import type { Element } from '../../kernel/nft/model.ts';
import type { Family } from '../../lib/address.ts';
import type { KeyPath } from '../../lib/brand.ts';
import type { Chain, Step } from '../../rules/chain.ts';
import {
  allHostPlaces,
  type HostPlace,
  hasSay,
  hostEndpointSteps,
  hostPlaceSteps,
  hostPlaces,
  sharedHostChains,
  tiersAt,
} from '../../rules/host-chains.ts';
import { chainName } from '../../rules/names.ts';
import { type ListSources, listChains } from '../../rules/tier-chains.ts';
import { type HostClaims, noClaims, sameClaims } from '../linux/host-claims.ts';

export class HostRules {
  readonly #family: Family;
  readonly #interfacePrefix: string;
  readonly #endpoints = new Map<KeyPath, ResolvedHostEndpoint>();
  #claims: HostClaims = noClaims;

  constructor(family: Family, interfacePrefix: string) {
    this.#family = family;
    this.#interfacePrefix = interfacePrefix;
  }

  set(id: KeyPath, endpoint: ResolvedHostEndpoint | null): void {
    if (endpoint) this.#endpoints.set(id, endpoint);
    else this.#endpoints.delete(id);
  }

  get(id: KeyPath): ResolvedHostEndpoint | undefined {
    return this.#endpoints.get(id);
  }

  ids(): Iterable<KeyPath> {
    return this.#endpoints.keys();
  }

  /** @returns whether that is news. */
  setClaims(claims: HostClaims): boolean {
    if (sameClaims(this.#claims, claims)) return false;
    this.#claims = claims;
    return true;
  }

  get isEmpty(): boolean {
    return this.#endpoints.size === 0;
  }

  /** What an endpoint wants: a chain for each place where it has a say, and its lists. */
  endpointChains(id: KeyPath, config: DataplaneConfig, sources: ListSources): readonly Chain[] {
    const endpoint = this.#endpoints.get(id);
    const places = endpoint ? allHostPlaces.filter((place) => hasSay(endpoint, place)) : [];
    return places.flatMap((place) => (endpoint ? chainsAt(id, endpoint, place, config, sources) : []));
  }

  /** What stands in the kernel whichever packet comes: nothing at all while there is no host endpoint. */
  sharedChains(config: DataplaneConfig): readonly Chain[] {
    if (this.isEmpty) return [];
    const bases = this.#places().flatMap((place) => {
      const { base } = hostPlaces[place];
      return base === null ? [] : [{ name: base, steps: this.#steps(place) }];
    });
    return [...sharedHostChains(this.#family, config), ...bases];
  }

  /** Of packets for the host that come from no workload; stands in the chain that all input shares. */
  inputSteps(): readonly Step[] {
    return this.isEmpty ? [] : this.#steps('input');
  }

  /** Elements of each place's map; null: the place has none. */
  maps(): ReadonlyMap<string, readonly Element[] | null> {
    const inUse = new Set(this.#places());
    return new Map(
      allHostPlaces.map((place) => [hostPlaces[place].map, inUse.has(place) ? this.#elements(place) : null]),
    );
  }

  #places(): readonly HostPlace[] {
    const endpoints = [...this.#endpoints.values()];
    return allHostPlaces.filter((place) => endpoints.some((endpoint) => hasSay(endpoint, place)));
  }

  #steps(place: HostPlace): readonly Step[] {
    const { others } = this.#claims;
    const endpoint = others === null ? undefined : this.#endpoints.get(others);
    const chain =
      others !== null && endpoint && hasSay(endpoint, place) ? hostChainName(others, place) : null;
    return hostPlaceSteps(place, this.#family, { interfacePrefix: this.#interfacePrefix, others: chain });
  }

  /** An interface whose endpoint has no say in a place is done with it: the `*` endpoint must not speak for it. */
  #elements(place: HostPlace): Element[] {
    return [...this.#claims.byInterface].flatMap(([ifName, id]) => {
      const endpoint = this.#endpoints.get(id);
      if (!endpoint) return [];
      const verdict = hasSay(endpoint, place)
        ? ({ kind: 'goto', chain: hostChainName(id, place) } as const)
        : ({ kind: 'accept' } as const);
      return [{ key: ifName, verdict }];
    });
  }
}

function chainsAt(
  id: KeyPath,
  endpoint: ResolvedHostEndpoint,
  place: HostPlace,
  config: DataplaneConfig,
  sources: ListSources,
): readonly Chain[] {
  const { stage, direction } = hostPlaces[place];
  const isNormal = stage === 'tiers';
  const policed = { tiers: tiersAt(endpoint, place), profiles: isNormal ? endpoint.profiles : [] };
  const list = listChains(policed, direction, sources, isNormal ? 'drop' : 'accept');
  return [
    { name: hostChainName(id, place), steps: hostEndpointSteps(place, list.first, config) },
    ...list.chains,
  ];
}

function hostChainName(id: KeyPath, place: HostPlace): string {
  return chainName('h', id.split('/').at(-1) ?? '', [id, place]);
}
