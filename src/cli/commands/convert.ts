// SPDX-License-Identifier: Apache-2.0
/** `muslin convert -f`: Kubernetes objects as the v3 objects that they become. */
import type { Command } from 'commander';
import { evaluating } from '../command.ts';
import type { Io } from '../io.ts';
import type { ManifestOptions } from '../manifests.ts';
import { manifestOptions } from '../write-options.ts';

interface Options extends ManifestOptions {
  readonly output: string;
}

export function register(program: Command, io: Io): void {
  const command = program.command('convert').description('print Kubernetes objects as Calico objects');
  manifestOptions(command).option('-o, --output <form>', 'yaml, json or name', 'yaml');
  evaluating<Options>(
    command,
    io,
    async () => (await import('../evaluators/validate.ts')).convertRequest,
    (options) => convert(options, io),
  );
}

async function convert(options: Options, io: Io): Promise<void> {
  const { plainOutput } = await import('../plain-output.ts');
  const { readManifests } = await import('../manifests.ts');
  const { convertKubernetes } = await import('../../model/kubernetes/convert.ts');
  const print = plainOutput(options.output);
  const resources = (await readManifests(options, io)).map(convertKubernetes);
  if (print) io.out(print(resources));
}
