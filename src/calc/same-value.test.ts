// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sameValue } from './same-value.ts';

test('a copy is the same, and JSON that differs is not', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => sameValue(value, structuredClone(value))));
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const sorted = (value: unknown) => JSON.stringify(value, sortKeys);
      return sameValue(a, b) === (sorted(a) === sorted(b));
    }),
  );
});

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

test('order and presence', () => {
  assert.ok(sameValue({ a: 1, b: 2 }, { b: 2, a: 1 }));
  assert.ok(sameValue({ a: undefined }, {}));
  assert.ok(sameValue({}, { a: undefined }));
  assert.ok(sameValue(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY));
  assert.ok(!sameValue([1, 2], [2, 1]));
  assert.ok(!sameValue({}, []));
  assert.ok(!sameValue({}, { a: null }));
  assert.ok(!sameValue(null, {}));
});
