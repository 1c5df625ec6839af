// SPDX-License-Identifier: Apache-2.0
/**
 * The chains of host endpoints: where a host's own traffic and what it forwards meet policy, and in which order.
 *
 *     untracked-in  (before connection tracking)   pre-dnat  (before destination NAT)
 *     input         (normal, ends at the host)     forward-in, then workloads' policy, then forward-out
 *     untracked-out (before connection tracking)   output  (normal, starts at the host; past all NAT)
 *
 * Each place is a base chain of its own, so that accept there means: go on to the next place. A place is there only while
 * a host endpoint has a say in it. Packets find their endpoint by interface; what no endpoint claims by name or address is
 * the `*` endpoint's, save workloads' interfaces and the loopback, which is no network.
 *
 * @see Calico documentation, "Apply policy to forwarded traffic", "Enable extreme high-connection workloads", "Policy for
 * traffic before DNAT"; felix/rules/static.go for the hooks
 */
import type {
  DataplaneConfig,
  Direction,
  FailsafePort,
  ResolvedHostEndpoint,
  ResolvedTier,
} from '../contract/dataplane.ts';
import { type Family, familyOf } from '../lib/address.ts';
import { type Chain, type ChainRule, type Match, rule, type Side, type Step } from './chain.ts';
import { stageAllowedChain } from './policy-chains.ts';
import { dropInvalid, neighbourDiscovery } from './static-chains.ts';

export type HostPlace =
  | 'untracked-in'
  | 'untracked-out'
  | 'pre-dnat'
  | 'input'
  | 'output'
  | 'forward-in'
  | 'forward-out';

interface Place {
  /** Which of the endpoint's lists holds there. */
  readonly stage: 'untracked' | 'preDnat' | 'tiers' | 'forward';
  readonly direction: Direction;
  /** Its base chain; null: `b-input` leads there. */
  readonly base: string | null;
  /** Verdict map from interface to the endpoint's chain. */
  readonly map: string;
  readonly failsafes: string | null;
}

export const hostPlaces: { readonly [P in HostPlace]: Place } = {
  'untracked-in': {
    stage: 'untracked',
    direction: 'ingress',
    base: 'b-untracked-in',
    map: 'd-untracked-in',
    failsafes: 'x-failsafe-raw-in',
  },
  'untracked-out': {
    stage: 'untracked',
    direction: 'egress',
    base: 'b-untracked-out',
    map: 'd-untracked-out',
    failsafes: 'x-failsafe-raw-out',
  },
  'pre-dnat': {
    stage: 'preDnat',
    direction: 'ingress',
    base: 'b-pre-dnat',
    map: 'd-pre-dnat',
    failsafes: 'x-failsafe-in',
  },
  input: { stage: 'tiers', direction: 'ingress', base: null, map: 'd-host-in', failsafes: 'x-failsafe-in' },
  output: {
    stage: 'tiers',
    direction: 'egress',
    base: 'b-host-out',
    map: 'd-host-out',
    failsafes: 'x-failsafe-out',
  },
  'forward-in': {
    stage: 'forward',
    direction: 'ingress',
    base: 'b-forward-in',
    map: 'd-forward-in',
    failsafes: null,
  },
  'forward-out': {
    stage: 'forward',
    direction: 'egress',
    base: 'b-forward-out',
    map: 'd-forward-out',
    failsafes: null,
  },
};

export const allHostPlaces: readonly HostPlace[] = Object.keys(hostPlaces) as HostPlace[];

/** A host endpoint has a say wherever its lists hold something, and in its own traffic always. */
export function hasSay(endpoint: ResolvedHostEndpoint, place: HostPlace): boolean {
  const { stage, direction } = hostPlaces[place];
  return stage === 'tiers' || endpoint[stage].some((tier) => tier[direction].length > 0);
}

/** Tiers as they count in a place: before connection tracking and NAT the end of a tier never drops. */
export function tiersAt(endpoint: ResolvedHostEndpoint, place: HostPlace): readonly ResolvedTier[] {
  const { stage } = hostPlaces[place];
  if (stage === 'tiers' || stage === 'forward') return endpoint[stage];
  return endpoint[stage].map((tier) => ({ ...tier, defaultAction: 'pass' }));
}

/** What stands before an endpoint's policy in a place; `first` is the start of its list. */
export function hostEndpointSteps(place: HostPlace, first: string, config: DataplaneConfig): readonly Step[] {
  const { stage, failsafes } = hostPlaces[place];
  const isTracked = stage === 'tiers' || stage === 'forward';
  return [
    ...(failsafes ? [rule([], { kind: 'jump', chain: failsafes })] : []),
    ...(isTracked ? dropInvalid(config) : []),
    rule([], { kind: 'goto', chain: first }),
  ];
}

export interface HostPlaceOptions {
  readonly interfacePrefix: string;
  /** The chain of the `*` endpoint there, if there is one and it has a say. */
  readonly others: string | null;
}

/** What every packet meets in a place, until it is an endpoint's. */
export function hostPlaceSteps(
  place: HostPlace,
  family: Family,
  { interfacePrefix, others }: HostPlaceOptions,
): readonly Step[] {
  const { direction, map } = hostPlaces[place];
  const side: Side = direction === 'ingress' ? 'src' : 'dst';
  const rest =
    others === null ? [] : [rule(notOfWorkloads(side, interfacePrefix), { kind: 'goto', chain: others })];
  return [
    ...skipped(place),
    ...(hostPlaces[place].stage === 'forward' ? [] : neighbourDiscovery(family, [])),
    rule([], { kind: 'dispatch', side, map }),
    ...rest,
  ];
}

function notOfWorkloads(side: Side, prefix: string): readonly Match[] {
  return [
    { kind: 'interface-prefix', side, prefix, negate: true },
    { kind: 'interface', side, name: 'lo', negate: true },
  ];
}

/** Packets that the place does not look at. */
function skipped(place: HostPlace): readonly ChainRule[] {
  const accepted = rule([{ kind: 'mark', mark: 'host-accepted' }], { kind: 'accept' });
  const established = rule([{ kind: 'connection', state: 'established' }], { kind: 'accept' });
  switch (place) {
    case 'untracked-in':
    case 'untracked-out':
      return [];
    case 'input':
      return [accepted]; // its base chain let established connections pass
    case 'pre-dnat':
    case 'forward-in':
      return [established, accepted];
    case 'forward-out':
      return [established];
    case 'output':
      return [forwarded, established, accepted];
    default:
      return place satisfies never;
  }
}

/** Past the last NAT both kinds leave; what came in by an interface was judged when it was forwarded. */
const forwarded: ChainRule = rule([{ kind: 'interface', side: 'src', name: '', negate: true }], {
  kind: 'accept',
});

/** What all host endpoints share: failsafe ports, and the ends of policies that hold in one stage alone. */
export function sharedHostChains(family: Family, config: DataplaneConfig): readonly Chain[] {
  const { failsafeInbound, failsafeOutbound } = config;
  const into = failsafes(failsafeInbound, family, 'dst', 'src');
  const out = failsafes(failsafeOutbound, family, 'dst', 'dst');
  // without connection tracking replies are told by their source port alone
  const repliesIn = failsafes(failsafeOutbound, family, 'src', 'src');
  const repliesOut = failsafes(failsafeInbound, family, 'src', 'dst');
  const setAccepted = rule([], { kind: 'set-mark', mark: 'host-accepted' });
  const accept = rule([], { kind: 'accept' });
  return [
    { name: 'x-failsafe-in', steps: into },
    { name: 'x-failsafe-out', steps: out },
    { name: 'x-failsafe-raw-in', steps: [...into, ...repliesIn] },
    { name: 'x-failsafe-raw-out', steps: [...out, ...repliesOut] },
    { name: stageAllowedChain.untracked, steps: [setAccepted, rule([], { kind: 'untrack' }), accept] },
    { name: stageAllowedChain['pre-dnat'], steps: [setAccepted, accept] },
  ];
}

function failsafes(
  list: readonly FailsafePort[],
  family: Family,
  portSide: Side,
  peer: Side,
): readonly ChainRule[] {
  const mine = list.filter(({ net }) => net === undefined || familyOf(net) === family);
  const groups = Map.groupBy(mine, ({ protocol, net }) => `${protocol} ${net ?? ''}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first ? [failsafe(first, group, portSide, peer)] : [];
  });
}

function failsafe(
  { protocol, net }: FailsafePort,
  group: readonly FailsafePort[],
  portSide: Side,
  peer: Side,
): ChainRule {
  const match: Match[] = [
    { kind: 'protocol', protocol },
    { kind: 'ports', side: portSide, ports: group.map(({ port }) => ({ first: port, last: port })) },
    ...(net === undefined ? [] : [{ kind: 'nets', side: peer, nets: [net] } as const]),
  ];
  return rule(match, { kind: 'accept' }, 'failsafe');
}
