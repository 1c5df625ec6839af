// SPDX-License-Identifier: Apache-2.0
/** Writing resources as a whole, telling what became of each, and waiting until it is enforced. */
import { existsSync } from 'node:fs';
import type { Stored } from '../contract/datastore.ts';
import type { Resource } from '../model/types.ts';
import type { DryRunOptions } from './dry-run.ts';
import { untilNodesEnforce, type WaitOptions, waitingTime } from './enforcement.ts';
import type { Io } from './io.ts';
import { findPlace, openStore, type Place, type PlaceOptions } from './place.ts';
import { type Printer, plainOutput } from './plain-output.ts';
import { planWrites, type WritePlan, type WriteVerb } from './write-plan.ts';
import { changesText, presentRow, rowText, validResources, writePlanned } from './write-resources.ts';

export interface ApplyOptions extends PlaceOptions, WaitOptions, DryRunOptions {
  /** `name`, `json` or `yaml` instead of lines for people. */
  readonly output?: string;
  /** Which fields change, under each object. */
  readonly diff?: boolean;
  /** Of create: what exists is left. */
  readonly skipExists?: boolean;
}

/**
 * @throws {InvalidError} with every fault, and nothing is stored. {AlreadyExistsError} {NotFoundError} as `verb` wants.
 * {ConflictError} when others were faster five times. {Told} when nodes did not follow in time.
 */
export async function applyResources(
  resources: readonly Resource[],
  options: ApplyOptions,
  io: Io,
  verb: WriteVerb = 'apply',
): Promise<void> {
  const { dryRun = 'none' } = options;
  const print = plainOutput(options.output);
  const timeoutMs = waitingTime(options);
  const valid = validResources(resources);
  const place = await findPlace(options, io);
  const planOf = (stored: readonly Stored[]) =>
    planWrites(verb, valid, stored, { skipExisting: options.skipExists ?? false });
  if (dryRun !== 'none' && isUnmade(place)) return tell(planOf([]), options, print, io);
  await using store = await openStore(place, io, { mayCreate: verb !== 'replace' && dryRun === 'none' });
  const plan = await writePlanned(store, planOf, dryRun);
  tell(plan, options, print, io);
  if (dryRun !== 'none') return;
  const present = plan.rows.flatMap(presentRow);
  await untilNodesEnforce(place, store, { present, deleted: [] }, timeoutMs, io);
}

/** A write would make it. */
function isUnmade({ config }: Place): boolean {
  return config.type === 'embedded' && !existsSync(config.file);
}

function tell({ rows, notices }: WritePlan, options: ApplyOptions, print: Printer | null, io: Io): void {
  const { dryRun = 'none', diff = false } = options;
  for (const notice of notices) io.note(`note: ${notice}`);
  if (print) io.out(print(rows.map(({ resource }) => resource)));
  else io.out(rows.map((row) => rowText(row, dryRun) + (diff ? changesText(row) : '')).join(''));
}
