// SPDX-License-Identifier: Apache-2.0
/** Which policies an endpoint needs, stage by stage, and whether all of them are loaded. */
import type { ResolvedEndpoint, ResolvedHostEndpoint } from '../../contract/dataplane.ts';
import type { KeyPath } from '../../lib/brand.ts';
import { type HostPlace, hasSay, hostPlaces, tiersAt } from '../../rules/host-chains.ts';
import type { LinkStage } from './layout.ts';
import type { LinkPolicy } from './links.ts';
import type { PolicyPrograms, WantedPolicy } from './policies.ts';
import type { PolicyKey } from './policy-book.ts';

export interface PolicyWish {
  readonly stage: LinkStage;
  readonly key: PolicyKey;
}

const families = [4, 6] as const;
/** The last of `programs`: no policy is ever put there, so what is led there is dropped. */
const emptyPlace = 65_535;

interface Held {
  readonly stage: LinkStage;
  readonly policy: WantedPolicy;
}

export class EndpointPolicies {
  readonly #policies: PolicyPrograms;
  readonly #held = new Map<KeyPath, readonly Held[]>();

  constructor(policies: PolicyPrograms) {
    this.#policies = policies;
  }

  /** Null: the endpoint went, or is down. What both the old and the new want is not touched. */
  set(id: KeyPath, wishes: readonly PolicyWish[] | null): void {
    const before = this.#held.get(id) ?? [];
    const held = wishes?.map(({ stage, key }) => ({ stage, policy: this.#policies.want(key) }));
    if (held) this.#held.set(id, held);
    else this.#held.delete(id);
    for (const { policy } of before) this.#policies.unwant(policy);
  }

  has(id: KeyPath): boolean {
    return this.#held.has(id);
  }

  /** By stage and family; as of the last sync. */
  policies(id: KeyPath): readonly Held[] {
    return this.#held.get(id) ?? [];
  }

  /** Endpoints of which a policy could not be loaded, and why. */
  *refusals(): Generator<readonly [KeyPath, string]> {
    for (const [id, held] of this.#held) {
      for (const { policy } of held) {
        if (policy.state.kind === 'refused') yield [id, policy.state.reason];
      }
    }
  }

  /** Where a policy could not be loaded stands a place that drops. */
  placed(id: KeyPath): readonly LinkPolicy[] {
    return this.policies(id).map(({ stage, policy: { key, state } }) => ({
      family: key.family,
      stage,
      index: state.kind === 'loaded' ? state.index : emptyPlace,
    }));
  }
}

export function wishesOfWorkload({ tiers, profiles }: ResolvedEndpoint): readonly PolicyWish[] {
  return families.flatMap((family) =>
    (['egress', 'ingress'] as const).map((direction) => ({
      stage: direction,
      key: { list: { tiers, profiles }, family, point: 'workload' as const, direction },
    })),
  );
}

/** What a host endpoint's policies are called at its link, in each place. */
const stages: {
  readonly [P in HostPlace]: Pick<PolicyKey, 'point' | 'direction'> & { readonly stage: LinkStage };
} = {
  'untracked-in': { stage: 'untrackedIn', point: 'untracked', direction: 'ingress' },
  'untracked-out': { stage: 'untrackedOut', point: 'untracked', direction: 'egress' },
  'pre-dnat': { stage: 'preDnat', point: 'pre-dnat', direction: 'ingress' },
  input: { stage: 'ingress', point: 'normal', direction: 'ingress' },
  output: { stage: 'egress', point: 'normal', direction: 'egress' },
  'forward-in': { stage: 'forwardIn', point: 'forward', direction: 'ingress' },
  'forward-out': { stage: 'forwardOut', point: 'forward', direction: 'egress' },
};

export function wishesOfHost(endpoint: ResolvedHostEndpoint): readonly PolicyWish[] {
  const places = (Object.keys(hostPlaces) as HostPlace[]).filter((place) => hasSay(endpoint, place));
  return families.flatMap((family) =>
    places.map((place) => {
      const { stage, point, direction } = stages[place];
      const profiles = point === 'normal' ? endpoint.profiles : [];
      return {
        stage,
        key: { list: { tiers: tiersAt(endpoint, place), profiles }, family, point, direction },
      };
    }),
  );
}
