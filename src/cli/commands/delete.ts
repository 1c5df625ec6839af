// SPDX-License-Identifier: Apache-2.0
/** `muslin delete KIND NAME...`, `KIND/NAME...` or `-f`. */
import type { Command } from 'commander';
import type { DeleteOptions } from '../delete-resources.ts';
import type { Io } from '../io.ts';
import type { ManifestOptions } from '../manifests.ts';
import { manifestOptions, placeOptions, waitOptions } from '../write-options.ts';

type Options = DeleteOptions & ManifestOptions;

export function register(program: Command, io: Io): void {
  const command = program
    .command('delete')
    .description('delete objects; with a Namespace all that is in it')
    .argument('[kind or kind/name]', 'for instance networkpolicy, or pod/web-0')
    .argument('[names...]');
  waitOptions(placeOptions(manifestOptions(command)))
    .option('--ignore-not-found', 'no error when one does not exist')
    .action(async (kind: string | undefined, names: string[], options: Options) => {
      const { deleteResources } = await import('../delete-resources.ts');
      const words = kind === undefined ? [] : [kind, ...names];
      await deleteResources(await keysOf(words, options, io), options, io);
    });
}

async function keysOf(words: readonly string[], options: Options, io: Io) {
  const { UsageError } = await import('../../lib/errors.ts');
  if (words.length > 0 && options.file) throw new UsageError('want -f or names, not both');
  if (options.file) {
    const { readManifests } = await import('../manifests.ts');
    const { keyOf } = await import('../../model/kinds.ts');
    return (await readManifests(options, io)).map(keyOf);
  }
  const { parseReferences } = await import('../object-reference.ts');
  const { rows, keys } = parseReferences(words, options.namespace ?? 'default');
  if (rows.length > 0) throw new UsageError('want the names of what to delete, or -f');
  return keys;
}
