// SPDX-License-Identifier: Apache-2.0
/** `muslin get KIND [NAME...]`, `KIND/NAME...`, `KIND,KIND`, `all`. */
import { type Command, Option } from 'commander';
import type { GetOptions } from '../get-resources.ts';
import type { Io } from '../io.ts';
import { placeOptions } from '../write-options.ts';

const forms = `
Forms of -o:
  wide                            more columns
  ps                              calicoctl's word for the table that is printed without -o
  yaml, json                      the objects; apply reads them back
  ndjson                          an object a line
  name                            kind.group/namespace/name, as get and delete take it
  custom-columns=TITLE:.path,...  a table of your own
  jsonpath=TEMPLATE               {.path}, {.items[*].metadata.name}, {"text\\n"}, {range .items[*]}...{end}
  go-template=TEMPLATE            {{.metadata.name}}, {{range .items}}...{{end}}, if, else, with, index, len, eq, ne, not
  go-template-file=FILE           the same in a file

Selectors of -l are kubectl's (a=b,c!=d,e in (x,y),f notin (z),g,!h) or Calico's (a == "b" && has(c)).`;

export function register(program: Command, io: Io): void {
  const command = program
    .command('get')
    .description('print objects')
    .argument('[kind or kind/name]', 'for instance pods, tiers,gnp, all, or pod/web-0')
    .argument('[names...]')
    .option('-f, --file <path...>', 'the objects of these manifests')
    .option('-R, --recursive', 'also the directories below')
    .option('--skip-empty', 'no error when there is no object in them')
    .option('-n, --namespace <name>', 'the namespace; else default')
    .option('-A, --all-namespaces', 'all of them')
    .addOption(new Option('-a', "calicoctl's -A").hideHelp())
    .option('-l, --selector <labels>', 'only objects with these labels')
    .option('-o, --output <form>', 'how to print, see below')
    .option('--no-headers', 'tables without their first line')
    .option('--export', 'without what belongs to this cluster alone: uid, times, versions')
    .option(
      '--at <revision or time>',
      'as it was: a revision, 2026-01-31T12:00:00Z, or 10m ago (embedded store)',
    )
    .option('-w, --watch', 'then each change, as muslin watch prints them')
    .addHelpText('after', forms);
  placeOptions(command).action(
    async (kind: string | undefined, names: string[], given: GetOptions & GetFlags) => {
      const options = given.a ? { ...given, allNamespaces: true } : given;
      const words = kind === undefined ? [] : [kind, ...names];
      const { getResources } = await import('../get-resources.ts');
      await getResources(words, options, io);
      if (given.watch) await watchOn(words, options, io);
    },
  );
}

interface GetFlags {
  readonly a?: boolean;
  readonly watch?: boolean;
}

/** After the list: of these kinds. */
async function watchOn(words: readonly string[], options: GetOptions, io: Io): Promise<void> {
  const { watchResources } = await import('../watch.ts');
  const { UsageError } = await import('../../lib/errors.ts');
  const [kind] = words;
  if (words.length !== 1 || kind === undefined || kind.includes('/'))
    throw new UsageError('-w watches kinds, not single objects: want KIND');
  const { allNamespaces, namespace, output, ...rest } = options;
  const isJson = output === 'json' || output === 'yaml' || output === 'ndjson';
  await watchResources(
    kind,
    {
      ...rest,
      onlyChanges: true,
      ...(allNamespaces ? {} : { namespace: namespace ?? 'default' }),
      ...(isJson ? { output: 'json' as const } : {}),
    },
    io,
  );
}
