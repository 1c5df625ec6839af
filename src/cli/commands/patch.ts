// SPDX-License-Identifier: Apache-2.0
/** `muslin patch KIND NAME -p PATCH`. */
import { type Command, Option } from 'commander';
import type { Io } from '../io.ts';
import type { PatchOptions } from '../patch-resource.ts';
import { dryRunOption, placeOptions, waitOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const command = program
    .command('patch')
    .description('change fields of an object')
    .argument('<kind or kind/name>', 'for instance ippool, or ippool/default')
    .argument('[names...]')
    .option('-p, --patch <patch>', 'JSON or YAML')
    .option('--patch-file <file>', 'the same in a file, or -')
    .addOption(
      new Option('-t, --type <type>', 'how it is meant')
        .choices(['strategic', 'merge', 'json'])
        .default('strategic'),
    )
    .option('-n, --namespace <name>', 'the namespace; else default')
    .option('-o, --output <form>', 'name, json or yaml: the object as stored')
    .addOption(dryRunOption());
  waitOptions(placeOptions(command)).action(async (kind: string, names: string[], options: PatchOptions) => {
    const { patchResource } = await import('../patch-resource.ts');
    await patchResource([kind, ...names], options, io);
  });
}
