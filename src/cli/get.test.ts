// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { parseLabelFilter } from './label-filter.ts';

const objects = `
{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: sec}, spec: {order: 5}}
---
{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: p}, spec: {order: 7, selector: all()}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: k}, spec: {podSelector: {}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: a, track: x}}, spec: {containers: [{name: m, image: i}], nodeName: n1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, labels: {app: b}}, spec: {containers: [{name: m, image: i}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: other, labels: {app: a}}, spec: {containers: [{name: m, image: i}]}}
`;

async function filled(): Promise<CliSession> {
  const cli = new CliSession();
  assert.equal((await cli.run(['apply', '-f', '-'], objects)).code, 0);
  return cli;
}

const names = (out: string) => out.trim().split('\n');

test('tables: built-in tiers too, kinds by any of their names, namespaces', async () => {
  using cli = await filled();
  const tiers = (await cli.run(['get', 'tiers'])).out;
  assert.match(tiers, /^NAME +ORDER +DEFAULTACTION\ndefault +1000000 +Deny\nkube-admin/);
  assert.match(tiers, /\nsec +5 +Deny\n$/);
  for (const kind of ['pod', 'PODS', 'po'])
    assert.match((await cli.run(['get', kind])).out, /^NAME .*\na .*\nb\n/);
  assert.match(
    (await cli.run(['get', 'po', '-A'])).out,
    /^NAMESPACE +NAME .*\ndefault +a .*\ndefault +b\nother +c\n/,
  );
  assert.match((await cli.run(['get', 'po', '-n', 'other', '--no-headers'])).out, /^c\n/);
  assert.match((await cli.run(['get', 'po', 'a', '-o', 'wide'])).out, /LABELS\n.*app=a,track=x/);
});

test("networkpolicies are Calico's and, converted, Kubernetes' own", async () => {
  using cli = await filled();
  const group = 'networkpolicy.projectcalico.org';
  assert.deepEqual(names((await cli.run(['get', 'networkpolicy', '-o', 'name'])).out), [
    `${group}/default/knp.default.k`,
    `${group}/default/p`,
  ]);
  assert.equal((await cli.run(['get', 'np', 'knp.default.k', '-o', 'jsonpath={.spec.order}'])).out, '1000');
  assert.deepEqual(names((await cli.run(['get', 'netpol', '-o', 'name'])).out), [
    'networkpolicy.networking.k8s.io/default/k',
  ]);
  const profiles = names((await cli.run(['get', 'profiles', '-o', 'name'])).out);
  assert.equal(profiles.includes('profile.projectcalico.org/kns.other'), true);
});

test('several kinds, several names, and names as -o name prints them', async () => {
  using cli = await filled();
  const both = (await cli.run(['get', 'pods,tiers'])).out;
  assert.match(both, /\npod\/a /);
  assert.match(both, /\ntier\.projectcalico\.org\/sec /);
  const all = names((await cli.run(['get', 'all', '-A', '-o', 'name'])).out);
  for (const name of all.filter((each) => !each.startsWith('profile'))) {
    assert.equal((await cli.run(['get', name, '-o', 'name'])).out, `${name}\n`);
  }
  assert.equal(
    all.includes('networkpolicy.projectcalico.org/default/knp.default.k'),
    false,
    'shown once, as itself',
  );
  const some = await cli.run(['get', 'pod', 'b', 'zzz', 'a', '-o', 'name']);
  assert.deepEqual([some.code, names(some.out)], [3, ['pod/default/b', 'pod/default/a']]);
  assert.match(some.notes.join(), /pod\/default\/zzz not found/);
});

test('one by name is the object, anything else a list', async () => {
  using cli = await filled();
  assert.equal(JSON.parse((await cli.run(['get', 'pod', 'a', '-o', 'json'])).out).kind, 'Pod');
  const list = JSON.parse((await cli.run(['get', 'pod', '-o', 'json'])).out);
  assert.equal(list.kind, 'List');
  assert.equal(list.items.length, 2);
  assert.match(list.items[0].metadata.resourceVersion, /^\d+$/);
  assert.match((await cli.run(['get', 'gnp', '-o', 'yaml'])).out, /kind: List\nitems: \[\]/);
});

test('nothing found is no error', async () => {
  using cli = await filled();
  const none = await cli.run(['get', 'pods', '-n', 'empty']);
  assert.deepEqual(none, { code: 0, out: '', notes: ['No resources found in empty namespace.'] });
  assert.deepEqual((await cli.run(['get', 'gnp'])).notes, ['No resources found']);
});

test('an unknown kind is no object: the one that was meant, or all there are', async () => {
  using session = new CliSession();
  const near = await session.run(['get', 'gnpp']);
  assert.deepEqual([near.code, near.notes[0]], [2, 'error: unknown kind "gnpp", did you mean gnp?']);
  const far = await session.run(['get', 'gizmos']);
  assert.match(
    far.notes[0] ?? '',
    /^error: unknown kind "gizmos", want one of namespaces, .*, livemigrations$/,
  );
});

test('custom columns and jsonpath', async () => {
  using cli = await filled();
  const columns = 'custom-columns=NAME:.metadata.name,NODE:.spec.nodeName,IMAGES:.spec.containers[*].image';
  assert.equal(
    (await cli.run(['get', 'pods', '-o', columns])).out,
    'NAME   NODE     IMAGES\na      n1       i\nb      <none>   i\n',
  );
  const path = async (template: string) => (await cli.run(['get', 'pods', '-o', `jsonpath=${template}`])).out;
  assert.equal(await path('{.items[*].metadata.name}'), 'a b');
  assert.equal(
    await path('{range .items[*]}{.metadata.name}={.metadata.labels.app}{"\\n"}{end}'),
    'a=a\nb=b\n',
  );
  assert.equal(await path("n: {.items[-1].metadata['name']}"), 'n: b');
  assert.equal(await path('{.items[0].metadata.labels}'), '{"app":"a","track":"x"}');
  assert.equal(await path('{.nothing.here}'), '');
  for (const wrong of ['{.a', '{.items[?(@.x)]}', '{range .items[*]}', '{end}', '{..a}']) {
    assert.equal((await cli.run(['get', 'pods', '-o', `jsonpath=${wrong}`])).code, 2, wrong);
  }
});

test('-l in both grammars', async () => {
  using cli = await filled();
  const chosen = async (selector: string) =>
    names((await cli.run(['get', 'pods', '-A', '-o', 'name', '-l', selector])).out)
      .map((name) => name.slice(-1))
      .join('');
  const rows: [string, string][] = [
    ['app=a', 'ac'],
    ['app==a,track', 'a'],
    ['app!=a', 'b'],
    ['track!=y', 'abc'],
    ['app in (a, b),!track', 'bc'],
    ['app notin (a)', 'b'],
    ['app == "a" && !has(track)', 'c'],
    ['all()', 'abc'],
    ['', 'abc'],
  ];
  for (const [selector, want] of rows) assert.equal(await chosen(selector), want, selector);
  for (const wrong of ['a=b=c', 'a in (', ',', 'a>5', '-a=b', 'a=b || c']) {
    assert.throws(() => parseLabelFilter(wrong), /-l/, wrong);
  }
  assert.equal((await cli.run(['get', 'pods', '-l', 'a=b=c'])).code, 2);
});

test('everything that get all prints is taken back by apply', async () => {
  using cli = await filled();
  const { out } = await cli.run(['get', 'all', '-A', '-o', 'yaml']);
  const { code, out: applied, notes } = await cli.run(['apply', '-f', '-'], out);
  assert.equal(code, 0, notes.join());
  assert.match(applied, /pod\/default\/a /);
  assert.match((await cli.run(['get', 'profiles'])).out, /projectcalico-default-allow/);
});
