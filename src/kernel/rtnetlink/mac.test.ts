// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError } from '../../lib/errors.ts';
import { formatMac, macBytes } from './mac.ts';

test('a MAC is six bytes in hexadecimal, in lower case when written', () => {
  assert.deepEqual(macBytes('EE:00:0a:ff:01:02'), Uint8Array.of(0xee, 0, 0x0a, 0xff, 1, 2));
  assert.equal(formatMac(macBytes('EE:00:0a:ff:01:02')), 'ee:00:0a:ff:01:02');
  for (const text of ['', 'ee:ee:ee:ee:ee', 'ee-ee-ee-ee-ee-ee', 'gg:00:00:00:00:00', 'e:0:0:0:0:0']) {
    assert.throws(() => macBytes(text), InvalidError, text);
  }
});
