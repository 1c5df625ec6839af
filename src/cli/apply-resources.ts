// SPDX-License-Identifier: Apache-2.0
/** Writing resources as a whole, telling what became of each, and waiting until it is enforced. */
import type { Datastore, Indexed } from '../contract/datastore.ts';
import type { Revision } from '../lib/brand.ts';
import { AlreadyExistsError, ConflictError, type Fault, InvalidError, NotFoundError } from '../lib/errors.ts';
import type { Resource } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';
import { untilNodesEnforce, type WaitOptions, waitingTime } from './enforcement.ts';
import type { Io } from './io.ts';
import { nameOfKey, objectName } from './object-name.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { plainOutput } from './plain-output.ts';
import { type PlanRow, planWrites, type WritePlan, type WriteVerb } from './write-plan.ts';

export interface ApplyOptions extends PlaceOptions, WaitOptions {
  /** `name`, `json` or `yaml` instead of lines for people. */
  readonly output?: string;
}

/** A plan is made again when someone else wrote meanwhile. */
const attempts = 5;

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
  const print = plainOutput(options.output);
  const timeoutMs = waitingTime(options);
  const valid = validated(resources);
  const place = await findPlace(options, io);
  await using store = await openStore(place, io, { mayCreate: verb !== 'replace' });
  const { rows, notices } = await writeAll(store, verb, valid);
  for (const notice of notices) io.note(`note: ${notice}`);
  io.out(print ? print(rows.map(({ resource }) => resource)) : rows.map(lineOf).join(''));
  await untilNodesEnforce(place, store, { present: rows.flatMap(presentRow), deleted: [] }, timeoutMs, io);
}

async function writeAll(
  store: Datastore,
  verb: WriteVerb,
  resources: readonly Resource[],
): Promise<WritePlan> {
  for (let attempt = 1; ; attempt++) {
    const { items } = await store.snapshot();
    const plan = planWrites(verb, resources, items);
    try {
      const stored = await store.writeAll(plan.writes);
      const written = new Map(stored.map((item) => [nameOfKey(item.key), item.resource]));
      const rows = plan.rows.map((row) => ({
        ...row,
        resource: written.get(nameOfKey(row.key)) ?? row.resource,
      }));
      return { ...plan, rows };
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

/** Resources from manifests were checked there, by line; those that commands make were not. */
function validated(resources: readonly Resource[]): readonly Resource[] {
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
function presentRow({ key, resource }: PlanRow): readonly Indexed[] {
  const revision = resource.metadata.resourceVersion;
  return revision === undefined ? [] : [{ key, revision: revision as Revision }];
}

function lineOf(row: PlanRow): string {
  return `${objectName(row.resource)} ${row.outcome}${row.remark === undefined ? '' : ` (${row.remark})`}\n`;
}
