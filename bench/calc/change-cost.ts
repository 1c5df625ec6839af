// SPDX-License-Identifier: Apache-2.0
/** What one change costs a graph that is in sync: from the update to the last message. */
import type { CalcGraph } from '../../src/calc/graph.ts';
import type { Update } from '../../src/model/types.ts';
import { percentile } from '../machine.ts';

export interface ChangeKind {
  readonly name: string;
  readonly rounds: number;
  /** Made before the clock runs. */
  readonly make: (round: number) => Update;
  readonly goal: string;
}

/** @returns a row: name, rounds, p50, p99 and the worst in microseconds, messages a change, goal. */
export function changeRow(graph: CalcGraph, { name, rounds, make, goal }: ChangeKind): (string | number)[] {
  const times: number[] = [];
  let messages = 0;
  const updates = Array.from({ length: rounds }, (_, i) => make(i));
  for (const update of updates) {
    const start = performance.now();
    graph.onUpdates([update]);
    graph.flush(() => messages++);
    times.push((performance.now() - start) * 1000);
  }
  const figures = [percentile(times, 50), percentile(times, 99), Math.max(...times)];
  return [name, String(rounds), ...figures, messages / rounds, goal];
}

export const changeHeader: readonly string[] = [
  'change',
  'rounds',
  'p50 us',
  'p99 us',
  'worst us',
  'messages each',
  'goal',
];
