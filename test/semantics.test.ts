// SPDX-License-Identifier: Apache-2.0
/** docs/semantics.md and docs/services.md cannot rot: every file that they name is there, and so is every test, by its title. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = new URL('..', import.meta.url).pathname;
const pages = ['docs/semantics.md', 'docs/services.md'];
const texts = pages.map((page) => ({ page, text: readFileSync(join(root, page), 'utf8') }));

interface Row {
  /** Page and line. */
  readonly place: string;
  readonly holds: string;
  readonly decidedIn: string;
  readonly tests: readonly string[];
}

/** Of the tables of three columns, below their heads. */
const rows: readonly Row[] = texts.flatMap(({ page, text }) =>
  text.split('\n').flatMap((line, i): Row[] => {
    const cells = line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, ''));
    const [holds = '', decidedIn = '', tests = ''] = cells;
    if (!line.startsWith('| ') || cells.length !== 3 || tests === 'test') return [];
    return [{ place: `${page}:${i + 1}`, holds, decidedIn, tests: tests.split('<br>') }];
  }),
);

/** `file`: title. */
function citationOf(text: string): { readonly file: string; readonly title: string } | null {
  const [, file, title] = /^`(\S+)`: (.+)$/.exec(text) ?? [];
  return file === undefined || title === undefined ? null : { file, title };
}

/** A title is written in the file as it is, or as a template, whose parts to be filled in the page shows as `…`. */
function holdsTitle(file: string, title: string): boolean {
  const source = readFileSync(join(root, file), 'utf8');
  const isLiteral = ["'", '"', '`'].some((quote) => source.includes(quote + title + quote));
  const templates = [...source.matchAll(/`([^`\n]*\$\{[^`\n]*)`/g)].map(([, text = '']) => text);
  return isLiteral || templates.some((text) => text.replace(/\$\{[^}]*\}/g, '…') === title);
}

test('the pages have rows, each with a place where it is decided and a test', () => {
  assert.ok(rows.length > 100, `${rows.length} rows`);
  const bare = rows.filter(({ decidedIn, tests }) => !/`src\//.test(decidedIn) || tests.length === 0);
  assert.deepEqual(
    bare.map(({ place }) => place),
    [],
  );
});

test('every file that the pages name is there', () => {
  const named = [
    ...texts
      .map(({ text }) => text)
      .join('\n')
      .matchAll(/`((?:src|test|docs)\/[^`\s*]*)`/g),
  ].map(([, file = '']) => file);
  assert.ok(named.length > 200);
  assert.deepEqual([...new Set(named)].filter((file) => !existsSync(join(root, file))).sort(), []);
});

test('every test that the pages name is in its file, under that title', () => {
  const missing = rows.flatMap(({ place, tests }) =>
    tests.flatMap((text) => {
      const citation = citationOf(text);
      if (!citation) return [`${place}: got ${text}, want \`file\`: title`];
      const { file, title } = citation;
      return existsSync(join(root, file)) && holdsTitle(file, title) ? [] : [`${place}: ${file}: ${title}`];
    }),
  );
  assert.deepEqual(missing, []);
});
