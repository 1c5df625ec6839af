// SPDX-License-Identifier: Apache-2.0
/** Which stored objects a command works on: by name, by their labels (`-l`), or all of a kind (`--all`). */
import type { Stored } from '../contract/datastore.ts';
import { UsageError } from '../lib/errors.ts';
import { recordOf, textMapAt } from '../model/json.ts';
import type { KindRow } from '../model/kinds.ts';
import type { ResourceKey } from '../model/types.ts';
import { parseLabelFilter } from './label-filter.ts';
import { parseReferences } from './object-reference.ts';
import { isBuiltinTier } from './write-plan.ts';

export interface ChoiceOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly all?: boolean;
}

/** Keys that are named need not be stored; those that are chosen are. */
export type Choice = (stored: readonly Stored[]) => readonly ResourceKey[];

/** @throws {UsageError} */
export function parseChoice(words: readonly string[], options: ChoiceOptions): Choice {
  const { namespace = 'default', selector, all = false } = options;
  const { rows, keys } = parseReferences(words, namespace);
  const isChosen = selector !== undefined || all;
  if (rows.length === 0) {
    if (isChosen || options.allNamespaces)
      throw new UsageError('-l, --all and -A choose among all objects of a kind: they take no names');
    return () => keys;
  }
  if (!isChosen) throw new UsageError('want the names of objects, -l SELECTOR, --all or -f FILE');
  if (selector !== undefined && all) throw new UsageError('want -l or --all, not both');
  if (words[0] === 'all') throw new UsageError('got all, want the kinds that are meant: pods,services...');
  const filter = selector === undefined ? () => true : parseLabelFilter(selector);
  return (stored) =>
    stored
      .filter((item) => isAskedFor(item, rows, options))
      .filter(({ resource }) => filter(recordOf(textMapAt(resource, 'metadata', 'labels'))))
      .map(({ key }) => key);
}

/** What is built in is nobody's to choose: a cluster may store it all the same. */
function isAskedFor({ key }: Stored, rows: readonly KindRow[], options: ChoiceOptions): boolean {
  if (!rows.some((row) => row.kind === key.kind) || isBuiltinTier(key)) return false;
  return (
    key.namespace === undefined ||
    options.allNamespaces === true ||
    key.namespace === (options.namespace ?? 'default')
  );
}
