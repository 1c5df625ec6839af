// SPDX-License-Identifier: Apache-2.0
/** What the lab adds to what its users stored. */
import type { Datastore, Stored } from '../contract/datastore.ts';
import { AppError } from '../lib/errors.ts';
import type { Resource } from '../model/types.ts';

/** Someone may have written meanwhile: the next round, which his write brings, does it then. */
export async function writeBack(
  store: Datastore,
  { key, revision }: Stored,
  resource: Resource,
): Promise<void> {
  try {
    await store.update(key, resource, revision);
  } catch (error) {
    if (!(error instanceof AppError) || (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND'))
      throw error;
  }
}
