// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countCpus } from './cpus.ts';

test('CPUs are counted in single numbers and ranges', () => {
  assert.equal(countCpus('0\n'), 1);
  assert.equal(countCpus('0-3\n'), 4);
  assert.equal(countCpus('0-1,4,8-11\n'), 7);
  assert.throws(() => countCpus(''), TypeError);
  assert.throws(() => countCpus('0-'), TypeError);
});
