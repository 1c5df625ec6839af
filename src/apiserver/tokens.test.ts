// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from './objects/object.ts';
import { ApiStore } from './store.ts';
import { ownAudience, Tokens } from './tokens.ts';

const account: ApiObject = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'agent', namespace: 'n', uid: 'u-1' },
};
const subject = { namespace: 'n', name: 'agent', uid: 'u-1' };

function furnished(): { readonly store: ApiStore; readonly tokens: Tokens } {
  const store = new ApiStore();
  store.put('/serviceaccounts', 'n/agent', account);
  return { store, tokens: new Tokens(store, new Map([['static', { name: 'jane', groups: ['dev'] }]])) };
}

test('a token is its account, for its audience and its time', () => {
  const { tokens } = furnished();
  const now = new Date();
  const token = tokens.issue(subject, [ownAudience], 600, now);
  assert.equal(tokens.userOf(token)?.name, 'system:serviceaccount:n:agent');
  assert.deepEqual(tokens.userOf(token)?.groups, ['system:serviceaccounts', 'system:serviceaccounts:n']);
  assert.equal(tokens.userOf(token, ['elsewhere']), null);
  assert.equal(tokens.userOf(tokens.issue(subject, ['elsewhere'], 600, now)), null);
  const past = new Date(now.getTime() - 601_000);
  assert.equal(tokens.userOf(tokens.issue(subject, [ownAudience], 600, past)), null);
});

test('neither a forged token nor that of an account which is gone, or was made anew, is anyone', () => {
  const { store, tokens } = furnished();
  const token = tokens.issue(subject, [ownAudience], 600, new Date());
  const [head, body, signature] = token.split('.');
  const forged = Buffer.from(String(Buffer.from(String(body), 'base64url')).replace('agent', 'admin'));
  assert.equal(tokens.userOf(`${head}.${forged.toString('base64url')}.${signature}`), null);
  assert.equal(tokens.userOf('nonsense'), null);
  store.put('/serviceaccounts', 'n/agent', { ...account, metadata: { ...account.metadata, uid: 'u-2' } });
  assert.equal(tokens.userOf(token), null);
  store.delete('/serviceaccounts', 'n/agent');
  assert.equal(tokens.userOf(token), null);
});

test('tokens known from the start', () => {
  assert.equal(furnished().tokens.userOf('static')?.name, 'jane');
});
