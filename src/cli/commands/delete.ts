// SPDX-License-Identifier: Apache-2.0
/** `muslin delete KIND NAME...`, `KIND/NAME...`, `KIND -l`, `KIND --all` or `-f`. */
import type { Command } from 'commander';
import type { DeleteOptions } from '../delete-resources.ts';
import type { Io } from '../io.ts';
import type { ManifestOptions } from '../manifests.ts';
import type { Choice, ChoiceOptions } from '../object-choice.ts';
import { choiceOptions, dryRunOption, manifestOptions, placeOptions, waitOptions } from '../write-options.ts';

type Options = DeleteOptions & ManifestOptions & ChoiceOptions;

interface Spellings {
  readonly a?: boolean;
  readonly skipNotExists?: boolean;
}

export function register(program: Command, io: Io): void {
  const command = program
    .command('delete')
    .description('delete objects; with a Namespace all that is in it')
    .argument('[kind or kind/name]', 'for instance networkpolicy, or pod/web-0')
    .argument('[names...]');
  waitOptions(placeOptions(choiceOptions(manifestOptions(command))))
    .option('--ignore-not-found', 'no error when one does not exist')
    .option('--skip-not-exists', "calicoctl's --ignore-not-found")
    .option('-o, --output <form>', 'name: for programs')
    .addOption(dryRunOption())
    .action(async (kind: string | undefined, names: string[], given: Options & Spellings) => {
      const { deleteResources } = await import('../delete-resources.ts');
      const words = kind === undefined ? [] : [kind, ...names];
      const { a = false, skipNotExists = false, ...rest } = given;
      const options = {
        ...rest,
        ...(a ? { allNamespaces: true } : {}),
        ...(skipNotExists ? { ignoreNotFound: true } : {}),
      };
      await deleteResources(await choiceOf(words, options, io), options, io);
    });
}

async function choiceOf(words: readonly string[], options: Options, io: Io): Promise<Choice> {
  const { UsageError } = await import('../../lib/errors.ts');
  if (words.length > 0 && options.file) throw new UsageError('want -f or names, not both');
  if (options.file) {
    if (options.selector !== undefined || options.all)
      throw new UsageError('want -f, or a kind with -l or --all, not both');
    const { readManifests } = await import('../manifests.ts');
    const { keyOf } = await import('../../model/kinds.ts');
    const keys = (await readManifests(options, io)).map(keyOf);
    return () => keys;
  }
  const { parseChoice } = await import('../object-choice.ts');
  return parseChoice(words, options);
}
