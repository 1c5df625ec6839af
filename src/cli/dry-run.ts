// SPDX-License-Identifier: Apache-2.0
/** `--dry-run`: what would be written, by our own plan (client) and, asked too, by the store's word (server). */
import type { Datastore, Stored, Write } from '../contract/datastore.ts';
import { writeWhole } from './write-parts.ts';

/** As kubectl's. */
export const dryRuns = ['none', 'client', 'server'] as const;
export type DryRun = (typeof dryRuns)[number];

export interface DryRunOptions {
  /** @defaultValue `none` */
  readonly dryRun?: DryRun;
}

/** After each line, in kubectl's words. */
export const dryRunMarks: { readonly [D in DryRun]: string } = {
  none: '',
  client: ' (dry run)',
  server: ' (server dry run)',
};

/** A store that cannot be asked refuses nothing that the plan, made against what it holds, lets through. */
export async function writeOrTry(
  store: Datastore,
  writes: readonly Write[],
  dryRun: DryRun,
): Promise<readonly Stored[]> {
  if (dryRun === 'none') return writeWhole(store, writes);
  return dryRun === 'server' && store.tryAll ? store.tryAll(writes) : [];
}
