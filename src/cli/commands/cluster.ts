// SPDX-License-Identifier: Apache-2.0
/** `muslin cluster diags`. */
import type { Command } from 'commander';
import type { DiagsOptions } from '../cluster-diags.ts';
import { group } from '../command.ts';
import type { Io } from '../io.ts';
import { placeOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const diags = group(program, 'cluster', 'the cluster as a whole')
    .command('diags')
    .description('collect objects, states, logs and rules into one archive, without secrets')
    .option('--since <duration>', 'of logs only what is younger; 0s: all', '0s')
    .option('--max-logs <number>', 'of how many nodes the logs', '5')
    .option('--output <file>', 'the archive; else muslin-diags-TIME.tar.gz here');
  placeOptions(diags).action(async (options: DiagsOptions) => {
    const { collectDiags } = await import('../cluster-diags.ts');
    await collectDiags(options, io);
  });
}
