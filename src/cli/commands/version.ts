// SPDX-License-Identifier: Apache-2.0
/** `muslin version`. */
import { type Command, Option } from 'commander';
import type { Io } from '../io.ts';
import type { VersionOptions } from '../version.ts';
import { placeOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const command = program
    .command('version')
    .description('print our version and what the cluster says of its own')
    .option('--client', 'ours alone: no store is asked')
    .option('--poll <duration>', 'ask again and again, and print what changes, until interrupted')
    .addOption(new Option('-o, --output <form>', 'for programs').choices(['json', 'yaml']));
  placeOptions(command).action(async (options: VersionOptions) => {
    const { printVersion } = await import('../version.ts');
    await printVersion(options, io);
  });
}
