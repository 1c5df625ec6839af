// SPDX-License-Identifier: Apache-2.0
/**
 * Neighbours that do the same to members of different sets become one rule: "a member of any of these sets". A thousand
 * policies that each admit one selector to the same port then cost a packet one lookup, not a thousand.
 *
 * Merging keeps every verdict: what the first of two such rules does to a packet, the second would do as well.
 */
import type { ChainRule, Match, Step } from './chain.ts';

type SetMatch = Extract<Match, { kind: 'set' }>;

interface Mergeable {
  readonly rule: ChainRule;
  readonly set: SetMatch;
  /** Equal for rules that differ in that set alone. */
  readonly shape: string;
}

/** What neighbours in one chain become. */
export type Merge = (steps: readonly Step[]) => Step[];

/** For filters that find runs by themselves, and want to know which rule of a run it was. */
export const mergeNone: Merge = (steps) => [...steps];

export function mergeSets(steps: readonly Step[]): Step[] {
  const merged: Step[] = [];
  let run: Mergeable[] = [];
  for (const step of steps) {
    const candidate = mergeable(step);
    if (run.length > 0 && run[0]?.shape !== candidate?.shape) {
      merged.push(joined(run));
      run = [];
    }
    if (candidate) run.push(candidate);
    else merged.push(step);
  }
  return run.length > 0 ? [...merged, joined(run)] : merged;
}

/** A rule with exactly one positive set, whose action ends the walk here: two logs in a row are two lines. */
function mergeable(step: Step): Mergeable | null {
  if (step.kind !== 'rule' || (step.action.kind !== 'goto' && step.action.kind !== 'drop')) return null;
  const sets = step.match.filter((match): match is SetMatch => match.kind === 'set' && !match.negate);
  const [set] = sets;
  if (!set || sets.length > 1) return null;
  const others = step.match.map((match) => (match === set ? { kind: 'set', side: set.side } : match));
  return { rule: step, set, shape: JSON.stringify([others, step.action]) };
}

function joined(run: readonly Mergeable[]): Step {
  const [first] = run;
  if (!first) throw new TypeError('an empty run');
  const sets = [...new Set(run.map(({ set }) => set.set))].sort();
  if (sets.length === 1) return first.rule;
  const anySet: Match = { kind: 'any-set', side: first.set.side, sets };
  const match = first.rule.match.map((each) => (each === first.set ? anySet : each));
  const comments = run.flatMap(({ rule }) => rule.comment ?? []);
  return { ...first.rule, match, comment: `${comments.length} rules: ${comments.join(', ')}` };
}
