// SPDX-License-Identifier: Apache-2.0
/** The pages lead to one another. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = new URL('..', import.meta.url).pathname;
const pages = ['.', 'docs'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** `[text](target)` to a file of the clone; what stands in code is no link. */
function linksOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/```[\s\S]*?```|`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map(([, target]) => target ?? '')
    .filter((target) => !target.includes(':'));
}

test('every link of every page leads to a file', () => {
  const links = pages.flatMap((page) => linksOf(page).map((target) => ({ page, target })));
  assert.ok(links.length > 10, 'links are found at all');
  const broken = links.filter(({ page, target }) => !existsSync(join(root, dirname(page), target)));
  assert.deepEqual(broken, []);
});
