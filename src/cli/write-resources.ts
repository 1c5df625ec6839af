// SPDX-License-Identifier: Apache-2.0
/** From a plan to the store, again when someone else was faster, and what became of it told. */
import type { Datastore, Indexed, Stored, Write } from '../contract/datastore.ts';
import type { KeyPath, Revision } from '../lib/brand.ts';
import { AlreadyExistsError, ConflictError, type Fault, InvalidError, NotFoundError } from '../lib/errors.ts';
import { keyPath } from '../model/kinds.ts';
import type { Resource } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';
import { type DryRun, dryRunMarks, writeOrTry } from './dry-run.ts';
import { objectName } from './object-name.ts';
import { changesBetween } from './value-diff.ts';
import type { PlanRow, WritePlan } from './write-plan.ts';

/** A plan is made again when someone else wrote meanwhile. */
const attempts = 5;

/**
 * @param planOf - of what is stored; whatever it throws ends the matter.
 * @returns the plan as it came about: each row with the object as stored, or as a dry run says that it would be.
 * @throws {ConflictError} when others were faster five times.
 */
export async function writePlanned(
  store: Datastore,
  planOf: (stored: readonly Stored[]) => WritePlan,
  dryRun: DryRun,
): Promise<WritePlan> {
  for (let attempt = 1; ; attempt++) {
    const plan = planOf((await store.snapshot()).items);
    try {
      const stored = await writeOrTry(store, plan.writes, dryRun);
      return { ...plan, rows: settledRows(plan, stored) };
    } catch (error) {
      if (!isLostRace(error) || attempt === attempts) throw error;
    }
  }
}

/** The plan was right for what it saw: a key that came, went or changed since is someone else's write. */
function isLostRace(error: unknown): boolean {
  return (
    error instanceof ConflictError || error instanceof AlreadyExistsError || error instanceof NotFoundError
  );
}

/** What the store keeps in its own form may come out as it was: then nothing was changed. */
function settledRows({ rows, writes }: WritePlan, stored: readonly Stored[]): readonly PlanRow[] {
  const now = new Map<KeyPath, Stored>(stored.map((item) => [keyPath(item.key), item]));
  const before = new Map<KeyPath, Write>(writes.map((write) => [keyPath(write.key), write]));
  return rows.map((row) => {
    const path = keyPath(row.key);
    const item = now.get(path);
    const write = before.get(path);
    if (!item) return row;
    const isSame = write?.op === 'update' && write.ifRevision === item.revision;
    return { ...row, resource: item.resource, ...(isSame ? { outcome: 'unchanged' as const } : {}) };
  });
}

/** Resources from manifests were checked there, by line; those that commands make were not. @throws {InvalidError} */
export function validResources(resources: readonly Resource[]): readonly Resource[] {
  const faults: Fault[] = [];
  const valid = resources.flatMap((given) => {
    const { resource, faults: found } = validateResource(given);
    faults.push(
      ...found.map((fault) => ({ ...fault, path: `${given.kind} ${given.metadata.name} ${fault.path}` })),
    );
    return resource ? [resource] : [];
  });
  if (faults.length > 0) throw new InvalidError(`${faults.length} faults in resources`, faults);
  return valid;
}

/** Also what was not changed: it may have been written only just now. */
export function presentRow({ key, resource }: PlanRow): readonly Indexed[] {
  const revision = resource.metadata.resourceVersion;
  return revision === undefined ? [] : [{ key, revision: revision as Revision }];
}

/** @param outcome - in place of the row's own. */
export function rowText(row: PlanRow, dryRun: DryRun, outcome: string = row.outcome): string {
  const remark = row.remark === undefined ? '' : ` (${row.remark})`;
  return `${objectName(row.resource)} ${outcome}${remark}${dryRunMarks[dryRun]}\n`;
}

/** Field by field, indented under the row. */
export function changesText({ before, resource }: PlanRow): string {
  if (!before) return '';
  return changesBetween(before, resource)
    .map((line) => `  ${line}\n`)
    .join('');
}
