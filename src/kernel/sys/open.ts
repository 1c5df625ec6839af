// SPDX-License-Identifier: Apache-2.0
/** The process's one Sys: koffi, or node:ffi if MUSLIN_SYS says so. */
import { InvalidError } from '../../lib/errors.ts';
import { linuxSys } from './linux.ts';
import type { Sys } from './sys.ts';

/**
 * @param backend - `koffi`, `node-ffi`. Loaded only when chosen, so that a host needs but one of them.
 * @throws {InvalidError} {UnsupportedError}
 */
export async function openSys(backend: string): Promise<Sys> {
  switch (backend) {
    case 'koffi':
      return linuxSys((await import('./koffi.ts')).openKoffi());
    case 'node-ffi':
      return linuxSys((await import('./node-ffi.ts')).openNodeFfi());
    default:
      throw new InvalidError(`MUSLIN_SYS: got ${JSON.stringify(backend)}, want koffi or node-ffi`);
  }
}

export const sys: Sys = await openSys(process.env.MUSLIN_SYS || 'koffi');
