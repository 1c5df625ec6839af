// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePath } from './request-path.ts';

function words(method: string, path: string, query = ''): string {
  const found = parsePath(method, path, new URLSearchParams(query));
  if (found.type === 'other') return `${found.verb} ${found.path}`;
  const { verb, group, version, namespace, resource, name, subresource } = found;
  return [verb, group, version, namespace, resource, name, subresource].join('|');
}

const cases: readonly (readonly [method: string, path: string, query: string, want: string])[] = [
  ['GET', '/api/v1/pods', '', 'list||v1||pods||'],
  ['GET', '/api/v1/pods', 'watch=1', 'watch||v1||pods||'],
  ['GET', '/api/v1/pods', 'watch=false', 'list||v1||pods||'],
  ['GET', '/api/v1/pods', 'watch=maybe', 'watch||v1||pods||'],
  ['GET', '/api/v1/namespaces/n/pods/p', 'watch=1', 'get||v1|n|pods|p|'],
  ['POST', '/api/v1/namespaces/n/pods', '', 'create||v1|n|pods||'],
  ['DELETE', '/api/v1/namespaces/n/pods', '', 'deletecollection||v1|n|pods||'],
  ['POST', '/api/v1/namespaces/n/pods/p/binding', '', 'create||v1|n|pods|p|binding'],
  ['GET', '/api/v1/namespaces/n', '', 'get||v1|n|namespaces|n|'],
  ['PUT', '/api/v1/namespaces/n/finalize', '', 'update||v1|n|namespaces|n|finalize'],
  ['GET', '/api/v1/namespaces/n/', '', 'get||v1|n|namespaces|n|'],
  ['GET', '/api/v1/watch/namespaces/n/pods/p', '', 'watch||v1|n|pods|p|'],
  ['PATCH', '/apis/a.b/v3/things/x/status', '', 'patch|a.b|v3||things|x|status'],
  ['GET', '/apis/a.b/v3/things/a%2Fb', '', 'get|a.b|v3||things|a/b|'],
  ['GET', '/apis/a.b/v3', '', 'get /apis/a.b/v3'],
  ['GET', '/api', '', 'get /api'],
  ['GET', '/healthz', '', 'get /healthz'],
];

for (const [method, path, query, want] of cases) {
  test(`${method} ${path}${query && `?${query}`} asks for ${want}`, () => {
    assert.equal(words(method, path, query), want);
  });
}
