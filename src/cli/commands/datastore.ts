// SPDX-License-Identifier: Apache-2.0
/** `muslin datastore migrate export|import|lock|unlock` and `confirm-deletions`. */
import type { Command } from 'commander';
import { whichAgents } from '../agent-options.ts';
import { group } from '../command.ts';
import type { ConfirmOptions } from '../confirm-deletions.ts';
import type { Io } from '../io.ts';
import type { ExportOptions, ImportOptions } from '../migration.ts';
import type { PlaceOptions } from '../place.ts';
import { placeOptions } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  const datastore = group(
    program,
    'datastore',
    'the store itself: moving to another, and what its nodes hold back',
  );
  const migrate = group(
    datastore,
    'migrate',
    'move everything from one store to another: lock, export, import, unlock',
  );
  placeOptions(
    migrate
      .command('export')
      .description('print everything that is stored, once it is locked, for import')
      .option('--calico-only', 'without what a cluster of Kubernetes has by itself: its own kinds'),
  ).action(async (options: ExportOptions) => {
    const { exportStore } = await import('../migration.ts');
    await exportStore(options, io);
  });
  placeOptions(
    migrate
      .command('import')
      .description('store what export printed; what is there already is made the same')
      .requiredOption('-f, --file <path>', 'the export, or - for standard input'),
  ).action(async (options: ImportOptions) => {
    const { importStore } = await import('../migration.ts');
    await importStore(options, io);
  });
  for (const verb of ['lock', 'unlock'] as const) {
    const does = verb === 'lock' ? 'stop others from using the store' : 'let others use the store again';
    placeOptions(
      migrate.command(verb).description(`${does}: ClusterInformation default, datastoreReady`),
    ).action(async (options: PlaceOptions) => {
      const { setLock } = await import('../migration.ts');
      await setLock(verb === 'lock', options, io);
    });
  }
  whichAgents(
    datastore
      .command('confirm-deletions')
      .description('let nodes forget what a list lacked in a mass (E-MASSDELETE): it was meant'),
  ).action(async (options: ConfirmOptions) => {
    const { confirmDeletions } = await import('../confirm-deletions.ts');
    await confirmDeletions(options, io);
  });
}
