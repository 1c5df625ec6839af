// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeltaTable } from './delta-table.ts';

const pending = (table: DeltaTable<string, number>) => ({
  upserts: [...table.pendingUpserts()].sort(),
  deletes: [...table.pendingDeletes()].sort(),
});

test('a row is pending until the kernel has it, and again when it is no longer wanted', () => {
  const table = new DeltaTable<string, number>();
  table.setDesired('a', 1);
  assert.deepEqual(pending(table), { upserts: [['a', 1]], deletes: [] });
  table.confirmAll();
  assert.deepEqual(pending(table), { upserts: [], deletes: [] });
  table.deleteDesired('a');
  assert.deepEqual(pending(table), { upserts: [], deletes: ['a'] });
  table.confirmAll();
  assert.equal(table.actual().size, 0);
});

test('a read-back that lost a row makes it pending, a row of nobody is to be deleted', () => {
  const table = new DeltaTable<string, number>();
  table.setDesired('a', 1);
  table.confirmAll();
  table.replaceActual([['stranger', 9]]);
  assert.deepEqual(pending(table), { upserts: [['a', 1]], deletes: ['stranger'] });
});

test('pending is always the difference of the two maps', () => {
  const change = fc.record({
    verb: fc.constantFrom('setDesired', 'deleteDesired', 'setActual', 'deleteActual', 'confirm', 'replace'),
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const table = new DeltaTable<string, number>();
      for (const { verb, key, value } of changes) {
        if (verb === 'setDesired' || verb === 'setActual') table[verb](key, value);
        else if (verb === 'confirm') table.confirmAll();
        else if (verb === 'replace') table.replaceActual([[key, value]]);
        else if (verb === 'deleteDesired' || verb === 'deleteActual') table[verb](key);
        const upserts = [...table.desired()].filter(([k, v]) => table.actual().get(k) !== v).sort();
        const deletes = [...table.actual().keys()].filter((k) => !table.desired().has(k)).sort();
        assert.deepEqual(pending(table), { upserts, deletes });
        assert.equal(table.pendingCount, upserts.length + deletes.length);
      }
    }),
  );
});
