// SPDX-License-Identifier: Apache-2.0
/** `muslin validate -f`: every fault of manifests, without a datastore. */
import type { Command } from 'commander';
import { evaluating, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';
import type { ManifestOptions } from '../manifests.ts';
import { manifestOptions } from '../write-options.ts';

interface Options extends ManifestOptions {
  readonly output?: string;
  readonly defaults?: boolean;
}

export function register(program: Command, io: Io): void {
  const command = program.command('validate').description('say what is wrong with manifests');
  manifestOptions(command)
    .option('-o, --output <form>', 'json')
    .option('--defaults', 'of a filter: answer with the defaults filled in');
  evaluating<Options>(
    command,
    io,
    async ({ defaults }) => (await import('../evaluators/validate.ts')).validateRequest(defaults ?? false),
    (options) => validate(options, io),
  );
}

async function validate(options: Options, io: Io): Promise<void> {
  const { UsageError } = await import('../../lib/errors.ts');
  const { objectName } = await import('../object-name.ts');
  if (options.output !== undefined && options.output !== 'json')
    throw new UsageError(`-o: got ${JSON.stringify(options.output)}, want json`);
  const read = await (await import('../manifests.ts')).checkManifests(options, io);
  const faults = read.flatMap((manifest) => manifest.faults);
  const entries = read.flatMap((manifest) => manifest.resources);
  if (options.output === 'json') {
    const resources = entries.map(({ resource, origin }) => ({ ...origin, name: objectName(resource) }));
    io.out(`${JSON.stringify({ valid: faults.length === 0, resources, errors: faults }, null, 2)}\n`);
  } else {
    const { faultText } = await import('../exit.ts');
    io.out(
      entries
        .map(({ resource, origin }) => `${origin.file}:${origin.line}: ${objectName(resource)} valid\n`)
        .join(''),
    );
    for (const fault of faults) io.note(faultText(fault));
  }
  if (faults.length > 0) throw new Told(exitCodes.invalid);
}
