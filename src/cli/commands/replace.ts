// SPDX-License-Identifier: Apache-2.0
/** `muslin replace -f`: exit 3 when one does not exist. */
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { registerWrite } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  registerWrite(program, io, 'replace', 'change objects, all of which must exist');
}
