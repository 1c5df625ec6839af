// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readManifest } from '../manifest.ts';
import type { Resource } from '../types.ts';
import { manifestText } from './print.ts';

const node = (spec: unknown) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' }, spec });

function readBack(value: unknown): Resource | undefined {
  const { resources, faults } = readManifest('f', manifestText(value));
  assert.deepEqual(faults, []);
  return resources[0]?.resource;
}

test('text that looks like something else is quoted', () => {
  const texts = [
    'yes',
    'n',
    'on',
    '0777',
    '0O17',
    '1_000',
    '089',
    '20:30',
    '2001-12-14',
    '~',
    '<<',
    '1e3',
    '=',
    '',
  ];
  assert.deepEqual(readBack(node({ texts }))?.spec, { texts });
  for (const quoted of ['yes', '20:30', '2001-12-14']) assert.match(manifestText([quoted]), /^- "/);
});

test('any JSON is read back as it was', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'a: b',
      '- a',
      '# x',
      ' a\n b\n\n',
      '\t',
      '"',
      "'",
      '0X1f',
      '.5',
      '+.inf',
      '!a',
      '&a',
      '*a',
      '---',
      '...',
    ),
  );
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      texts,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number || 0),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(texts, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;
  fc.assert(
    fc.property(json, (value) => {
      assert.deepEqual(readBack(node({ value }))?.spec, { value });
    }),
    { numRuns: 1000 },
  );
});
