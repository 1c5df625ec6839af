// SPDX-License-Identifier: Apache-2.0
/** `muslin history KIND/NAME`: what an object was, when it became so, and who made it so. */
import { type Command, Option } from 'commander';
import type { HistoryOptions } from '../history.ts';
import type { Io } from '../io.ts';
import { placeOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const command = program
    .command('history')
    .description('print the changes of an object that the embedded store remembers, oldest first')
    .argument('<kind/name>', 'or KIND NAME, for instance gnp/deny-all')
    .argument('[name]')
    .option('-n, --namespace <name>', 'the namespace; else default')
    .addOption(
      new Option('-o, --output <form>', 'for programs: with the object at each change').choices([
        'json',
        'yaml',
      ]),
    );
  placeOptions(command).action(async (kind: string, name: string | undefined, options: HistoryOptions) => {
    const { printHistory } = await import('../history.ts');
    await printHistory(name === undefined ? [kind] : [kind, name], options, io);
  });
}
