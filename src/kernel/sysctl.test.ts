// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError } from '../lib/errors.ts';
import { hasSysctl, readSysctl } from './sysctl.ts';

test('a path is made of parts that cannot lead elsewhere', () => {
  for (const part of ['..', '.', '', 'a/b', 'a b', 'a\0b', '../../etc']) {
    assert.throws(() => readSysctl(['net', part]), InvalidError, JSON.stringify(part));
  }
});

test('a part may hold dots, as names of interfaces do', () => {
  assert.equal(hasSysctl(['net', 'ipv4', 'conf', 'no.such.if']), false);
});

test('values come without the newline', () => {
  assert.equal(readSysctl(['kernel', 'ostype']), 'Linux');
});
