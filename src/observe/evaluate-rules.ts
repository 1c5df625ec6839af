// SPDX-License-Identifier: Apache-2.0
/**
 * One endpoint's compiled tiers and profiles against one packet: `muslin policy eval --rules`.
 *
 * Takes in:   JSON in the form that `muslin policy compile` prints, of which only what the endpoint needs must be there.
 *             What is absent from a rule's ends is an empty list.
 * Gives out:  the verdict and every rule that matched, in order; or every fault of the request at once.
 * Next:       rules-request.ts reads the JSON, evaluate.ts judges.
 */
import type { Direction, ResolvedRule, ResolvedTier, RuleOrigin } from '../contract/dataplane.ts';
import { evaluatePolicy, type TraceStep } from './evaluate.ts';
import { evaluateStage, failsafeOf, type HostStage, type StageVerdict } from './evaluate-host.ts';
import { type RulesRequest, readRulesRequest } from './rules-request.ts';

export interface RulesAnswer {
  /** `pass`: of untracked policy, which decided nothing; the packet goes on to connection tracking. */
  readonly verdict: 'allow' | 'deny' | 'pass';
  readonly hits: readonly RulesHit[];
}

/** A rule that matched: of a policy in a tier, or of a profile. */
export interface RulesHit {
  /** Of host endpoints. */
  readonly stage?: HostStage;
  readonly tier?: string;
  readonly policy?: string;
  readonly profile?: string;
  readonly direction: Direction;
  /** From 0, among the rules of the direction. */
  readonly index: number;
  readonly action: ResolvedRule['action'];
  readonly origin?: RuleOrigin;
}

/**
 * @throws {InvalidError} with every fault of the request, or when a rule names an IP set that it does not hold.
 */
export function evaluateRules(json: unknown): RulesAnswer {
  const request = readRulesRequest(json);
  return request.kind === 'workload' ? atWorkload(request) : atHost(request);
}

function atWorkload({ fromHost, state, endpoint, direction, packet }: RulesRequest): RulesAnswer {
  // Linux data planes let a host reach its own workloads whatever their policy: kubelet's probes depend on it.
  if (fromHost && direction === 'ingress') return { verdict: 'allow', hits: [] };
  const { verdict, trace } = evaluatePolicy(state, endpoint, direction, packet);
  return { verdict, hits: trace.flatMap((step) => hitsOf(step, direction)) };
}

/** Stage by stage, up to the first that decides. What forwarded traffic's policies leave undecided goes on. */
function atHost(request: RulesRequest): RulesAnswer {
  const { direction } = request;
  const hits: RulesHit[] = [];
  for (const [stage, tiers] of stagesOf(request)) {
    const { verdict, trace } = atStage(request, stage, tiers);
    hits.push(...trace.flatMap((step) => hitsOf(step, direction)).map((hit) => ({ stage, ...hit })));
    if (verdict !== 'continue') return { verdict, hits };
  }
  return { verdict: request.kind === 'untracked' ? 'pass' : 'allow', hits };
}

/** A request may give the one list that it asks about as `tiers`. */
function stagesOf({
  kind,
  direction,
  endpoint,
  isForwarded,
}: RulesRequest): readonly (readonly [HostStage, readonly ResolvedTier[]])[] {
  const { tiers, forward, untracked, preDnat = [] } = endpoint;
  if (kind === 'untracked') return [['untracked', (untracked ?? tiers).map(passing)]];
  const last = isForwarded && forward ? (['forward', forward] as const) : (['normal', tiers] as const);
  const isEarly = direction === 'ingress' && preDnat.length > 0;
  return isEarly ? [['pre-dnat', preDnat.map(passing)], last] : [last];
}

function passing(tier: ResolvedTier): ResolvedTier {
  return { ...tier, defaultAction: 'pass' };
}

function atStage(
  { state, endpoint, direction, packet, hasConfig }: RulesRequest,
  stage: HostStage,
  tiers: readonly ResolvedTier[],
): Pick<StageVerdict, 'verdict' | 'trace'> {
  const failsafe = hasConfig ? failsafeOf(state.config, [stage, direction], packet) : null;
  if (failsafe) return { verdict: stage === 'normal' ? 'allow' : 'continue', trace: [failsafe] };
  return evaluateStage(state, { tiers, profiles: endpoint.profiles }, [stage, direction], packet);
}

function hitsOf(step: TraceStep, direction: Direction): RulesHit[] {
  if (step.step === 'tier') {
    const { tier } = step;
    return step.policies.flatMap(({ policy, rules }) =>
      rules.map((hit) => ({ tier, policy, direction, ...hit })),
    );
  }
  if (step.step !== 'profile') return [];
  return step.rules.map((hit) => ({ profile: step.profile, direction, ...hit }));
}
