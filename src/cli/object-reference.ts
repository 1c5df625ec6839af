// SPDX-License-Identifier: Apache-2.0
/** Objects named on the command line: `KIND NAME...`, `KIND/NAME...`, `KIND/NAMESPACE/NAME` as `-o name` prints. */
import { UsageError } from '../lib/errors.ts';
import { type KindRow, kinds, rowOfName } from '../model/kinds.ts';
import type { ResourceKey } from '../model/types.ts';
import { nearest } from '../model/validate/check.ts';

export interface References {
  /** Without names: all objects of these kinds. */
  readonly rows: readonly KindRow[];
  readonly keys: readonly ResourceKey[];
}

/** `all` stands for every kind. @throws {UsageError} for unknown kinds and mixed forms. */
export function parseReferences(words: readonly string[], namespace: string): References {
  const [first, ...names] = words;
  if (first === undefined) throw new UsageError('want KIND [NAME...] or KIND/NAME');
  if (words.some((word) => word.includes('/'))) {
    return { rows: [], keys: words.map((word) => slashedKey(word, namespace)) };
  }
  const rows = first === 'all' ? kinds : [...new Set(first.split(',').map(rowNamed))];
  if (names.length === 0) return { rows, keys: [] };
  const [row] = rows;
  if (!row || rows.length > 1) throw new UsageError('names belong to one kind: want KIND NAME...');
  return { rows: [], keys: names.map((name) => keyNamed(row, name, namespace)) };
}

export function rowNamed(name: string): KindRow {
  const row = rowOfName(name);
  if (row) return row;
  const near = nearest(
    name,
    kinds.flatMap(({ plural, singular, shortNames }) => [plural, singular, ...shortNames]),
  );
  const wanted = near
    ? `did you mean ${near}?`
    : `want one of ${kinds.map((each) => each.plural).join(', ')}`;
  throw new UsageError(`unknown kind ${JSON.stringify(name)}, ${wanted}`);
}

function slashedKey(word: string, namespace: string): ResourceKey {
  const [kind = '', ...rest] = word.split('/');
  const row = rowNamed(kind);
  const [first = '', second] = rest;
  const inNamespace = second !== undefined && row.namespaced && rest.length === 2;
  if (first === '' || second === '' || (rest.length > 1 && !inNamespace)) {
    throw new UsageError(
      `got ${JSON.stringify(word)}, want KIND/NAME${row.namespaced ? ' or KIND/NAMESPACE/NAME' : ''}`,
    );
  }
  return inNamespace ? keyNamed(row, second, first) : keyNamed(row, first, namespace);
}

function keyNamed(row: KindRow, name: string, namespace: string): ResourceKey {
  return row.namespaced ? { kind: row.kind, namespace, name } : { kind: row.kind, name };
}
