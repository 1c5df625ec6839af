// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const objects = `
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: p}, spec: {cidr: 10.0.0.0/16, natOutgoing: true}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec: {order: 5, selector: all(), ingress: [{action: Deny}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: web}, spec: {clusterIP: 10.96.0.9, ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8081}]}}
`;

async function filled(): Promise<CliSession> {
  const cli = new CliSession();
  assert.equal((await cli.run(['apply', '-f', '-'], objects)).code, 0);
  return cli;
}

async function valueAt(cli: CliSession, path: string, ...words: readonly string[]): Promise<string> {
  return (await cli.run(['get', ...words, '-o', `jsonpath={${path}}`])).out;
}

test('a merge of one of Calico kinds, in JSON and in YAML, is what calicoctl makes of it', async () => {
  using cli = await filled();
  const patched = await cli.run(['patch', 'ippool', 'p', '-p', '{"spec":{"natOutgoing":false}}']);
  assert.deepEqual(patched, { code: 0, out: 'ippool.projectcalico.org/p patched\n', notes: [] });
  assert.equal(await valueAt(cli, '.spec.natOutgoing', 'ippool', 'p'), 'false');
  const yaml = 'spec:\n  disabled: true\n  natOutgoing: null\n';
  assert.equal((await cli.run(['patch', 'ippool/p', '--type=merge', '--patch-file', '-'], yaml)).code, 0);
  assert.equal(await valueAt(cli, '.spec.disabled', 'ippool', 'p'), 'true');
  assert.equal(await valueAt(cli, '.spec.natOutgoing', 'ippool', 'p'), '');
  const again = await cli.run(['patch', 'ippool', 'p', '-p', '{"spec":{"disabled":true}}']);
  assert.equal(again.out, 'ippool.projectcalico.org/p patched (no change)\n');
});

test("lists of Kubernetes' kinds are merged by key, as kubectl does; others are replaced", async () => {
  using cli = await filled();
  const patch = '{"spec":{"ports":[{"port":81,"targetPort":9000}]}}';
  assert.equal((await cli.run(['patch', 'svc', 's', '-n', 'web', '-p', patch])).code, 0);
  assert.equal(await valueAt(cli, '.spec.ports[*].targetPort', 'svc', 's', '-n', 'web'), '8080 9000');
  await cli.run(['patch', 'gnp', 'g', '-p', '{"spec":{"ingress":[{"action":"Allow"},{"action":"Log"}]}}']);
  assert.equal(await valueAt(cli, '.spec.ingress[*].action', 'gnp', 'g'), 'Allow Log');
});

test('operations of a JSON patch; a rule that was patched stands on no line of a manifest any more', async () => {
  using cli = await filled();
  assert.match(await valueAt(cli, '.metadata.annotations', 'gnp', 'g'), /muslin\.dev\/origin/);
  const operations = '[{"op":"replace","path":"/spec/ingress/0/action","value":"Allow"}]';
  assert.equal((await cli.run(['patch', 'gnp', 'g', '-t', 'json', '-p', operations])).code, 0);
  assert.equal(await valueAt(cli, '.spec.ingress[0].action', 'gnp', 'g'), 'Allow');
  assert.equal(await valueAt(cli, '.metadata.annotations', 'gnp', 'g'), '');
});

test('a version that the patch names is the one that is changed', async () => {
  using cli = await filled();
  const version = await valueAt(cli, '.metadata.resourceVersion', 'gnp', 'g');
  const patch = (order: number) => `{"metadata":{"resourceVersion":"${version}"},"spec":{"order":${order}}}`;
  assert.equal((await cli.run(['patch', 'gnp', 'g', '-p', patch(6)])).code, 0);
  const stale = await cli.run(['patch', 'gnp', 'g', '-p', patch(7)]);
  assert.equal(stale.code, 4);
  assert.match(stale.notes.join(), /it was changed since/);
});

test('patches at the same time all count', async () => {
  using cli = await filled();
  const keys = ['a', 'b', 'c', 'd'];
  const codes = await Promise.all(
    keys.map((key) => cli.run(['patch', 'gnp', 'g', '-p', `{"metadata":{"labels":{"${key}":"x"}}}`])),
  );
  assert.deepEqual(
    codes.map(({ code }) => code),
    [0, 0, 0, 0],
  );
  const labels = JSON.parse(await valueAt(cli, '.metadata.labels', 'gnp', 'g'));
  for (const key of keys) assert.equal(labels[key], 'x');
});

const refused: readonly [string, readonly string[], number, RegExp][] = [
  ['what is not valid after it', ['gnp', 'g', '-p', '{"spec":{"order":"x"}}'], 5, /spec\.order: got "x"/],
  ['an unknown field', ['gnp', 'g', '-p', '{"spec":{"oder":1}}'], 5, /spec\.oder: unknown field/],
  ['what may not change', ['ippool', 'p', '-p', '{"spec":{"cidr":"10.1.0.0/16"}}'], 5, /cidr/],
  ['another name', ['gnp', 'g', '-p', '{"metadata":{"name":"h"}}'], 5, /metadata\.name: .*got "h", want "g"/],
  ['no metadata', ['gnp', 'g', '-t', 'json', '-p', '[{"op":"remove","path":"/metadata"}]'], 5, /metadata/],
  ['an operation that fails', ['gnp', 'g', '-t', 'json', '-p', '[{"op":"remove","path":"/no"}]'], 5, /json/],
  ['a merge given as operations', ['gnp', 'g', '-t', 'json', '-p', '{}'], 5, /cannot unmarshal/],
  ['no JSON', ['gnp', 'g', '-p', '{"a'], 5, /--patch/],
  ['a word', ['gnp', 'g', '-p', 'x'], 5, /got "x", want one JSON or YAML object/],
  ['no patch', ['gnp', 'g'], 2, /want one of -p PATCH and --patch-file FILE/],
  ['an unknown type', ['gnp', 'g', '-t', 'none', '-p', '{}'], 2, /strategic, merge, json/],
  ['what is not there', ['gnp', 'none', '-p', '{}'], 3, /none not found/],
  ['what is built in', ['tier', 'default', '-p', '{}'], 5, /the tier is built in and cannot be changed/],
  ['what stands for another', ['np', 'knp.default.x', '-p', '{}'], 5, /change that one/],
];

for (const [what, words, code, message] of refused) {
  test(`patch refuses ${what}, and nothing is written`, async () => {
    using cli = await filled();
    const outcome = await cli.run(['patch', ...words]);
    assert.match(outcome.notes.join('\n'), message);
    assert.equal(outcome.code, code);
    assert.equal(outcome.out, '');
  });
}
