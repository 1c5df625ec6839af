// SPDX-License-Identifier: Apache-2.0
/** The forms of `get`: tables, `wide`, `custom-columns=`, `jsonpath=`, `go-template=`, and the plain ones of plain-output.ts. */
import { readFileSync } from 'node:fs';
import { NotFoundError, UsageError } from '../lib/errors.ts';
import { type KindRow, keyOf, kindRow } from '../model/kinds.ts';
import { manifestText } from '../model/manifest/print.ts';
import type { Resource } from '../model/types.ts';
import { parseGoTemplate, renderGoTemplate } from './go-template.ts';
import { parsePath, parseTemplate, renderTemplate, shownValue, valuesAt } from './json-path.ts';
import { kindName, objectName } from './object-name.ts';
import { jsonText, linesText, listOf } from './plain-output.ts';
import { tableText } from './table.ts';

export interface Shown {
  readonly resources: readonly Resource[];
  /** One object was asked for by its name: it stands for itself, not for a list of one. */
  readonly single: boolean;
  /** Objects of several namespaces: tables say which. */
  readonly allNamespaces: boolean;
  /** Objects of several kinds: tables say which. */
  readonly severalKinds: boolean;
  readonly headers: boolean;
}

export type GetPrinter = (shown: Shown) => string;

/** @throws {UsageError} for an unknown form, before anything is read. {NotFoundError} for a template's file. */
export function getPrinter(form: string | undefined): GetPrinter {
  const [name = '', argument] = splitOnce(form ?? 'table', '=');
  const printer = argument === undefined ? plainPrinter(name) : templatePrinter(name, argument);
  if (printer) return printer;
  const forms =
    'wide, ps, yaml, json, ndjson, name, custom-columns=TITLE:.path,..., jsonpath=TEMPLATE, go-template=TEMPLATE or go-template-file=FILE';
  throw new UsageError(`-o: got ${JSON.stringify(form)}, want ${forms}`);
}

function plainPrinter(name: string): GetPrinter | null {
  switch (name) {
    case 'table':
    case 'ps': // calicoctl's
      return (shown) => tables(shown, false);
    case 'wide':
      return (shown) => tables(shown, true);
    case 'name':
      return ({ resources }) => resources.map((each) => `${objectName(each)}\n`).join('');
    case 'json':
      return (shown) => jsonText(plainValue(shown));
    case 'ndjson':
      return ({ resources }) => linesText(resources);
    case 'yaml':
      return (shown) => manifestText(plainValue(shown));
    default:
      return null;
  }
}

function templatePrinter(name: string, argument: string): GetPrinter | null {
  switch (name) {
    case 'custom-columns':
      return customColumns(argument);
    case 'jsonpath': {
      const template = parseTemplate(argument);
      return (shown) => renderTemplate(template, plainValue(shown));
    }
    case 'go-template':
    case 'go-template-file': {
      const template = parseGoTemplate(name === 'go-template' ? argument : textOf(argument));
      return (shown) => renderGoTemplate(template, plainValue(shown));
    }
    default:
      return null;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new NotFoundError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

function plainValue({ resources, single }: Shown): unknown {
  return single ? resources[0] : listOf(resources);
}

function tables(shown: Shown, wide: boolean): string {
  const byKind = Map.groupBy(shown.resources, (resource) => kindRow(keyOf(resource).kind));
  return [...byKind].map(([row, resources]) => table(row, resources, shown, wide)).join('\n');
}

function table(row: KindRow, resources: readonly Resource[], shown: Shown, wide: boolean): string {
  const columns = row.columns.filter((column) => wide || !column.wide);
  const withNamespace = shown.allNamespaces && row.namespaced;
  const titles = [...(withNamespace ? ['NAMESPACE'] : []), 'NAME', ...columns.map((column) => column.title)];
  const prefix = shown.severalKinds ? `${kindName(row)}/` : '';
  const lines = resources.map((resource) => [
    ...(withNamespace ? [resource.metadata.namespace ?? ''] : []),
    prefix + resource.metadata.name,
    ...columns.map((column) => column.cell(resource)),
  ]);
  return tableText(shown.headers ? [titles, ...lines] : lines);
}

/** `NAME:.metadata.name,NODE:.spec.nodeName`, as kubectl takes it. @throws {UsageError} */
function customColumns(text: string): GetPrinter {
  const columns = text.split(',').map((column) => {
    const [title = '', path] = splitOnce(column, ':');
    if (title === '' || !path)
      throw new UsageError(`-o custom-columns: got ${JSON.stringify(column)}, want TITLE:.path`);
    return { title, path: parsePath(path) };
  });
  return ({ resources, headers }) => {
    const lines = resources.map((resource) =>
      columns.map(({ path }) => valuesAt(path, resource).map(shownValue).join(',') || '<none>'),
    );
    return tableText(headers ? [columns.map(({ title }) => title), ...lines] : lines);
  };
}

function splitOnce(text: string, separator: string): [string] | [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
