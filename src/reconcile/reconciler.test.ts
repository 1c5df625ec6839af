// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KernelTable, Reconciler } from './reconciler.ts';

class FakeTable implements KernelTable<string, number> {
  readonly name = 'fake';
  readonly rows = new Map<string, number>();
  readonly refused = new Set<string>();
  lists = 0;
  commits = 0;
  isOurs(key: string): boolean {
    return !key.startsWith('stranger');
  }
  list(): Iterable<readonly [string, number]> {
    this.lists++;
    return this.rows;
  }
  commit(
    upserts: readonly (readonly [string, number])[],
    deletes: readonly string[],
  ): ReadonlyMap<string, Error> {
    this.commits++;
    for (const [key, value] of upserts) if (!this.refused.has(key)) this.rows.set(key, value);
    for (const key of deletes) this.rows.delete(key);
    return new Map(
      [...this.refused]
        .filter((key) => upserts.some(([k]) => k === key))
        .map((key) => [key, new Error('no')]),
    );
  }
  same(a: number, b: number): boolean {
    return a === b;
  }
}

test('what is there and ours goes when it is not wanted; a stranger’s row stays', () => {
  const table = new FakeTable();
  table.rows.set('old', 1).set('stranger', 2);
  const reconciler = new Reconciler(table);
  reconciler.setDesired('new', 3);
  assert.deepEqual(reconciler.apply(), { changed: 2, failed: [] });
  assert.deepEqual(
    [...table.rows],
    [
      ['stranger', 2],
      ['new', 3],
    ],
  );
});

test('a second apply sends nothing, also after a read-back', () => {
  const table = new FakeTable();
  const reconciler = new Reconciler(table);
  reconciler.setDesired('a', 1);
  reconciler.apply();
  reconciler.apply();
  reconciler.queueResync();
  assert.deepEqual(reconciler.apply(), { changed: 0, failed: [] });
  assert.equal(table.commits, 1);
  assert.equal(table.lists, 2);
});

test('one refused row stays pending and is tried again after a new look; the others are done', () => {
  const table = new FakeTable();
  table.refused.add('bad');
  const reconciler = new Reconciler(table);
  reconciler.setDesired('bad', 1);
  reconciler.setDesired('good', 2);
  assert.deepEqual(reconciler.apply(), {
    changed: 1,
    failed: [{ table: 'fake', key: 'bad', message: 'no' }],
  });
  table.refused.clear();
  assert.deepEqual(reconciler.apply(), { changed: 1, failed: [] });
  assert.equal(table.lists, 2);
  assert.deepEqual(
    table.rows,
    new Map([
      ['good', 2],
      ['bad', 1],
    ]),
  );
});
