// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { EmbeddedStore } from '../datastore/embedded/store.ts';

const policy = (name: string, more = '') =>
  `apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: web}\nspec:\n  selector: all()\n${more}`;
const tier = (name: string, order: number) =>
  `apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: ${name}}\nspec: {order: ${order}}\n`;
const namespace = (name: string) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;
const pod = (name: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: web}\nspec: {containers: [{name: main, image: x}]}\n`;

test('apply creates, leaves alone what is the same, and changes what differs', async () => {
  using cli = new CliSession();
  const file = cli.write('a.yaml', `${tier('sec', 5)}---\n${namespace('web')}---\n${policy('p')}`);
  const lines = (outcome: string) =>
    ['namespace/web', 'tier.projectcalico.org/sec', 'networkpolicy.projectcalico.org/web/p']
      .map((name) => `${name} ${outcome}\n`)
      .join('');
  assert.deepEqual(await cli.run(['apply', '-f', file]), { code: 0, out: lines('created'), notes: [] });
  const before = await revision(cli);
  assert.equal((await cli.run(['apply', '-f', file])).out, lines('unchanged'));
  assert.equal(await revision(cli), before, 'nothing is written');
  cli.write('a.yaml', `${tier('sec', 6)}---\n${namespace('web')}---\n${policy('p')}`);
  const changed = (await cli.run(['apply', '-f', file])).out;
  assert.equal(changed, lines('unchanged').replace('sec unchanged', 'sec configured'));
});

test('a pool that overlaps another is refused by its place, in either order', async () => {
  using cli = new CliSession();
  const pool = (name: string, cidr: string) =>
    `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: ${name}}\nspec: {cidr: ${cidr}}\n`;
  cli.write('wide.yaml', pool('wide', '10.0.0.0/8'));
  const narrow = cli.write('narrow.yaml', pool('narrow', '10.65.0.0/16'));
  assert.equal(
    (await cli.run(['apply', '-f', cli.write('other.yaml', pool('other', '10.64.0.0/16'))])).code,
    0,
  );
  const refused = await cli.run(['apply', '-f', cli.write('wide.yaml', pool('wide', '10.0.0.0/8'))]);
  assert.equal(refused.code, 5);
  assert.match(
    refused.notes.join(),
    /wide\.yaml:1.*ippool.*wide: got 10\.0\.0\.0\/8, want no overlap with .*other/,
  );
  assert.equal((await cli.run(['apply', '-f', narrow])).code, 0);
  assert.equal((await cli.run(['apply', '-f', narrow])).code, 0, 'it does not overlap itself');
});

test('a host endpoint of a node that does not exist is noted', async () => {
  using cli = new CliSession();
  const node = 'apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n';
  const endpoint = (of: string) =>
    `apiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: h}\nspec: {node: ${of}, interfaceName: eth0}\n`;
  const applied = await cli.run(['apply', '-f', cli.write('a.yaml', `${node}---\n${endpoint('n2')}`)]);
  assert.match(applied.notes.join(), /hostendpoint.*h: node n2 does not exist/);
  assert.deepEqual((await cli.run(['apply', '-f', cli.write('b.yaml', endpoint('n1'))])).notes, []);
});

test('kinds on which nothing acts yet are stored, and that is said', async () => {
  using cli = new CliSession();
  const peer = (name: string) =>
    `apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: ${name}}\nspec: {peerIP: 192.0.2.1, asNumber: 64512}\n`;
  const applied = await cli.run(['apply', '-f', cli.write('a.yaml', `${peer('a')}---\n${peer('b')}`)]);
  assert.equal(applied.code, 0);
  assert.deepEqual(applied.notes, ['note: BGPPeer: checked and stored; nothing acts on that yet']);
  assert.match((await cli.run(['get', 'bgppeers'])).out, /192\.0\.2\.1/);
});

test('settings that hold on no node are noted', async () => {
  using cli = new CliSession();
  const felix = (name: string, spec: string) =>
    `apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: ${name}}\nspec: {${spec}}\n`;
  const apply = async (text: string) => (await cli.run(['apply', '-f', cli.write('f.yaml', text)])).notes;
  assert.match((await apply(felix('racks', 'vxlanPort: 1'))).join(), /racks: holds on no node/);
  const others = [
    felix('default', 'vxlanPort: 1'),
    felix('node.n1', 'vxlanPort: 1'),
    felix('some', 'nodeSelector: all()'),
  ];
  assert.deepEqual(await apply(others.join('---\n')), []);
});

test('a tier with a staged policy is not deleted', async () => {
  using cli = new CliSession();
  const staged = policy('p', '  tier: sec\n').replace('NetworkPolicy', 'StagedNetworkPolicy');
  await cli.run(['apply', '-f', cli.write('a.yaml', `${tier('sec', 5)}---\n${staged}`)]);
  const { code, notes } = await cli.run(['delete', 'tier', 'sec']);
  assert.equal(code, 4);
  assert.match(notes.join(), /it has policies: .*stagednetworkpolicy.*web\/p/i);
});

async function revision(cli: CliSession): Promise<string> {
  await using store = new EmbeddedStore(cli.datastore);
  return (await store.list('Tier')).revision;
}

test('one fault anywhere: all are told with their places, nothing is stored', async () => {
  using cli = new CliSession();
  const good = cli.write('good.yaml', namespace('web'));
  const bad = cli.write('bad.yaml', `${policy('p', '  oder: 5\n  types: [Up]\n')}---\n${tier('x', 1)}a: [\n`);
  const { code, out, notes } = await cli.run(['apply', '-f', good, bad]);
  assert.equal(code, 5);
  assert.equal(out, '');
  const lines = notes.join('\n').split('\n');
  assert.equal(lines[0]?.startsWith(`${bad}:6:3: error: spec.oder: unknown field`), true, lines[0]);
  assert.match(lines[1] ?? '', /bad\.yaml:7:11: error: spec\.types\[0\]: got "Up"/);
  assert.match(lines[2] ?? '', /bad\.yaml:1[234]:\d+: error: /);
  assert.equal((await cli.run(['get', 'ns'])).code, 3);
});

test('a namespace that nobody wrote is made too; a tier that does not exist is noted', async () => {
  using cli = new CliSession();
  const { code, out, notes } = await cli.run(['apply', '-f', '-'], policy('t.p', '  tier: t\n'));
  assert.equal(code, 0);
  assert.equal(
    out,
    'namespace/web created (no manifest had it)\nnetworkpolicy.projectcalico.org/web/t.p created\n',
  );
  assert.match(notes.join(), /tier t does not exist/);
  const { out: labels } = await cli.run(['get', 'ns', 'web', '-o', 'jsonpath={.metadata.labels}']);
  assert.deepEqual(JSON.parse(labels), { 'kubernetes.io/metadata.name': 'web' });
});

test("a pod keeps the lab's node and status when its manifest has none", async () => {
  using cli = new CliSession();
  const file = cli.write('pod.yaml', pod('a'));
  await cli.run(['apply', '-f', file]);
  await using store = new EmbeddedStore(cli.datastore);
  const key = { kind: 'Pod', namespace: 'web', name: 'a' } as const;
  const { resource, revision: at } = await store.get(key);
  const placed = {
    ...resource,
    spec: { ...(resource.spec as object), nodeName: 'n1' },
    status: { phase: 'Running' },
  };
  await store.update(key, placed, at);
  assert.match((await cli.run(['apply', '-f', file])).out, /pod\/web\/a unchanged/);
  cli.write('pod.yaml', pod('a').replace('image: x', 'image: z'));
  assert.match((await cli.run(['apply', '-f', file])).out, /pod\/web\/a configured/);
  const after = (await store.get(key)).resource;
  assert.deepEqual(after.status, { phase: 'Running' });
  assert.deepEqual(after.spec, { containers: [{ name: 'main', image: 'z' }], nodeName: 'n1' });
});

test('what get prints can be applied again and changes nothing', async () => {
  using cli = new CliSession();
  const knp = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: k, namespace: web}\nspec: {podSelector: {}}\n`;
  const file = cli.write('a.yaml', `${tier('sec', 5)}---\n${policy('p')}---\n${pod('a')}---\n${knp}`);
  await cli.run(['apply', '-f', file]);
  for (const form of ['yaml', 'json']) {
    const { out } = await cli.run(['get', 'ns,tiers,np,pods,netpol', '-n', 'web', '-o', form]);
    const again = await cli.run(['apply', '-f', '-'], out);
    assert.equal(again.code, 0, again.notes.join('\n'));
    const outcomes = again.out
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[1]);
    assert.equal(outcomes.length, 8);
    assert.deepEqual(new Set(outcomes), new Set(['unchanged']));
  }
});

test('a moved rule is stored, so that explain names the right line', async () => {
  using cli = new CliSession();
  const file = cli.write('a.yaml', policy('p'));
  await cli.run(['apply', '-f', file]);
  cli.write('a.yaml', `# a comment\n${policy('p')}`);
  assert.match((await cli.run(['apply', '-f', file])).out, /web\/p configured/);
});

test('built-in tiers and converted names cannot be written', async () => {
  using cli = new CliSession();
  const converted = await cli.run(['apply', '-f', '-'], policy('knp.default.x'));
  assert.equal(converted.code, 5);
  assert.match(converted.notes.join(), /<stdin>:1: error: metadata\.name: got "knp\.default\.x"/);
  assert.equal((await cli.run(['apply', '-f', '-'], tier('default', 5))).code, 5);
  const labelled = tier('default', 1_000_000).replace('{name: default}', '{name: default, labels: {a: b}}');
  assert.equal((await cli.run(['apply', '-f', '-'], labelled)).code, 5);
  const same = await cli.run(['apply', '-f', '-'], tier('default', 1_000_000));
  assert.equal(same.out, 'tier.projectcalico.org/default unchanged (built in)\n');
  assert.equal((await cli.run(['create', '-f', '-'], tier('default', 1_000_000))).code, 4);
});

test('create wants all to be new, replace wants all to be there', async () => {
  using cli = new CliSession();
  const created = await cli.run(['create', '-f', '-'], tier('a', 1));
  assert.deepEqual([created.code, created.out], [0, 'tier.projectcalico.org/a created\n']);
  const again = await cli.run(['create', '-f', '-'], `${tier('b', 1)}---\n${tier('a', 1)}`);
  assert.equal(again.code, 4);
  assert.match(again.notes.join(), /tier\.projectcalico\.org\/a already exists/);
  assert.equal((await cli.run(['get', 'tier', 'b'])).code, 3, 'nothing of it was stored');
  const replaced = await cli.run(['replace', '-f', '-'], tier('a', 2));
  assert.deepEqual([replaced.code, replaced.out], [0, 'tier.projectcalico.org/a replaced\n']);
  assert.equal((await cli.run(['replace', '-f', '-'], tier('c', 2))).code, 3);
});

test('a manifest with a resourceVersion changes that version alone; create wants none', async () => {
  using cli = new CliSession();
  await cli.run(['create', '-f', '-'], tier('a', 1));
  const { out: first } = await cli.run(['get', 'tier', 'a', '-o', 'json']);
  const version = JSON.parse(first).metadata.resourceVersion;
  const changed = (order: number) => first.replace('"order": 1', `"order": ${order}`);
  assert.equal((await cli.run(['replace', '-f', '-'], changed(2))).code, 0);
  for (const verb of ['apply', 'replace']) {
    const stale = await cli.run([verb, '-f', '-'], changed(3));
    assert.equal(stale.code, 4, verb);
    assert.match(
      stale.notes.join(),
      new RegExp(`tier\\.projectcalico\\.org/a: got resourceVersion "${version}"`),
    );
  }
  assert.equal((await cli.run(['get', 'tier', 'a', '-o', 'jsonpath={.spec.order}'])).out, '2');
  assert.match((await cli.run(['apply', '-f', '-'], changed(2))).out, /unchanged/, 'nothing is lost by that');
  const created = await cli.run(['create', '-f', '-'], first.replace('"name": "a"', '"name": "b"'));
  assert.equal(created.code, 5);
  assert.match(created.notes.join(), /<stdin>:1.*metadata\.resourceVersion: got "\d+", want nothing/);
  await cli.run(['delete', 'tier', 'a']);
  assert.match((await cli.run(['apply', '-f', '-'], first)).out, /a created/, 'what is gone may be restored');
});

test('names are kept as they are written, with the tier before them or without', async () => {
  using cli = new CliSession();
  const names = ['p', 'default.p', 'sec.p'];
  const file = cli.write(
    'a.yaml',
    `${tier('sec', 5)}---\n${names.map((name) => policy(name)).join('---\n')}---\n${policy('q', '  tier: sec\n')}`,
  );
  assert.equal((await cli.run(['apply', '-f', file])).code, 0);
  const { out } = await cli.run(['get', 'np', '-n', 'web', '-o', 'name']);
  assert.deepEqual(
    out.trim().split('\n').sort(),
    ['default.p', 'p', 'q', 'sec.p'].map((name) => `networkpolicy.projectcalico.org/web/${name}`),
  );
  assert.equal((await cli.run(['delete', 'np', 'default.p', '-n', 'web'])).code, 0);
  assert.equal((await cli.run(['get', 'np', 'p', '-n', 'web'])).code, 0, 'another object');
  assert.equal((await cli.run(['get', 'np', 'sec.q', '-n', 'web'])).code, 3, 'no tier is put before a name');
});

test('-o prints the objects as stored', async () => {
  using cli = new CliSession();
  assert.equal(
    (await cli.run(['apply', '-o', 'name', '-f', '-'], tier('a', 1))).out,
    'tier.projectcalico.org/a\n',
  );
  const { out } = await cli.run(['apply', '-o', 'json', '-f', '-'], tier('a', 2));
  assert.equal(JSON.parse(out).spec.order, 2);
  assert.match(JSON.parse(out).metadata.resourceVersion, /^\d+$/);
  assert.equal((await cli.run(['apply', '-o', 'nope', '-f', '-'], tier('z', 2))).code, 2);
  assert.equal(
    (await cli.run(['get', 'tier', 'z'])).code,
    3,
    'wrong usage is told before anything is written',
  );
  assert.equal((await cli.run(['apply', '--timeout', 'long', '-f', '-'], tier('z', 2))).code, 2);
});

test('directories are read, with -R also those below', async () => {
  using cli = new CliSession();
  mkdirSync(`${cli.folder}/m/below`, { recursive: true });
  cli.write('m/a.yaml', tier('a', 1));
  cli.write('m/notes.txt', 'not: [a manifest');
  cli.write(
    'm/below/b.json',
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'b' } }),
  );
  assert.equal((await cli.run(['apply', '-f', `${cli.folder}/m`])).out, 'tier.projectcalico.org/a created\n');
  assert.match((await cli.run(['apply', '-R', '-f', `${cli.folder}/m`])).out, /namespace\/b created/);
  assert.equal((await cli.run(['apply', '-f', `${cli.folder}/none`])).code, 3);
});

test('an object written twice: the last one counts, and that is said', async () => {
  using cli = new CliSession();
  const { out, notes } = await cli.run(['apply', '-f', '-'], `${tier('a', 1)}---\n${tier('a', 2)}`);
  assert.equal(out, 'tier.projectcalico.org/a created\n');
  assert.match(notes.join(), /written twice/);
  assert.equal((await cli.run(['get', 'tier', 'a', '-o', 'jsonpath={.spec.order}'])).out, '2');
});

test('several that apply at once all get through', async () => {
  using cli = new CliSession();
  await cli.run(['apply', '-f', '-'], tier('a', 1));
  const results = await Promise.all(
    [2, 3, 4].map((order) => cli.run(['apply', '-f', '-'], tier('a', order))),
  );
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0],
  );
});

test('delete: by name, by manifest, what is missing, what is inside', async () => {
  using cli = new CliSession();
  const file = cli.write(
    'a.yaml',
    `${tier('sec', 5)}---\n${policy('sec.p', '  tier: sec\n')}---\n${pod('a')}`,
  );
  await cli.run(['apply', '-f', file]);
  const used = await cli.run(['delete', 'tier', 'sec']);
  assert.equal(used.code, 4);
  assert.match(used.notes.join(), /networkpolicy\.projectcalico\.org\/web\/sec\.p/);
  const missing = await cli.run(['delete', 'pod', 'a', 'b', '-n', 'web']);
  assert.equal(missing.code, 3);
  assert.match(missing.notes.join(), /pod\/web\/b not found/);
  assert.equal((await cli.run(['get', 'pod/web/a'])).code, 0, 'nothing of it was deleted');
  const ignored = await cli.run(['delete', 'pod/web/a', 'pod/web/b', '--ignore-not-found']);
  assert.deepEqual([ignored.code, ignored.out], [0, 'pod/web/a deleted\n']);
  await cli.run(['apply', '-f', file]);
  assert.equal(
    (await cli.run(['delete', 'ns', 'web'])).out,
    'networkpolicy.projectcalico.org/web/sec.p deleted\npod/web/a deleted\nnamespace/web deleted\n',
  );
  assert.equal((await cli.run(['delete', 'tier', 'sec'])).code, 0);
  await cli.run(['apply', '-f', file]);
  const all = await cli.run(['delete', '-f', file]);
  assert.equal(all.code, 0, 'a tier goes with its policies');
  assert.equal((await cli.run(['delete', '-f', file])).code, 3);
});

test('delete refuses built-in tiers, converted policies and wrong usage', async () => {
  using cli = new CliSession();
  await cli.run(['apply', '-f', '-'], tier('a', 1));
  assert.equal((await cli.run(['delete', 'tier', 'default'])).code, 5);
  assert.equal((await cli.run(['delete', 'np', 'knp.default.x'])).code, 5);
  assert.equal((await cli.run(['delete', 'tiers'])).code, 2);
  assert.equal((await cli.run(['delete'])).code, 2);
  assert.equal((await cli.run(['delete', 'tier', 'a', '-f', 'x.yaml'])).code, 2);
});

test('manifests without any object are an error, not a success', async () => {
  using cli = new CliSession();
  mkdirSync(`${cli.folder}/none`);
  cli.write('none/README.txt', 'no manifest');
  for (const [args, stdin] of [
    [['apply', '-f', `${cli.folder}/none`], ''],
    [['apply', '-f', '-'], '# only a comment\n---\n'],
    [['create', '-f', '-'], ''],
    [['delete', '-f', '-'], ''],
    [['validate', '-f', '-'], '{apiVersion: v1, kind: List, items: []}'],
  ] as const) {
    const { code, out, notes } = await cli.run(args, stdin);
    assert.deepEqual({ code, out }, { code: 5, out: '' }, args.join(' '));
    assert.match(notes.join(), /no objects in /);
  }
});
