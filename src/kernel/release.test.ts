// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelAtLeast } from './release.ts';

test('versions compare by number, not by text', () => {
  for (const [text, expected] of [
    ['6.18.44-fc-v595', true],
    ['6.9.0', true],
    ['6.9-rc1', true],
    ['7.0.1', true],
    ['6.1.0-56-cloud-amd64', false],
    ['5.15.0', false],
  ] as const) {
    assert.equal(kernelAtLeast(6, 9, text), expected, text);
  }
});
