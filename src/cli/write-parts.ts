// SPDX-License-Identifier: Apache-2.0
/** Writes of more objects than the store takes in one transaction. */
import type { Datastore, Stored, Write } from '../contract/datastore.ts';
import { AppError, PartialWriteError, UnsupportedError } from '../lib/errors.ts';

/** Transactions of this many objects: etcd's default limit is 128 operations. */
const atOnce = 100;

/**
 * In one transaction where the store can, else in several.
 *
 * @throws {PartialWriteError} when one of several was refused after others were done.
 */
export async function writeWhole(store: Datastore, writes: readonly Write[]): Promise<readonly Stored[]> {
  try {
    return await store.writeAll(writes);
  } catch (error) {
    if (!(error instanceof UnsupportedError) || writes.length <= atOnce) throw error;
    return writeInParts(store, writes);
  }
}

/** @throws {PartialWriteError} naming how many objects were written. */
export async function writeInParts(store: Datastore, writes: readonly Write[]): Promise<readonly Stored[]> {
  const stored: Stored[] = [];
  for (let at = 0; at < writes.length; at += atOnce) {
    try {
      stored.push(...(await store.writeAll(writes.slice(at, at + atOnce))));
    } catch (error) {
      if (at === 0 || !(error instanceof AppError)) throw error;
      throw new PartialWriteError(
        `${error.message}; ${at} of ${writes.length} objects were written before; do it again when that is mended`,
        { cause: error },
      );
    }
  }
  return stored;
}
