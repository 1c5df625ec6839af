// SPDX-License-Identifier: Apache-2.0
/** After a write: waiting until the lab's nodes enforce it, and saying so. */
import type { Datastore, Indexed } from '../contract/datastore.ts';
import { later, positionOf } from '../contract/revision.ts';
import type { Revision } from '../lib/brand.ts';
import type { ResourceKey } from '../model/types.ts';
import { Told } from './command.ts';
import { parseDurationMs } from './duration.ts';
import { exitCodes } from './exit.ts';
import type { Io } from './io.ts';
import type { Place } from './place.ts';
import { plural } from './plural.ts';
import { unbalancedServices } from './unbalanced-services.ts';

export interface WaitOptions {
  /** `--no-wait` makes it false. */
  readonly wait?: boolean;
  /** @defaultValue `30s` */
  readonly timeout?: string;
}

/** Read before anything is written: null for not at all. @throws {UsageError} */
export function waitingTime(options: WaitOptions): number | null {
  const timeoutMs = parseDurationMs(options.timeout ?? '30s', '--timeout');
  return options.wait === false ? null : timeoutMs;
}

export interface Written {
  readonly present: readonly Indexed[];
  readonly deleted: readonly ResourceKey[];
}

/** An object tells its own revision; that of a deletion is told by what is listed after it. */
async function positionAfter(store: Datastore, { present, deleted }: Written): Promise<Revision> {
  const position = positionOf(present);
  const kinds = [...new Set(deleted.map(({ kind }) => kind))];
  return kinds.length === 0 ? position : later(position, await store.position(kinds));
}

/** Pods that the lab could not run, with its reasons. */
async function failedPods(store: Datastore): Promise<readonly string[]> {
  const { items } = await store.list('Pod');
  return items.flatMap(({ key, resource }) => {
    const { phase, message } = (resource.status ?? {}) as { phase?: string; message?: string };
    return phase === 'Failed'
      ? [`pod ${key.namespace}/${key.name} does not run: ${message ?? 'no reason given'}`]
      : [];
  });
}

/**
 * Does nothing outside a lab, where nobody is known who could enforce.
 *
 * @throws {Told} 7 when only some nodes got there, 9 when none did. {UnavailableError} when the lab does not answer.
 */
export async function untilNodesEnforce(
  place: Place,
  store: Datastore,
  written: Written,
  timeoutMs: number | null,
  io: Io,
): Promise<void> {
  if (!place.lab || timeoutMs === null) return;
  const { layout, spec } = place.lab;
  const { untilEnforced } = await import('../lab/control.ts');
  const revision = await positionAfter(store, written);
  const { milliseconds, late } = await untilEnforced(layout, spec, revision, Math.ceil(timeoutMs));
  const inForce = spec.nodes.filter(({ name }) => !late.some(({ node }) => node === name)).length;
  for (const { node, reasons } of late) {
    io.note(`${node} does not enforce it yet: ${reasons.join('; ') || 'it gave no reason'}`);
  }
  for (const failure of await failedPods(store)) io.note(`note: ${failure}`);
  for (const note of await unbalancedServices(store, place.lab.spec)) io.note(`note: ${note}`);
  io.note(`enforced on ${inForce} of ${plural(spec.nodes.length, 'node')} in ${Math.round(milliseconds)} ms`);
  if (late.length > 0) throw new Told(inForce > 0 ? exitCodes.partial : exitCodes.timeout);
}
