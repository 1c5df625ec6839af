// SPDX-License-Identifier: Apache-2.0
/** The namespace that a kubeconfig's context names. Loaded only as a plug-in of kubectl. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { isObject, listAt, textAt } from '../model/json.ts';
import type { Io } from './io.ts';
import { kubeconfigPaths } from './plugin.ts';

/** Gives `command` the namespace of the context, where it takes one and none was said. */
export function useContextNamespace(command: Command, io: Io): void {
  const takes = command.options.some(({ long }) => long === '--namespace');
  const { namespace, kubeconfig, context } = command.opts<ContextOptions>();
  if (!takes || namespace !== undefined || command.name() === 'watch') return;
  const found = contextNamespace(kubeconfig?.split(':') ?? kubeconfigPaths(io.env), context);
  if (found !== '') command.setOptionValue('namespace', found);
}

interface ContextOptions {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Empty where none is written; what is wrong with the files is told by whoever opens the store. */
function contextNamespace(paths: readonly string[], wanted: string | undefined): string {
  const files = paths.map(readOrNull).filter(isObject);
  const name = wanted ?? files.map((file) => textAt(file, 'current-context')).find((each) => each !== '');
  const entries = files.flatMap((file) => listAt(file, 'contexts'));
  const entry = entries.find((each) => textAt(each, 'name') === name);
  return textAt(entry, 'context', 'namespace');
}

function readOrNull(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
