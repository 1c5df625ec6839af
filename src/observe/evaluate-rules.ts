// SPDX-License-Identifier: Apache-2.0
/**
 * One endpoint's compiled tiers and profiles against one packet: `muslin policy eval --rules`.
 *
 * Takes in:   JSON in the form that `muslin policy compile` prints, of which only what the endpoint needs must be there.
 *             What is absent from a rule's ends is an empty list.
 * Gives out:  the verdict and every rule that matched, in order; or every fault of the request at once.
 * Next:       rules-request.ts reads the JSON, evaluate.ts judges.
 */
import type { Direction, ResolvedRule, RuleOrigin } from '../contract/dataplane.ts';
import { evaluatePolicy, type TraceStep } from './evaluate.ts';
import { readRulesRequest } from './rules-request.ts';

export type RulesAnswer =
  | { readonly verdict: 'allow' | 'deny'; readonly hits: readonly RulesHit[] }
  /** Host endpoints and untracked policy are not evaluated yet. */
  | { readonly unsupported: true };

/** A rule that matched: of a policy in a tier, or of a profile. */
export interface RulesHit {
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
  if (request.kind !== 'workload') return { unsupported: true };
  // Linux data planes let a host reach its own workloads whatever their policy: kubelet's probes depend on it.
  if (request.fromHost && request.direction === 'ingress') return { verdict: 'allow', hits: [] };
  const { state, endpoint, direction, packet } = request;
  const { verdict, trace } = evaluatePolicy(state, endpoint, direction, packet);
  return { verdict, hits: trace.flatMap((step) => hitsOf(step, direction)) };
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
