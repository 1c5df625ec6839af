// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';

let known: number | null = null;

/** How many values a per-CPU map keeps for each key: num_possible_cpus, also of those that are not there now. */
export function possibleCpus(): number {
  known ??= countCpus(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));
  return known;
}

/** @param list - as the kernel prints masks: `0-3,8`. @throws {TypeError} */
export function countCpus(list: string): number {
  return list
    .trim()
    .split(',')
    .map(rangeLength)
    .reduce((sum, count) => sum + count, 0);
}

function rangeLength(range: string): number {
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  if (!match) throw new TypeError(`list of CPUs: got ${JSON.stringify(range)}, want N or N-M`);
  return Number(match[2] ?? match[1]) - Number(match[1]) + 1;
}
