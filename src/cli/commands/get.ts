// SPDX-License-Identifier: Apache-2.0
/** `muslin get KIND [NAME...]`, `KIND/NAME...`, `KIND,KIND`, `all`. */
import type { Command } from 'commander';
import type { GetOptions } from '../get-resources.ts';
import type { Io } from '../io.ts';
import { placeOptions } from '../write-options.ts';

const forms = `
Forms of -o:
  wide                            more columns
  yaml, json                      the objects; apply reads them back
  name                            kind.group/namespace/name, as get and delete take it
  custom-columns=TITLE:.path,...  a table of your own
  jsonpath=TEMPLATE               {.path}, {.items[*].metadata.name}, {"text\\n"}, {range .items[*]}...{end}

Selectors of -l are kubectl's (a=b,c!=d,e in (x,y),f notin (z),g,!h) or Calico's (a == "b" && has(c)).`;

export function register(program: Command, io: Io): void {
  const command = program
    .command('get')
    .description('print objects')
    .argument('<kind or kind/name>', 'for instance pods, tiers,gnp, all, or pod/web-0')
    .argument('[names...]')
    .option('-n, --namespace <name>', 'the namespace; else default')
    .option('-A, --all-namespaces', 'all of them')
    .option('-l, --selector <labels>', 'only objects with these labels')
    .option('-o, --output <form>', 'how to print, see below')
    .option('--no-headers', 'tables without their first line')
    .addHelpText('after', forms);
  placeOptions(command).action(async (kind: string, names: string[], options: GetOptions) => {
    const { getResources } = await import('../get-resources.ts');
    await getResources([kind, ...names], options, io);
  });
}
