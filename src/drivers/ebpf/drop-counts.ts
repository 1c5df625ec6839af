// SPDX-License-Identifier: Apache-2.0
/** Counts that each processor keeps for itself, added up: the maps `drops` and `rule_hits`. */
import type { BpfMap } from '../../kernel/bpf/map.ts';
import { viewOf } from './row-view.ts';

/** EVENTS_LOST of bpf/events.h: its place among the reasons. */
export const eventsLost = 0;

export function dropCount(drops: BpfMap, reason: number): number {
  const value = drops.get(new Uint8Array(Uint32Array.of(reason).buffer));
  return value ? sumOf(drops, value) : 0;
}

/** @param value - as a per-CPU map gives it, of one 64-bit number for each. */
export function sumOf(map: BpfMap, value: Uint8Array): number {
  return map.perCpu(value).reduce((sum, each) => sum + Number(viewOf(each).getBigUint64(0, true)), 0);
}
