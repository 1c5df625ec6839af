// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crdsText, customResourceDefinitions } from './custom-resource-definitions.ts';

test('manifests/crds.yaml is what the schemas say; else: node scripts/generate-crds.ts', () => {
  const file = new URL('../../../manifests/crds.yaml', import.meta.url);
  assert.ok(readFileSync(file, 'utf8') === crdsText(), 'out of date');
});

test("Calico's 22 definitions and ClusterNetworkPolicy are there, by their names", () => {
  const names = customResourceDefinitions().map(({ metadata }) => (metadata as { name: string }).name);
  assert.equal(names.filter((name) => name.endsWith('.projectcalico.org')).length, 22);
  assert.ok(names.includes('clusternetworkpolicies.policy.networking.k8s.io'));
});

test('no format is published that an API server does not know', () => {
  const formats = [...crdsText().matchAll(/^\s+format: (\S+)$/gm)].map(([, format]) => format);
  assert.deepEqual([...new Set(formats)].sort(), ['cidr', 'date-time', 'int32', 'int64']);
});
