// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Revision } from '../lib/brand.ts';
import { formatPosition, later, parsePosition, reached } from './revision.ts';

const cases: readonly [string, string, boolean][] = [
  ['7', '7', true],
  ['10', '9', true],
  ['9', '10', false],
  ['Pod=5;Tier=9', 'Tier=9', true],
  ['Pod=5;Tier=9', 'Tier=10', false],
  ['Pod=5;Tier=9', 'Pod=4;Tier=9', true],
  ['Pod=5', 'Tier=1', false],
  ['Pod=5;Tier=9', '5', true],
  ['Pod=5;Tier=9', '6', false],
  ['12', 'Pod=12;Tier=1', true],
  ['11', 'Pod=12', false],
  ['', '0', false],
  ['1', 'garbage', false],
];

for (const [position, wanted, expected] of cases) {
  test(`position ${position || '(empty)'} ${expected ? 'has' : 'has not'} reached ${wanted}`, () => {
    assert.equal(reached(position as Revision, wanted as Revision), expected);
  });
}

test('a position is written in one way', () => {
  assert.equal(formatPosition(parsePosition('Tier=7;Pod=12') ?? 0n), 'Pod=12;Tier=7');
  assert.equal(formatPosition(parsePosition('0042') ?? 0n), '42');
});

test('the later of two positions has reached both', () => {
  assert.equal(later('9' as Revision, '10' as Revision), '10');
  assert.equal(later('Pod=3;Tier=9' as Revision, 'Node=1;Pod=4' as Revision), 'Node=1;Pod=4;Tier=9');
});
