// SPDX-License-Identifier: Apache-2.0
/** One `lab up` at a time in a folder: two would take away each other's beginnings. */
import { createServer } from 'node:net';
import { AlreadyExistsError } from '../lib/errors.ts';
import type { LabLayout } from './layout.ts';

/**
 * An abstract Unix socket (unix(7)): it needs no file, and ends with its process however that ends.
 *
 * @throws {AlreadyExistsError} while somebody else has it.
 */
export async function claimStart(layout: LabLayout): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(`\0${layout.prefix}start`, resolve);
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new AlreadyExistsError(`a lab is being started in ${layout.folder} already`);
  });
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}
