// SPDX-License-Identifier: Apache-2.0
/** `muslin edit KIND NAME`. */
import type { Command } from 'commander';
import type { EditOptions } from '../edit-resource.ts';
import type { Io } from '../io.ts';
import { placeOptions, waitOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const command = program
    .command('edit')
    .description('change an object in your editor: $VISUAL, $EDITOR or vi')
    .argument('<kind or kind/name>', 'for instance gnp, or gnp/deny-all')
    .argument('[name]')
    .option('-n, --namespace <name>', 'the namespace; else default');
  waitOptions(placeOptions(command)).action(
    async (kind: string, name: string | undefined, options: EditOptions) => {
      const { editResource } = await import('../edit-resource.ts');
      await editResource(name === undefined ? [kind] : [kind, name], options, io);
    },
  );
}
