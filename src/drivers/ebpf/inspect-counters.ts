// SPDX-License-Identifier: Apache-2.0
/** The maps `drops` and `rule_hits`. */
import type { CountersAnswer } from '../../contract/inspect.ts';
import { eventsLost, sumOf } from './drop-counts.ts';
import { type Inspected, Picked, unhurried } from './inspected.ts';
import { reasonOf } from './reasons.ts';
import { viewOf } from './row-view.ts';

export async function countersAnswer(of: Inspected, limit: number): Promise<CountersAnswer> {
  const picked = new Picked<CountersAnswer['rules'][number]>(limit);
  for (const rule of await ruleHits(of)) picked.add(() => rule);
  return {
    kind: 'counters',
    drops: dropCounts(of),
    rules: picked.rows,
    leftOut: picked.leftOut,
    events: of.events(),
  };
}

function dropCounts(of: Inspected): CountersAnswer['drops'] {
  const drops = of.map('drops');
  return [...drops.entries()]
    .map(([key, value]) => ({ reason: viewOf(key).getUint32(0, true), packets: sumOf(drops, value) }))
    .filter(({ reason }) => reason !== eventsLost) // that is no drop
    .filter(({ packets }) => packets > 0)
    .map(({ reason, packets }) => ({ reason: reasonOf(reason), packets }))
    .map(({ reason, packets }) => ({ reason: reason.word, packets, advice: reason.advice }))
    .sort((a, b) => b.packets - a.packets);
}

/** Rules that are gone count as one. */
async function ruleHits(of: Inspected): Promise<CountersAnswer['rules']> {
  const map = of.map('rule_hits');
  const hits = new Map<string | null, number>();
  for await (const [key, value] of unhurried(map)) {
    const rule = of.names.rule(viewOf(key).getBigUint64(0, true))?.comment ?? null;
    hits.set(rule, (hits.get(rule) ?? 0) + sumOf(map, value));
  }
  return [...hits].map(([rule, count]) => ({ rule, hits: count })).sort((a, b) => b.hits - a.hits);
}
