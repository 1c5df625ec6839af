// SPDX-License-Identifier: Apache-2.0
import { UsageError } from '../lib/errors.ts';

const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Go's form, as Calico's own options take it: `500ms`, `1.5s`, `2m`. @throws {UsageError} */
export function parseDurationMs(text: string, option: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text);
  if (!match)
    throw new UsageError(`${option}: got ${JSON.stringify(text)}, want a duration such as 500ms, 2s or 1m`);
  return Number(match[1]) * unitsMs[match[2] as keyof typeof unitsMs];
}
