// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseYaml, yamlText } from './yaml-text.ts';

test('YAML 1.1 as Kubernetes reads it', () => {
  assert.deepEqual(parseYaml('a: y\nb: no\nc: 010\nd: 0x1f\ne: 1_000\nf: 1.5e3\n'), {
    a: true,
    b: false,
    c: 8,
    d: 31,
    e: 1000,
    f: 1500,
  });
});

test('times and numbers with colons stay text', () => {
  assert.deepEqual(parseYaml('a: 2020-01-02\nb: 10:20\nc: 2001-12-14T21:59:43Z\n'), {
    a: '2020-01-02',
    b: '10:20',
    c: '2001-12-14T21:59:43Z',
  });
});

test('what is written is read back the same', () => {
  const value = { b: 'y', n: '10', t: '2020-01-01T00:00:00Z', list: [null, 1.5, 'no', { 'a: b': '' }] };
  assert.deepEqual(parseYaml(yamlText(value)), value);
});
