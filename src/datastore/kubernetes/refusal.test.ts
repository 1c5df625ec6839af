// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError } from '../../lib/errors.ts';
import { refusalOf } from './refusal.ts';

const cases: readonly (readonly [number, object | string, string, RegExp])[] = [
  [400, { message: 'bad' }, 'INVALID', /cannot try: bad/],
  [401, { message: 'Unauthorized' }, 'FORBIDDEN', /Unauthorized/],
  [403, { message: 'may not' }, 'FORBIDDEN', /may not/],
  [403, '<html>a proxy</html>', 'FORBIDDEN', /the API answered 403/],
  [403, { code: 200 }, 'FORBIDDEN', /the API answered 403/],
  [404, { message: 'none' }, 'NOT_FOUND', /none/],
  [409, { reason: 'AlreadyExists' }, 'ALREADY_EXISTS', /409/],
  [409, { reason: 'Conflict' }, 'CONFLICT', /409/],
  [410, { reason: 'Expired' }, 'REVISION_GONE', /410/],
  [413, {}, 'INVALID', /413/],
  [415, {}, 'INVALID', /415/],
  [422, {}, 'INVALID', /422/],
  [429, {}, 'UNAVAILABLE', /429; it asks for 7 s of patience/],
  [500, {}, 'UNAVAILABLE', /500/],
  [500, { message: 'etcdserver: request is too large' }, 'INVALID', /too large/],
  [503, [], 'UNAVAILABLE', /503/],
  [504, { reason: 'Timeout' }, 'TIMEOUT', /504/],
  [
    504,
    { reason: 'Timeout', details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } },
    'REVISION_GONE',
    /504/,
  ],
  [0, 'null', 'UNAVAILABLE', /0/],
];

for (const [status, body, code, message] of cases)
  test(`${status} ${JSON.stringify(body)} is ${code}`, () => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const retryAfter = status === 429 ? 7 : null;
    const error = refusalOf('cannot try', { status, text, retryAfter, warnings: [] });
    assert.equal(error.code, code);
    assert.match(error.message, message);
  });

test('every cause is a fault with its field', () => {
  const causes = [{ field: 'spec.nets[0]', message: 'no CIDR', reason: 'FieldValueInvalid' }, 'garbage'];
  const text = JSON.stringify({ details: { causes } });
  const error = refusalOf('cannot try', { status: 422, text, retryAfter: null, warnings: [] });
  assert.ok(error instanceof InvalidError);
  assert.deepEqual(error.faults, [
    { path: 'spec.nets[0]', message: 'no CIDR' },
    { path: '', message: '' },
  ]);
});
