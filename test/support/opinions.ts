// SPDX-License-Identifier: Apache-2.0
/** The oracle's and the evaluators' opinions in the same words, so that they can be compared. */
import assert from 'node:assert/strict';
import { compileFor } from '../../src/calc/compile.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf } from '../../src/model/kinds.ts';
import type { ChainLink } from '../../src/model/oracle/chain.ts';
import type { Resource, Update } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import type { TraceStep } from '../../src/observe/evaluate.ts';

interface ChainOpinion {
  readonly verdict: string;
  readonly links: readonly ChainLink[];
}

interface StepOpinion {
  readonly verdict: string;
  readonly trace: readonly TraceStep[];
}

/** @throws when a resource does not validate: generated ones must. */
export function compileNodes(resources: readonly Resource[]): ReadonlyMap<string, DataplaneState> {
  const updates: Update[] = builtinUpdates();
  for (const resource of resources) {
    const converted = updatesOf(keyOf(resource), resource);
    assert.deepEqual(converted.faults, [], JSON.stringify(resource));
    updates.push(...converted.updates);
  }
  return new Map(['n1', 'n2'].map((node) => [node, DataplaneState.from(compileFor(node, updates))]));
}

/** Who decided, in the oracle's words. */
export function deciderOf(chain: ChainOpinion | null): string {
  const link = chain?.links.at(-1);
  if (!chain || !link) return 'nobody';
  switch (link.at) {
    case 'rule':
      return `${chain.verdict} by ${link.policy} in ${link.tier}`;
    case 'end-of-tier':
      return `${chain.verdict} at the end of ${link.tier}`;
    case 'profile-rule':
    case 'missing-profile':
      return `${chain.verdict} by profile ${link.profile}`;
    case 'end-of-profiles':
      return `${chain.verdict} at the end`;
  }
}

/** The same in the evaluator's. */
export function evaluatorsDecider(verdict: StepOpinion | null): string {
  const step = verdict?.trace.at(-1);
  if (!verdict || !step) return 'nobody';
  switch (step.step) {
    case 'tier':
      return step.decidedBy === 'rule'
        ? `${verdict.verdict} by ${step.policies.at(-1)?.policy} in ${step.tier}`
        : `${verdict.verdict} at the end of ${step.tier}`;
    case 'profile':
      return `${verdict.verdict} by profile ${step.profile}`;
    case 'end':
      return `${verdict.verdict} at the end`;
    case 'gate':
      return `${verdict.verdict} at the gate: ${step.reason}`;
    case 'failsafe':
      return `${verdict.verdict} by failsafe`;
  }
}
