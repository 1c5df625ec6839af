// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinResources } from './builtin.ts';
import { valueAt } from './json.ts';
import { openApiV2, openApiV3 } from './openapi.ts';

const core = builtinResources.filter(({ group }) => group === '');

test('a document says what kubectl asks it', () => {
  const document = openApiV3('', 'v1', core);
  const item = valueAt(document, 'paths', '/api/v1/namespaces/{namespace}/pods/{name}', 'patch');
  assert.deepEqual(valueAt(item, 'x-kubernetes-group-version-kind'), {
    group: '',
    version: 'v1',
    kind: 'Pod',
  });
  const names = JSON.stringify(valueAt(item, 'parameters'));
  for (const name of ['dryRun', 'fieldManager', 'fieldValidation', 'force'])
    assert.ok(names.includes(`"${name}"`), name);
  const pod = ['components', 'schemas', 'io.k8s.api.core.v1.Pod'] as const;
  assert.equal(
    valueAt(
      document,
      ...pod,
      'properties',
      'spec',
      'properties',
      'containers',
      'x-kubernetes-patch-merge-key',
    ),
    'name',
  );
  assert.deepEqual(valueAt(document, ...pod, 'x-kubernetes-group-version-kind'), [
    { group: '', version: 'v1', kind: 'Pod' },
  ]);
});

test('what is the server’s own business stays with it', () => {
  for (const document of [openApiV3('', 'v1', core), openApiV2(builtinResources)])
    assert.equal(JSON.stringify(document).includes('x-muslin'), false);
});

test('numbers or strings in the words of each version', () => {
  const port = ['properties', 'spec', 'properties', 'ports', 'items', 'properties', 'targetPort'] as const;
  const v3 = valueAt(
    openApiV3('', 'v1', core),
    'components',
    'schemas',
    'io.k8s.api.core.v1.Service',
    ...port,
  );
  const v2 = valueAt(openApiV2(core), 'definitions', 'io.k8s.api.core.v1.Service', ...port);
  assert.deepEqual(valueAt(v3, 'oneOf'), [{ type: 'integer' }, { type: 'string' }]);
  assert.deepEqual([valueAt(v2, 'type'), valueAt(v2, 'format')], ['string', 'int-or-string']);
});
