// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const manifests = `
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: security}
spec: {order: 100}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny, annotations: {a: "é"}}
spec: {tier: security, selector: has(x), types: [Ingress], ingress: []}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {nodeName: n1, containers: [{name: a, image: b}]}
status: {phase: Running, podIP: 10.0.0.1}
`;

test('what is exported of one store is all there in another, status and places included', async () => {
  using from = new CliSession();
  using to = new CliSession();
  await from.run(['apply', '-f', from.write('all.yaml', manifests)]);
  await from.run(['datastore', 'migrate', 'lock']);
  const { out } = await from.run(['datastore', 'migrate', 'export']);
  const imported = await to.run(['datastore', 'migrate', 'import', '-f', '-'], out);
  assert.equal(imported.code, 0, imported.notes.join());
  const all = async (session: CliSession) =>
    (await session.run(['get', 'all', '-A', '-o', 'json', '--export'])).out;
  assert.equal(await all(to), await all(from));
  const again = await to.run(['datastore', 'migrate', 'import', '-f', '-'], out);
  assert.match(again.notes.join(), /imported 5 objects: 0 written, 5 as they were/);
});

test('a store that is not locked is not exported', async () => {
  using session = new CliSession();
  await session.run(['apply', '-f', session.write('all.yaml', manifests)]);
  const { code, notes } = await session.run(['datastore', 'migrate', 'export']);
  assert.equal(code, 4);
  assert.match(notes.join(), /not locked, want: muslin datastore migrate lock/);
});

test('who writes to a locked store is told', async () => {
  using session = new CliSession();
  const file = session.write('all.yaml', manifests);
  await session.run(['apply', '-f', file]);
  await session.run(['datastore', 'migrate', 'lock']);
  assert.match((await session.run(['apply', '-f', file])).notes.join('\n'), /locked for a migration/);
  await session.run(['datastore', 'migrate', 'unlock']);
  assert.doesNotMatch((await session.run(['apply', '-f', file])).notes.join('\n'), /locked/);
});

test('an export with a fault stores nothing and names the line', async () => {
  using session = new CliSession();
  const text =
    '---\n{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"a"}}\n---\n{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"b"},"spec":{"order":"x"}}\n---\n{broken\n';
  const { code, notes } = await session.run(['datastore', 'migrate', 'import', '-f', '-'], text);
  assert.equal(code, 5);
  assert.match(notes.join('\n'), /-:4: .*spec\.order/);
  assert.match(notes.join('\n'), /-:6: /);
});

test("calicoctl's export, which is YAML, is read too", async () => {
  using session = new CliSession();
  const { code } = await session.run(['datastore', 'migrate', 'import', '-f', '-'], manifests);
  assert.equal(code, 0);
  assert.match(
    (await session.run(['get', 'gnp', '-o', 'name'])).out,
    /globalnetworkpolicy\.projectcalico\.org\/deny/,
  );
});
