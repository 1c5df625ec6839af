// SPDX-License-Identifier: Apache-2.0
/** The two states of `muslin diff`: what is stored, and what would be. Nothing is written. */
import type { Stored } from '../contract/datastore.ts';
import type { Address, Revision } from '../lib/brand.ts';
import { keyOf, keyPath } from '../model/kinds.ts';
import type { Resource } from '../model/types.ts';
import { addressedPods } from './addressed-pods.ts';
import { planDeletion } from './delete-resources.ts';
import { nameOfKey } from './object-name.ts';
import { planWrites } from './write-plan.ts';

export interface DiffStates {
  readonly before: readonly Resource[];
  readonly after: readonly Resource[];
  /** Objects that would change. */
  readonly objects: readonly { readonly name: string; readonly outcome: string }[];
  readonly notices: readonly string[];
  /** Pods without an address that were given one. */
  readonly imagined: number;
}

/**
 * As `apply` of the manifests would leave it, or `delete`.
 *
 * @throws {InvalidError} {NotFoundError} {ConflictError} as they would.
 */
export function diffStates(
  stored: readonly Stored[],
  manifests: readonly Resource[],
  isDeletion: boolean,
): DiffStates {
  const planned = isDeletion ? deletion(stored, manifests) : application(stored, manifests);
  const given = new Map<string, readonly Address[]>();
  const before = addressedPods(
    stored.map(({ resource }) => resource),
    given,
  );
  const after = addressedPods(planned.after, given);
  return { ...planned, before: before.resources, after: after.resources, imagined: given.size };
}

/** Manifests in the place of a store. */
export function storedManifests(manifests: readonly Resource[]): readonly Stored[] {
  const { rows } = planWrites('apply', manifests, []);
  return rows.map(({ key, resource }) => ({ key, resource, revision: '' as Revision }));
}

type Planned = Pick<DiffStates, 'after' | 'objects' | 'notices'>;

function application(stored: readonly Stored[], manifests: readonly Resource[]): Planned {
  const { rows, notices } = planWrites('apply', manifests, stored);
  const byPath = new Map(stored.map(({ key, resource }) => [keyPath(key), resource]));
  for (const { key, resource } of rows) byPath.set(keyPath(key), resource);
  const objects = rows
    .filter(({ outcome }) => outcome !== 'unchanged')
    .map(({ key, outcome }) => ({ name: nameOfKey(key), outcome }));
  return { after: [...byPath.values()], objects, notices };
}

function deletion(stored: readonly Stored[], manifests: readonly Resource[]): Planned {
  const doomed = new Set(planDeletion(manifests.map(keyOf), stored, false));
  const objects = [...doomed].map(({ key }) => ({ name: nameOfKey(key), outcome: 'deleted' }));
  const staying = stored.filter((item) => !doomed.has(item));
  return { after: staying.map(({ resource }) => resource), objects, notices: [] };
}
