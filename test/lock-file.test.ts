// SPDX-License-Identifier: Apache-2.0
// `npm ci` refuses a lock file that lacks a package which another one names, also one for a platform that nobody here
// has. npm leaves such packages out when the registry did not offer them while it wrote the file: this catches that.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

interface LockedPackage {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lockFile = new URL('../package-lock.json', import.meta.url);

test('the lock file has every package that one of its packages names, for every platform', async () => {
  const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(
    await readFile(lockFile, 'utf8'),
  );
  const missing = Object.entries(packages).flatMap(([folder, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !foldersAbove(folder).some((above) => `${above}node_modules/${name}` in packages))
      .map((name) => `${name}, for ${folder === '' ? 'muslin' : folder}`),
  );
  assert.deepEqual(missing, []);
});

/** `node_modules/a/node_modules/b` -> itself, `node_modules/a/`, the root: where npm looks, nearest first. */
function foldersAbove(folder: string): readonly string[] {
  if (folder === '') return [''];
  const parent = folder.lastIndexOf('/node_modules/');
  return [`${folder}/`, ...foldersAbove(parent === -1 ? '' : folder.slice(0, parent))];
}
