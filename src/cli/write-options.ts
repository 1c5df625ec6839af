// SPDX-License-Identifier: Apache-2.0
/** Options that mean the same on every command that reads manifests or writes resources. */
import { type Command, Option } from 'commander';
import type { ApplyOptions } from './apply-resources.ts';
import type { Io } from './io.ts';
import type { ManifestOptions } from './manifests.ts';
import type { WriteVerb } from './write-plan.ts';

export function manifestOptions(command: Command): Command {
  return command
    .option('-f, --file <path...>', 'manifests: file, directory or -')
    .option('-R, --recursive', 'also the directories below')
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

export function waitOptions(command: Command): Command {
  return command
    .option('--no-wait', 'do not wait until the nodes of the lab enforce it')
    .option('--timeout <duration>', 'how long to wait for them', '30s');
}

/** The whole of apply, create and replace: they differ in what may exist before. */
export function registerWrite(program: Command, io: Io, verb: WriteVerb, description: string): void {
  const command = program.command(verb).description(description);
  waitOptions(placeOptions(manifestOptions(command)))
    .option('-o, --output <form>', 'name, json or yaml: the objects as stored')
    .action(async (options: ManifestOptions & ApplyOptions) => {
      const { readManifests } = await import('./manifests.ts');
      const resources = await readManifests(options, io);
      const { applyResources } = await import('./apply-resources.ts');
      await applyResources(resources, options, io, verb);
    });
}
