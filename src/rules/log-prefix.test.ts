// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logPrefix } from './log-prefix.ts';

const policy = { tier: 'security', kind: 'NetworkPolicy', name: 'db' } as const;

test("the log's prefix: signs stand for the policy, and without any it is named all the same", () => {
  const of = (written: string) => logPrefix(written, 'ingress', 'NetworkPolicy/shop/db', policy);
  assert.equal(of('calico-packet'), 'calico-packet ingress NetworkPolicy/shop/db');
  assert.equal(of('%t %k %n %p'), 'security NetworkPolicy db NetworkPolicy/shop/db');
  assert.equal(of('50%: %n %n'), '50%: db db');
});

test("a profile's rules are told by its name", () => {
  assert.equal(logPrefix('%t|%k|%n|%p', 'egress', 'kns.shop'), '|Profile|kns.shop|kns.shop');
});
