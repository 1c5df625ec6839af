// SPDX-License-Identifier: Apache-2.0
/** `muslin label KIND NAME KEY=VALUE... KEY-`. */
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import type { LabelOptions } from '../label-resources.ts';
import { choiceOptions, dryRunOption, placeOptions, waitOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const command = program
    .command('label')
    .description('set labels of objects, or take them away')
    .argument('<kind or kind/name>', 'for instance pods, or hep/node1-eth0')
    .argument('<names and labels...>', 'NAME..., then KEY=VALUE to set and KEY- to take away')
    .option('--overwrite', 'also labels that have another value now; without it that is a conflict')
    .option('--remove', "calicoctl's: the labels are keys, to take away")
    .option('-o, --output <form>', 'name, json or yaml: the objects as stored')
    .addOption(dryRunOption());
  waitOptions(placeOptions(choiceOptions(command))).action(
    async (kind: string, words: string[], given: LabelOptions & { a?: boolean }) => {
      const { labelResources } = await import('../label-resources.ts');
      const options = given.a ? { ...given, allNamespaces: true } : given;
      await labelResources([kind, ...words], options, io);
    },
  );
}
