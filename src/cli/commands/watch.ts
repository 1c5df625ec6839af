// SPDX-License-Identifier: Apache-2.0
/** `muslin watch KIND`: objects as they come, change and go. */
import { type Command, Option } from 'commander';
import type { Io } from '../io.ts';
import type { WatchOptions } from '../watch.ts';
import { placeOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const command = program
    .command('watch')
    .description('print objects as they are, then each change, until interrupted')
    .argument('<kind>', 'for instance pods, or tiers,gnp, or all')
    .option('-n, --namespace <name>', 'the namespace; else all of them')
    .option('-l, --selector <labels>', 'only objects with these labels')
    .option('--only-changes', 'not what is there already')
    .option('--timeout <duration>', 'end after so long; else never')
    .addOption(
      new Option('-o, --output <form>', 'name, or a JSON document a line: {"type", "object"}').choices([
        'name',
        'json',
        'ndjson',
      ]),
    );
  placeOptions(command).action(async (kind: string, options: WatchOptions) => {
    const { watchResources } = await import('../watch.ts');
    await watchResources(kind, options, io);
  });
}
