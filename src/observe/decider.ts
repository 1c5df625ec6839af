// SPDX-License-Identifier: Apache-2.0
/** Who decided, in one row: what tests of policies ask about, and what differences are grouped by. */
import type { RuleOrigin } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import { assertNever } from '../lib/errors.ts';
import type { GateStep, TraceStep } from './evaluate.ts';
import type { NodeGate } from './evaluate-host.ts';
import type { Opinion } from './explain.ts';

export interface Decider {
  readonly verdict: 'allow' | 'deny' | 'continue';
  /** The pod or host endpoint whose policy it is; null: none's. */
  readonly endpoint: KeyPath | null;
  readonly direction: 'egress' | 'ingress' | null;
  readonly by: DecidedBy;
}

export type DecidedBy =
  | {
      readonly at: 'rule';
      readonly tier: string;
      readonly policy: KeyPath;
      /** From 0. */
      readonly rule: number;
      readonly origin?: RuleOrigin;
    }
  /** With the policies of the tier, none of which decided. */
  | { readonly at: 'end-of-tier'; readonly tier: string; readonly policies: readonly KeyPath[] }
  | {
      readonly at: 'profile-rule';
      readonly profile: string;
      readonly rule: number;
      readonly origin?: RuleOrigin;
    }
  | { readonly at: 'missing-profile'; readonly profile: string }
  | { readonly at: 'end' }
  | { readonly at: 'failsafe'; readonly list: 'inbound' | 'outbound' }
  | { readonly at: 'gate'; readonly reason: GateStep['reason'] | NodeGate['reason'] };

/**
 * Of a packet that is denied all that deny, in the order in which it meets them; else all that allow. Empty: nobody was
 * asked.
 */
export function decidersOf(opinion: Opinion): readonly Decider[] {
  const all = inOrder(opinion);
  return all.filter(({ verdict }) => verdict === (opinion.allowed ? 'allow' : 'deny'));
}

function inOrder({ egress, ingress, host, gate }: Opinion): readonly Decider[] {
  const out = host.filter(({ direction }) => direction === 'egress');
  const into = host.filter(({ direction }) => direction === 'ingress');
  const stages = (list: Opinion['host']) => list.map((each) => judged(each, each.direction));
  return [
    ...(egress ? [judged(egress, 'egress')] : []),
    ...stages(out),
    ...(gate ? [gated(gate)] : []),
    ...stages(into),
    ...(ingress ? [judged(ingress, 'ingress')] : []),
  ];
}

function judged(
  { verdict, trace, endpoint }: Opinion['host'][number] | NonNullable<Opinion['egress']>,
  direction: 'egress' | 'ingress',
): Decider {
  const last = trace.at(-1);
  return { verdict, endpoint, direction, by: last ? decidedBy(last) : { at: 'end' } };
}

function gated({ verdict, reason }: NodeGate): Decider {
  return { verdict, endpoint: null, direction: null, by: { at: 'gate', reason } };
}

/** The last step of a trace. */
export function decidedBy(step: TraceStep): DecidedBy {
  switch (step.step) {
    case 'gate':
      return { at: 'gate', reason: step.reason };
    case 'failsafe':
      return { at: 'failsafe', list: step.list };
    case 'tier': {
      const policy = step.policies.at(-1);
      const rule = policy?.rules.at(-1);
      if (step.decidedBy === 'default-action' || !policy || !rule)
        return { at: 'end-of-tier', tier: step.tier, policies: step.policies.map((each) => each.policy) };
      const { index, origin } = rule;
      return {
        at: 'rule',
        tier: step.tier,
        policy: policy.policy,
        rule: index,
        ...(origin ? { origin } : {}),
      };
    }
    case 'profile': {
      const rule = step.rules.at(-1);
      if (step.missing || !rule) return { at: 'missing-profile', profile: step.profile };
      const { index, origin } = rule;
      return { at: 'profile-rule', profile: step.profile, rule: index, ...(origin ? { origin } : {}) };
    }
    case 'end':
      return { at: 'end' };
    default:
      return assertNever(step);
  }
}
