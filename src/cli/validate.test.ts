// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const tier = { apiVersion: 'projectcalico.org/v3', kind: 'Tier', metadata: { name: 't' } };
const knp = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'k', namespace: 'n' },
  spec: { podSelector: {} },
};

async function answers(cli: CliSession, args: readonly string[], ...requests: unknown[]) {
  const { code, out } = await cli.run(
    ['--ndjson', ...args],
    requests.map((request) => `${JSON.stringify(request)}\n`).join(''),
  );
  assert.equal(code, 0);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('validate names what is valid and every fault, and needs no datastore', async () => {
  using cli = new CliSession();
  const file = cli.write('a.yaml', `${JSON.stringify(tier)}\n---\nkind: Tier\n---\n${JSON.stringify(knp)}\n`);
  const { code, out, notes } = await cli.run(['validate', '-f', file]);
  assert.equal(code, 5);
  assert.deepEqual(out.trim().split('\n'), [
    `${file}:1: tier.projectcalico.org/t valid`,
    `${file}:5: networkpolicy.networking.k8s.io/n/k valid`,
  ]);
  assert.deepEqual(
    notes.map((note) => note.replace(/got.*/, '')),
    [`${file}:3:1: error: apiVersion: `],
  );
  assert.equal((await cli.run(['validate', '-f', '-'], JSON.stringify(tier))).code, 0);
});

test('validate -o json', async () => {
  using cli = new CliSession();
  const { code, out } = await cli.run(
    ['validate', '-o', 'json', '-f', '-'],
    `${JSON.stringify(tier)}\n---\nkind: Tier\n`,
  );
  assert.equal(code, 5);
  const report = JSON.parse(out);
  assert.equal(report.valid, false);
  assert.deepEqual(report.resources, [{ file: '<stdin>', line: 1, name: 'tier.projectcalico.org/t' }]);
  assert.equal(report.errors[0].path, 'apiVersion');
});

test('validate as a filter', async () => {
  using cli = new CliSession();
  const [plain, wrong, none] = await answers(
    cli,
    ['validate'],
    { resource: tier },
    { resource: { ...tier, spec: { order: 'x' } } },
    5,
  );
  assert.deepEqual(plain, { valid: true, errors: [], resource: tier });
  assert.equal(wrong.valid, false);
  assert.equal(wrong.errors[0].path, 'spec.order');
  assert.equal(none.error.code, 'INVALID');
  const [full] = await answers(cli, ['validate', '--defaults'], { resource: tier });
  assert.deepEqual(full.resource.spec, { order: 1_000_000, defaultAction: 'Deny' });
});

test("convert makes Calico's of Kubernetes' and leaves Calico's alone", async () => {
  using cli = new CliSession();
  const [policy, same, bad] = await answers(
    cli,
    ['convert'],
    { resource: knp },
    { resource: { ...tier, spec: { order: 5, defaultAction: 'Deny' } } },
    { resource: {} },
  );
  assert.equal(policy.resource.metadata.name, 'knp.default.k');
  assert.deepEqual(same.resource.spec, { order: 5, defaultAction: 'Deny' });
  assert.equal(bad.error.code, 'INVALID');
  const { out } = await cli.run(['convert', '-f', '-'], JSON.stringify(knp));
  assert.match(out, /^apiVersion: projectcalico\.org\/v3\nkind: NetworkPolicy\n/);
});
