// SPDX-License-Identifier: Apache-2.0
/** Options that mean the same on every command that reads manifests or writes resources. */
import { type Command, Option } from 'commander';
import { dryRuns } from './dry-run.ts';
import type { Io } from './io.ts';
import type { ManifestOptions } from './manifests.ts';
import type { ServerSideOptions } from './server-side.ts';
import type { WriteVerb } from './write-plan.ts';

export function manifestOptions(command: Command): Command {
  return command
    .option('-f, --file <path...>', 'manifests: file, directory or -')
    .option('-R, --recursive', 'also the directories below')
    .option('--skip-empty', 'no error when there is no object in them')
    .option(
      '--skip-unsupported',
      'leave out objects of kinds that are not read (Deployment, ConfigMap...), and say so',
    )
    .option('-n, --namespace <name>', 'for objects that name none');
}

export function placeOptions(command: Command): Command {
  return command
    .option('--datastore <file>', "an embedded store; else what the environment names, or the lab's")
    .option(
      '-c, --config <file>',
      "Calico's file that names an etcd or Kubernetes store (kind: CalicoAPIConfig)",
    )
    .option('--kubeconfig <files>', 'a Kubernetes store')
    .option('--context <name>', 'of the kubeconfig; else its current one')
    .addOption(new Option('--allow-version-mismatch', 'taken for the sake of calicoctl').hideHelp())
    .option('--lab <folder>', 'the lab; else MUSLIN_LAB or .lab in the clone');
}

/** Objects that are chosen, not named. `-n` is there already where manifests are read. */
export function choiceOptions(command: Command): Command {
  if (!command.options.some(({ long }) => long === '--namespace'))
    command.option('-n, --namespace <name>', 'the namespace; else default');
  return command
    .option('-l, --selector <labels>', 'all objects of the kind with these labels')
    .option('--all', 'all objects of the kind')
    .option('-A, --all-namespaces', 'with -l or --all: in every namespace')
    .addOption(new Option('-a', "calicoctl's -A").hideHelp());
}

/** One rule for all that write: they wait for what follows from the write, unless told not to. */
export function waitOptions(command: Command): Command {
  return command
    .option(
      '--wait',
      'until objects that are deleted are gone, and the nodes of the lab enforce all (default)',
    )
    .option('--no-wait', 'end when it is stored; as --wait=false')
    .option('--timeout <duration>', 'how long to wait', '30s');
}

export function dryRunOption(): Option {
  return new Option('--dry-run [how]', 'write nothing; server asks the store too, where it can be asked')
    .choices([...dryRuns])
    .preset('client');
}

/** The whole of apply, create and replace: they differ in what may exist before. */
export function registerWrite(program: Command, io: Io, verb: WriteVerb, description: string): Command {
  const command = program.command(verb).description(description);
  return waitOptions(placeOptions(manifestOptions(command)))
    .addOption(dryRunOption())
    .option('--diff', 'print which fields change, under each object')
    .option('-o, --output <form>', 'name, json or yaml: the objects as stored')
    .action(async (options: ManifestOptions & ServerSideOptions) => {
      const { readManifests } = await import('./manifests.ts');
      const resources = await readManifests(options, io);
      if (options.serverSide) {
        const { applyServerSide } = await import('./server-side.ts');
        return applyServerSide(resources, options, io);
      }
      const { applyResources } = await import('./apply-resources.ts');
      await applyResources(resources, options, io, verb);
    });
}
