// SPDX-License-Identifier: Apache-2.0
/**
 * What becomes of a packet, and why: an evaluation of the very messages that a driver was given.
 *
 * Owns:       Verdict and its trace, the stable JSON that explain, probe, test and the web UI show.
 * Takes in:   a DataplaneState, the endpoint's path, a direction as the endpoint sees it, the first packet of a flow.
 * Gives out:  allow or deny, and every tier, policy and profile that was asked, in order, with the rules that matched.
 * Invariants: the same answer as every data plane (test/conformance) and as the oracle; nothing is guessed: what was not
 *             sent is an error, except a profile, which is then missing and so denies.
 * Next:       packet-match.ts judges one rule, evaluate-host.ts what a node's own endpoints add, matrix.ts answers for all
 *             pairs at once, explain.ts joins both ends.
 */
import type {
  DataplaneConfig,
  Direction,
  ResolvedEndpoint,
  ResolvedRule,
  ResolvedTier,
  RuleOrigin,
} from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { assertNever, NotFoundError } from '../lib/errors.ts';
import { protocolNumbers } from '../lib/protocol.ts';
import type { DataplaneState } from './dataplane-state.ts';
import { type Packet, type PacketHead, ruleMatches } from './packet-match.ts';
import { asEnforced, type TierView } from './tier-view.ts';

export interface Verdict {
  readonly verdict: 'allow' | 'deny';
  /** In order; the last step decided. */
  readonly trace: readonly TraceStep[];
}

export type TraceStep = GateStep | FailsafeStep | TierStep | ProfileStep | EndStep;

/** The endpoint itself refused, before any policy. */
export interface GateStep {
  readonly step: 'gate';
  readonly outcome: 'deny';
  readonly reason: 'admin-down' | 'foreign-source' | 'encapsulated' | 'router-message';
}

/** Of host endpoints: a port that is open before any policy. */
export interface FailsafeStep {
  readonly step: 'failsafe';
  readonly outcome: 'allow';
  /** The setting that opens it; `reply`: by its source port, as before connection tracking replies are told by that alone. */
  readonly list: 'inbound' | 'outbound';
  readonly reply: boolean;
}

export interface TierStep {
  readonly step: 'tier';
  readonly tier: string;
  readonly outcome: 'allow' | 'deny' | 'pass';
  /** `rule`: the last rule of the last policy below; `default-action`: the end of the tier. */
  readonly decidedBy: 'rule' | 'default-action';
  /** Those that were asked: all up to the one that decided. */
  readonly policies: readonly PolicyStep[];
}

export interface PolicyStep {
  readonly policy: KeyPath;
  /** Rules that matched: any number that only log, then perhaps one that decided. */
  readonly rules: readonly RuleHit[];
}

export interface ProfileStep {
  readonly step: 'profile';
  readonly profile: string;
  readonly outcome: 'allow' | 'deny' | 'no-match';
  readonly missing: boolean;
  readonly rules: readonly RuleHit[];
}

export interface EndStep {
  readonly step: 'end';
  /** `continue`: of host endpoints, where what no policy decides goes on as if there were none. */
  readonly outcome: 'deny' | 'continue';
  readonly reason: 'no-profile-matched' | 'no-policy-decided';
}

export interface RuleHit {
  /** From 0, among the rules of the direction. */
  readonly index: number;
  readonly action: ResolvedRule['action'];
  readonly origin?: RuleOrigin;
}

/**
 * @param direction - as the endpoint sees it: ingress comes to it.
 * @param view - which lists of its tiers count.
 * @throws {NotFoundError} when the node has no such endpoint.
 * @throws {InvalidError} when a rule names an IP set, or the endpoint a policy, that was not sent.
 */
export function evaluate(
  state: DataplaneState,
  endpointId: KeyPath,
  direction: Direction,
  packet: Packet,
  view: TierView = asEnforced,
): Verdict {
  const endpoint = state.endpoints.get(endpointId);
  if (!endpoint)
    throw new NotFoundError(`cannot evaluate endpoint ${endpointId}: this node has none of that name`);
  const closed = gate(endpoint, direction, packet, state.config);
  if (closed) return { verdict: 'deny', trace: [closed] };
  const { tiers, profiles } = endpoint;
  return evaluatePolicy(state, { tiers: view(tiers), profiles }, direction, packet);
}

/** Tiers and profiles alone: as `evaluate`, for an endpoint that is up and a source that is its own. */
export function evaluatePolicy(
  state: DataplaneState,
  endpoint: Pick<ResolvedEndpoint, 'tiers' | 'profiles'>,
  direction: Direction,
  packet: Packet,
): Verdict {
  const { decided, trace } = evaluateTiers(state, endpoint.tiers, direction, packet);
  if (decided) return { verdict: decided, trace };
  for (const name of endpoint.profiles) {
    const step = profileStep(state, name, direction, packet);
    trace.push(step);
    if (step.outcome !== 'no-match') return { verdict: step.outcome, trace };
  }
  trace.push({ step: 'end', outcome: 'deny', reason: 'no-profile-matched' });
  return { verdict: 'deny', trace };
}

/** Tiers alone; null when every one passed or none took part. */
export function evaluateTiers(
  state: DataplaneState,
  tiers: readonly ResolvedTier[],
  direction: Direction,
  packet: Packet,
): { decided: Verdict['verdict'] | null; trace: TraceStep[] } {
  const trace: TraceStep[] = [];
  for (const tier of tiers) {
    if (tier[direction].length === 0) continue;
    const step = tierStep(state, tier, direction, packet);
    trace.push(step);
    if (step.outcome !== 'pass') return { decided: step.outcome, trace };
  }
  return { decided: null, trace };
}

/** An endpoint may send from its own addresses alone, and neither the fabric's packets nor a router's. */
export function gate(
  endpoint: ResolvedEndpoint,
  direction: Direction,
  packet: Packet,
  config: DataplaneConfig,
): GateStep | null {
  const closed = (reason: GateStep['reason']): GateStep => ({ step: 'gate', outcome: 'deny', reason });
  if (!endpoint.adminUp) return closed('admin-down');
  if (direction === 'ingress') return null;
  if (!endpoint.addresses.includes(packet.src)) return closed('foreign-source');
  return headGate(packet, config);
}

/** IPv4 encapsulated in IP, RFC 2003. */
const ipipProtocol = 4;
/** Router advertisement and redirect, RFC 4861. */
const routerMessages: readonly (number | undefined)[] = [134, 137];

/** What no workload may send, whoever it is. */
export function headGate(
  packet: PacketHead & Pick<Packet, 'dstPort'>,
  config: DataplaneConfig,
): GateStep | null {
  const { ipVersion, protocol, dstPort, icmpType } = packet;
  const closed = (reason: GateStep['reason']): GateStep => ({ step: 'gate', outcome: 'deny', reason });
  if (protocol === ipipProtocol && !config.ipipFromWorkloads) return closed('encapsulated');
  const isVxlan = protocol === protocolNumbers.UDP && dstPort === config.vxlanPort;
  if (isVxlan && !config.vxlanFromWorkloads) return closed('encapsulated');
  const isIcmp6 = ipVersion === 6 && protocol === protocolNumbers.ICMPv6;
  return isIcmp6 && routerMessages.includes(icmpType) ? closed('router-message') : null;
}

function tierStep(state: DataplaneState, tier: ResolvedTier, direction: Direction, packet: Packet): TierStep {
  const policies: PolicyStep[] = [];
  for (const policy of tier[direction]) {
    const { rules, decided } = walk(state, state.policy(policy)[direction], packet);
    policies.push({ policy, rules });
    if (decided) return { step: 'tier', tier: tier.name, outcome: decided, decidedBy: 'rule', policies };
  }
  return {
    step: 'tier',
    tier: tier.name,
    outcome: tier.defaultAction,
    decidedBy: 'default-action',
    policies,
  };
}

function profileStep(state: DataplaneState, name: string, direction: Direction, packet: Packet): ProfileStep {
  const profile = state.profile(name);
  const { rules, decided } = walk(state, profile[direction], packet);
  // Profiles know no tier to pass to: pass goes on to the next profile.
  const outcome = profile.missing ? 'deny' : decided === 'pass' || !decided ? 'no-match' : decided;
  return { step: 'profile', profile: name, outcome, missing: profile.missing, rules };
}

/** The first rule that matches decides, unless it only logs. */
function walk(
  state: DataplaneState,
  rules: readonly ResolvedRule[],
  packet: Packet,
): { rules: RuleHit[]; decided: 'allow' | 'deny' | 'pass' | null } {
  const hits: RuleHit[] = [];
  for (const [index, rule] of rules.entries()) {
    if (!ruleMatches(state, rule, packet)) continue;
    hits.push({ index, action: rule.action, ...(rule.origin && { origin: rule.origin }) });
    switch (rule.action) {
      case 'allow':
      case 'deny':
      case 'pass':
        return { rules: hits, decided: rule.action };
      case 'log':
        break;
      default:
        assertNever(rule.action);
    }
  }
  return { rules: hits, decided: null };
}
