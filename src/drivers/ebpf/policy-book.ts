// SPDX-License-Identifier: Apache-2.0
/**
 * Policies, profiles and settings as they were sent, and the chains that a list of them is.
 *
 * What stands before an endpoint's policy is of its place: workloads must not send the fabric's own packets; at a host's link
 * neighbour discovery passes, and so do failsafe ports. Which packets are established or invalid is the flows' business.
 */
import { defaultDataplaneConfig } from '../../contract/config.ts';
import type {
  DataplaneConfig,
  DataplaneMessage,
  Direction,
  ResolvedEndpoint,
  ResolvedPolicy,
  ResolvedProfile,
  ResolvedTier,
} from '../../contract/dataplane.ts';
import type { Family } from '../../lib/address.ts';
import type { KeyPath } from '../../lib/brand.ts';
import { NotFoundError } from '../../lib/errors.ts';
import type { Chain, Step } from '../../rules/chain.ts';
import { type HostPlace, hostEndpointSteps, sharedHostChains } from '../../rules/host-chains.ts';
import { logPrefix } from '../../rules/log-prefix.ts';
import { mergeNone } from '../../rules/merge.ts';
import { chainName } from '../../rules/names.ts';
import {
  allowedChain,
  missingProfile,
  type RuleListChains,
  ruleListChains,
  stageAllowedChain,
} from '../../rules/policy-chains.ts';
import { endpointSteps, neighbourChains, neighbourDiscovery } from '../../rules/static-chains.ts';
import { listChains } from '../../rules/tier-chains.ts';
import type { Point } from './compile.ts';

/** What one stage of one endpoint enforces. */
export interface PolicyKey {
  readonly list: Pick<ResolvedEndpoint, 'tiers' | 'profiles'>;
  readonly family: Family;
  readonly point: Point;
  readonly direction: Direction;
}

const hostPlaceOf: {
  readonly [P in Exclude<Point, 'workload'>]: { readonly [D in Direction]: HostPlace };
} = {
  normal: { ingress: 'input', egress: 'output' },
  untracked: { ingress: 'untracked-in', egress: 'untracked-out' },
  'pre-dnat': { ingress: 'pre-dnat', egress: 'pre-dnat' },
  forward: { ingress: 'forward-in', egress: 'forward-out' },
};

export class PolicyBook {
  #config: DataplaneConfig = defaultDataplaneConfig;
  readonly #policies = new Map<KeyPath, ResolvedPolicy>();
  readonly #profiles = new Map<string, ResolvedProfile>();
  readonly #rules = new Map<string, RuleListChains>();

  /** @returns the owner (`policy ID`, `profile NAME`) whose lists mean something else now; `all`: every one; null: none. */
  onMessage(message: DataplaneMessage): string | null {
    switch (message.kind) {
      case 'policy-update':
        this.#policies.set(message.id, message.policy);
        return this.#forget(`policy ${message.id}`);
      case 'policy-remove':
        this.#policies.delete(message.id);
        return this.#forget(`policy ${message.id}`);
      case 'profile-update':
        this.#profiles.set(message.name, message.profile);
        return this.#forget(`profile ${message.name}`);
      case 'profile-remove':
        this.#profiles.delete(message.name);
        return this.#forget(`profile ${message.name}`);
      case 'config-update':
        this.#config = message.config;
        this.#rules.clear();
        return 'all';
      default:
        return null;
    }
  }

  /** @throws {NotFoundError} for a policy that was not sent. */
  chainsOf(key: PolicyKey): { readonly steps: readonly Step[]; readonly chains: readonly Chain[] } {
    const { direction, family } = key;
    const list = listAt(key);
    const held: Chain[] = [];
    const keep = (rules: RuleListChains): RuleListChains => {
      for (const chain of rules.chains) held.push(chain);
      return rules;
    };
    const { first, chains } = listChains(
      list,
      direction,
      {
        policy: (id) => ({
          id,
          chain: ruleChain(`policy ${id}`, direction),
          ...keep(this.#policyRules(id, direction, family)),
        }),
        profileChain: (name) => {
          keep(this.#profileRules(name, direction, family));
          return ruleChain(`profile ${name}`, direction);
        },
      },
      hasEnd(key) ? 'drop' : 'accept',
      mergeNone,
    );
    return { steps: this.#stepsBefore(key, first), chains: [...chains, ...held, ...this.#sharedChains(key)] };
  }

  #stepsBefore({ point, direction, family }: PolicyKey, first: string): readonly Step[] {
    const config = { ...this.#config, dropInvalid: false };
    if (point === 'workload') return endpointSteps(direction, first, true, config);
    const neighbours = point === 'forward' ? [] : neighbourDiscovery(family, []);
    return [...neighbours, ...hostEndpointSteps(hostPlaceOf[point][direction], first, config)];
  }

  #sharedChains({ point, family }: PolicyKey): readonly Chain[] {
    if (point === 'workload') return [];
    return [...neighbourChains(family), ...sharedHostChains(family, this.#config)];
  }

  #policyRules(id: KeyPath, direction: Direction, family: Family): RuleListChains {
    const policy = this.#policies.get(id);
    if (!policy)
      throw new NotFoundError(`cannot compile policy ${id}: it is named by an endpoint, but was not sent`);
    const { stage } = policy;
    return this.#remember(`policy ${id}`, direction, family, (chain) =>
      ruleListChains(
        {
          chain,
          title: id,
          logPrefix: logPrefix(this.#config.logPrefix, direction, id, policy),
          allowed: stage ? stageAllowedChain[stage] : allowedChain[direction],
          onPass: 'mark',
        },
        policy[direction],
        direction,
        family,
        mergeNone,
      ),
    );
  }

  /** What was not sent is missing, and so is closed. */
  #profileRules(name: string, direction: Direction, family: Family): RuleListChains {
    const profile = this.#profiles.get(name);
    return this.#remember(`profile ${name}`, direction, family, (chain) =>
      !profile || profile.missing
        ? missingProfile(chain, `Profile/${name}`)
        : ruleListChains(
            {
              chain,
              title: `Profile/${name}`,
              logPrefix: logPrefix(this.#config.logPrefix, direction, name),
              allowed: allowedChain[direction],
              onPass: 'return',
            },
            profile[direction],
            direction,
            family,
            mergeNone,
          ),
    );
  }

  #remember(
    owner: string,
    direction: Direction,
    family: Family,
    make: (chain: string) => RuleListChains,
  ): RuleListChains {
    const key = rulesKey(owner, direction, family);
    const rules = this.#rules.get(key) ?? make(ruleChain(owner, direction));
    this.#rules.set(key, rules);
    return rules;
  }

  #forget(owner: string): string {
    for (const direction of ['ingress', 'egress'] as const)
      for (const family of [4, 6] as const) this.#rules.delete(rulesKey(owner, direction, family));
    return owner;
  }
}

/** Owners of the rules in a list, as `onMessage` names them. */
export function ownersOf(key: PolicyKey): readonly string[] {
  const { tiers, profiles } = listAt(key);
  return [
    ...tiers.flatMap((tier) => tier[key.direction].map((id) => `policy ${id}`)),
    ...profiles.map((name) => `profile ${name}`),
  ];
}

interface KnownTexts {
  readonly profiles: readonly string[];
  readonly texts: Map<string, string>;
}

/** By the tiers of the list: an endpoint's stay one object while they stay the same, and may be long. */
const knownTexts = new WeakMap<readonly ResolvedTier[], KnownTexts>();

/** Equal for keys that mean the same whatever is in the policies. */
export function keyText(key: PolicyKey): string {
  const { tiers, profiles } = key.list;
  const before = knownTexts.get(tiers);
  const known = before?.profiles === profiles ? before : { profiles, texts: new Map<string, string>() };
  knownTexts.set(tiers, known);
  const place = `${key.family} ${key.point} ${key.direction}`;
  const text = known.texts.get(place) ?? textOf(key);
  known.texts.set(place, text);
  return text;
}

function textOf(key: PolicyKey): string {
  const { family, point, direction } = key;
  const { tiers, profiles } = listAt(key);
  const lists = tiers
    .filter((tier) => tier[direction].length > 0)
    .map((tier) => [tier.name, tier.defaultAction, tier[direction]]);
  return JSON.stringify([family, point, direction, lists, profiles]);
}

/** What of a list counts in its place: profiles stand behind a host's own traffic alone. */
function listAt(key: PolicyKey): PolicyKey['list'] {
  const { tiers, profiles } = key.list;
  return { tiers: isEarly(key) ? tiers.map(passing) : tiers, profiles: hasEnd(key) ? profiles : [] };
}

/** Before connection tracking and before destination NAT the end of a tier never drops. */
function isEarly({ point }: PolicyKey): boolean {
  return point === 'untracked' || point === 'pre-dnat';
}

function passing(tier: ResolvedTier): ResolvedTier {
  return { ...tier, defaultAction: 'pass' };
}

/** Whether what nothing decided is dropped. */
function hasEnd({ point }: PolicyKey): boolean {
  return point === 'workload' || point === 'normal';
}

function rulesKey(owner: string, direction: Direction, family: Family): string {
  return `${direction} ${family} ${owner}`;
}

function ruleChain(owner: string, direction: Direction): string {
  return chainName(`p${direction[0]}`, owner.split(/[ /]/).at(-1) ?? '', [owner, direction]);
}
