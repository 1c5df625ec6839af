// SPDX-License-Identifier: Apache-2.0
/** `muslin diff -f`: before anything is stored, who would reach whom that does not now, and the other way round. */
import type { Command } from 'commander';
import { jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';
import type { DiffOptions } from '../policy-diff.ts';
import { manifestOptions, placeOptions } from '../write-options.ts';

interface Options extends DiffOptions {
  readonly all?: boolean;
  readonly exitCode?: boolean;
  readonly output?: string;
}

export function register(program: Command, io: Io): void {
  const command = program
    .command('diff')
    .description(
      'say which pairs of endpoints, for which ports, manifests would allow or deny; nothing is stored',
    );
  placeOptions(manifestOptions(command))
    .option('--against <path...>', 'manifests that stand for what is stored: no datastore is needed')
    .option('--delete', 'the manifests name what would be deleted')
    .option('--staged', 'with every staged policy in force afterwards; needs no -f')
    .option('--uplink <name>', "the nodes' link to each other, where host endpoints do not say")
    .option('--all', 'list every pair')
    .option('--exit-code', 'exit 8 when anything would become allowed or denied')
    .addOption(jsonOption())
    .action((options: Options) => diff(options, io));
}

async function diff(options: Options, io: Io): Promise<void> {
  const { UsageError } = await import('../../lib/errors.ts');
  if (!options.file && !options.staged) throw new UsageError('want -f FILE, a directory or -, or --staged');
  const { diffPolicies } = await import('../policy-diff.ts');
  const { diffText } = await import('../diff-report.ts');
  const report = await diffPolicies(options, io);
  io.out(
    options.output === 'json'
      ? `${JSON.stringify(report, null, 2)}\n`
      : diffText(report, options.all ?? false),
  );
  if (options.exitCode && report.changes.length > 0) throw new Told(exitCodes.problems);
}
