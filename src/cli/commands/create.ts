// SPDX-License-Identifier: Apache-2.0
/** `muslin create -f`: exit 4 when one exists already. */
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { registerWrite } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  registerWrite(program, io, 'create', 'create objects, none of which may exist').option(
    '--skip-exists',
    'leave those that exist as they are',
  );
}
