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

test('faults of any kind point into lists, and at keys with dots and slashes', async () => {
  using cli = new CliSession();
  const file = cli.write(
    'a.yaml',
    `apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata:
  name: h
  labels:
    a.example.org/b.c: bad value
spec:
  node: node1
  interfaceName: eth0
  expectedIPs: [192.0.2.1, 192.0.2]
  ports:
    - {name: http, protocol: TCP, port: 80}
    - name: dns
      protocol: ICMP
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: p}
spec:
  cidr: 10.0.0.0/16
  ipipMode: Always
  vxlanMode: Always
---
apiVersion: projectcalico.org/v3
kind: IPAMHandle
metadata: {name: i}
spec:
  handleID: a
  block:
    10.0.0.0/26: many
`,
  );
  const { code, notes } = await cli.run(['validate', '-f', file]);
  assert.equal(code, 5);
  assert.deepEqual(
    notes.map((note) => note.slice(file.length).replace(/: got.*/, '')),
    [
      ':6:24: error: metadata.labels.a.example.org/b.c',
      ':10:28: error: spec.expectedIPs[1]',
      ':14:17: error: spec.ports[1].protocol',
      ':13:7: error: spec.ports[1].port',
      ':22:14: error: spec.vxlanMode',
      ':30:18: error: spec.block.10.0.0.0/26',
    ],
  );
});

test('apply refuses what an update may not change, and stores nothing of it', async () => {
  using cli = new CliSession();
  const pool = (cidr: string, more = '') =>
    `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: ${cidr}${more}}\n`;
  assert.equal((await cli.run(['apply', '-f', '-'], pool('10.0.0.0/16'))).code, 0);
  const { code, notes } = await cli.run(['apply', '-f', '-'], pool('10.1.0.0/16', ', blockSize: 28'));
  assert.equal(code, 5);
  assert.match(
    notes.join('\n'),
    /<stdin>:1: error: spec\.cidr: ippool.*p: got "10\.1\.0\.0\/16", want the CIDR/,
  );
  assert.match(notes.join('\n'), /spec\.blockSize: .*got 28, want the size/);
  assert.equal((await cli.run(['apply', '-f', '-'], pool('10.0.0.0/16', ', disabled: true'))).code, 0);
  const { out } = await cli.run(['get', 'ippool', 'p', '-o', 'jsonpath={.spec.cidr} {.spec.disabled}']);
  assert.equal(out.trim(), '10.0.0.0/16 true');
});
