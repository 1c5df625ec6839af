// SPDX-License-Identifier: Apache-2.0
/**
 * What becomes of a packet at one node: its workloads' policy, and around it the stages of its own endpoints.
 *
 *     in by a link    untracked, pre-DNAT, then normal (it ends here) or forward (it goes on)
 *     out by a link   untracked, then normal (it starts here), or forward (it passes)
 *
 * Where the packet comes in and goes out is given. Stages in which an endpoint has no policy are left out, but `normal`,
 * which denies without one. Every end says its word, whatever the others do; an endpoint's stages end at one that denies.
 *
 * @see rules/host-chains.ts for the same as chains; Calico documentation, "Protect hosts"
 */
import type {
  DataplaneConfig,
  Direction,
  FailsafePort,
  ResolvedHostEndpoint,
  ResolvedTier,
} from '../contract/dataplane.ts';
import { familyOf } from '../lib/address.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { cidrContains, hostCidr } from '../lib/cidr.ts';
import { NotFoundError } from '../lib/errors.ts';
import { protocolNumbers } from '../lib/protocol.ts';
import type { DataplaneState } from './dataplane-state.ts';
import {
  evaluate,
  evaluatePolicy,
  evaluateTiers,
  type FailsafeStep,
  headGate,
  type TraceStep,
  type Verdict,
} from './evaluate.ts';
import type { Packet, PacketHead } from './packet-match.ts';
import { asEnforced, type TierView } from './tier-view.ts';

/** Where an end of the packet is, seen from the node. */
export type CrossingEnd =
  | { readonly at: 'workload'; readonly id: KeyPath }
  | { readonly at: 'host' }
  /** Behind one of the host's links; null: no host endpoint is there. */
  | { readonly at: 'beyond'; readonly endpoint: KeyPath | null };

export interface Crossing {
  readonly from: CrossingEnd;
  readonly to: CrossingEnd;
}

export type HostStage = 'untracked' | 'pre-dnat' | 'normal' | 'forward';

export interface StageVerdict {
  readonly stage: HostStage;
  readonly direction: Direction;
  readonly endpoint: KeyPath;
  /** Of the HostEndpoint. */
  readonly name: string;
  /** `allow` lets it past the later stages of the same direction, `continue` does not. */
  readonly verdict: 'allow' | 'deny' | 'continue';
  readonly trace: readonly TraceStep[];
}

/** What the node decides in the place of policy, or after it. */
export interface NodeGate {
  readonly verdict: 'allow' | 'deny';
  /**
   * `host-to-workload`: never policed. `neighbour-discovery`: the link depends on it. `endpoint-to-host`: the node's
   * setting, once policy allowed it.
   */
  readonly reason: 'host-to-workload' | 'neighbour-discovery' | 'endpoint-to-host';
}

export interface NodeVerdict {
  readonly allowed: boolean;
  /** Of the workload that sends; null when none does, or a gate came first. */
  readonly egress: Verdict | null;
  /** Of the workload that receives; likewise. */
  readonly ingress: Verdict | null;
  /** Of the node's own endpoints, in order. */
  readonly stages: readonly StageVerdict[];
  readonly gate: NodeGate | null;
}

/**
 * @param view - which lists of tiers count.
 * @throws {NotFoundError} when the node has no such endpoint. {InvalidError} when a rule names what was not sent.
 */
export function evaluateAtNode(
  state: DataplaneState,
  crossing: Crossing,
  packet: Packet,
  view: TierView = asEnforced,
): NodeVerdict {
  const gate = gateOf(state.config, crossing, packet);
  if (gate && gate.reason !== 'endpoint-to-host') {
    return { allowed: true, egress: null, ingress: null, stages: [], gate };
  }
  const { from, to } = crossing;
  const egress = from.at === 'workload' ? evaluate(state, from.id, 'egress', packet, view) : null;
  const ingress = to.at === 'workload' ? evaluate(state, to.id, 'ingress', packet, view) : null;
  const stages = stagesOf(state, crossing, packet, view);
  const verdicts = [egress, ingress, gate, ...stages].map((each) => each?.verdict);
  return { allowed: !verdicts.includes('deny'), egress, ingress, stages, gate };
}

function gateOf(config: DataplaneConfig, { from, to }: Crossing, packet: Packet): NodeGate | null {
  if (from.at === 'host' && to.at === 'workload') return { verdict: 'allow', reason: 'host-to-workload' };
  if (from.at !== 'workload' || to.at !== 'host') return null;
  const isRouters = headGate(packet, config) !== null;
  if (isNeighbourDiscovery(packet) && !isRouters) return { verdict: 'allow', reason: 'neighbour-discovery' };
  return { verdict: config.endpointToHost === 'drop' ? 'deny' : 'allow', reason: 'endpoint-to-host' };
}

/** Listener messages, solicitations and advertisements, without which IPv6 does not work: RFC 4861, RFC 2710, RFC 3810. */
const neighbourTypes: readonly (number | undefined)[] = [130, 131, 132, 133, 134, 135, 136, 143];

export function isNeighbourDiscovery({ ipVersion, protocol, icmpType }: PacketHead): boolean {
  return ipVersion === 6 && protocol === protocolNumbers.ICMPv6 && neighbourTypes.includes(icmpType);
}

type Place = readonly [HostStage, Direction];

const comingIn: readonly Place[] = [
  ['untracked', 'ingress'],
  ['pre-dnat', 'ingress'],
];

/** What a packet meets at the host's links, in order. Between a host and its workloads its endpoints have no say. */
const places: {
  readonly [From in CrossingEnd['at']]: { readonly [To in CrossingEnd['at']]: readonly Place[] };
} = {
  beyond: {
    host: [...comingIn, ['normal', 'ingress']],
    workload: [...comingIn, ['forward', 'ingress']],
    beyond: [...comingIn, ['forward', 'ingress'], ['forward', 'egress']],
  },
  workload: { host: [], workload: [], beyond: [['forward', 'egress']] },
  host: {
    host: [],
    workload: [],
    beyond: [
      ['untracked', 'egress'],
      ['normal', 'egress'],
    ],
  },
};

function stagesOf(
  state: DataplaneState,
  { from, to }: Crossing,
  packet: Packet,
  view: TierView,
): StageVerdict[] {
  const verdicts: StageVerdict[] = [];
  for (const [stage, direction] of places[from.at][to.at]) {
    const link = direction === 'ingress' ? from : to;
    const isPast = verdicts.some((earlier) => earlier.direction === direction && earlier.verdict === 'allow');
    if (isPast || link.at !== 'beyond' || link.endpoint === null) continue;
    const verdict = atStage(state, link.endpoint, [stage, direction], packet, view);
    if (!verdict) continue;
    verdicts.push(verdict);
    if (verdict.verdict === 'deny') break;
  }
  return verdicts;
}

function atStage(
  state: DataplaneState,
  id: KeyPath,
  [stage, direction]: Place,
  packet: Packet,
  view: TierView,
): StageVerdict | null {
  const endpoint = state.hostEndpoints.get(id);
  if (!endpoint) throw new NotFoundError(`cannot evaluate endpoint ${id}: this node has none of that name`);
  const tiers = tiersAt(endpoint, stage, view);
  if (stage !== 'forward' && isNeighbourDiscovery(packet)) return null; // routers never pass it on
  if (stage !== 'normal' && tiers.every((tier) => tier[direction].length === 0)) return null;
  const about = { stage, direction, endpoint: id, name: endpoint.name };
  const failsafe = failsafeOf(state.config, [stage, direction], packet);
  if (failsafe) return { ...about, verdict: stage === 'normal' ? 'allow' : 'continue', trace: [failsafe] };
  return { ...about, ...evaluateStage(state, { ...endpoint, tiers }, [stage, direction], packet) };
}

/** One list of a host endpoint, given as `tiers`; failsafe ports are the caller's. */
export function evaluateStage(
  state: DataplaneState,
  list: Pick<ResolvedHostEndpoint, 'tiers' | 'profiles'>,
  [stage, direction]: readonly [HostStage, Direction],
  packet: Packet,
): Pick<StageVerdict, 'verdict' | 'trace'> {
  const seen = asSeen(packet, stage, direction);
  if (stage === 'normal') return evaluatePolicy(state, list, direction, seen);
  const { decided, trace } = evaluateTiers(state, list.tiers, direction, seen);
  if (decided) return { verdict: decided, trace };
  const end = { step: 'end', outcome: 'continue', reason: 'no-policy-decided' } as const;
  return { verdict: 'continue', trace: [...trace, end] };
}

/** Before connection tracking and before destination NAT the end of a tier never drops. */
export function tiersAt(
  endpoint: ResolvedHostEndpoint,
  stage: HostStage,
  view: TierView,
): readonly ResolvedTier[] {
  switch (stage) {
    case 'normal':
      return view(endpoint.tiers);
    case 'forward':
      return view(endpoint.forward);
    case 'untracked':
      return view(endpoint.untracked).map(passing);
    case 'pre-dnat':
      return view(endpoint.preDnat).map(passing);
    default:
      return stage satisfies never;
  }
}

function passing(tier: ResolvedTier): ResolvedTier {
  return { ...tier, defaultAction: 'pass' };
}

/** The first stages on the way in see where a packet was sent to, whatever becomes of that. */
function asSeen(packet: Packet, stage: HostStage, direction: Direction): Packet {
  const { dstBeforeNat, dstPortBeforeNat, ...rest } = packet;
  const isEarly = direction === 'ingress' && (stage === 'untracked' || stage === 'pre-dnat');
  if (!isEarly) return rest;
  return {
    ...rest,
    ...(dstBeforeNat === undefined ? {} : { dst: dstBeforeNat }),
    ...(dstPortBeforeNat === undefined ? {} : { dstPort: dstPortBeforeNat }),
  };
}

/** Forwarded traffic has none. A failsafe port is told by the packet as the stage sees it. */
export function failsafeOf(
  { failsafeInbound, failsafeOutbound }: DataplaneConfig,
  [stage, direction]: readonly [HostStage, Direction],
  packet: Packet,
): FailsafeStep | null {
  if (stage === 'forward') return null;
  const { protocol, srcPort, dstPort, src, dst } = asSeen(packet, stage, direction);
  const isInto = direction === 'ingress';
  const isAmong = (list: readonly FailsafePort[], port: number | undefined) =>
    list.some((each) => each.protocol === protocol && each.port === port && isIn(each, isInto ? src : dst));
  const step = { step: 'failsafe', outcome: 'allow' } as const;
  const [own, others] = isInto ? [failsafeInbound, failsafeOutbound] : [failsafeOutbound, failsafeInbound];
  const names = isInto ? (['inbound', 'outbound'] as const) : (['outbound', 'inbound'] as const);
  if (isAmong(own, dstPort)) return { ...step, list: names[0], reply: false };
  return stage === 'untracked' && isAmong(others, srcPort) ? { ...step, list: names[1], reply: true } : null;
}

function isIn({ net }: FailsafePort, peer: Address): boolean {
  if (net === undefined) return true;
  return familyOf(net) === familyOf(peer) && cidrContains(net, hostCidr(peer));
}
