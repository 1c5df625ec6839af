// SPDX-License-Identifier: Apache-2.0
/** Secrets are seeded wherever a user keeps them; whatever then goes wrong, no message and no output shows one. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { CliSession, type Outcome } from '../../test/support/cli-session.ts';
import { Secret } from '../lib/secret.ts';
import { secretsOfStore, withoutSecrets } from './secrets.ts';

const seed = 'seeded-secret-0815-abcdefghijkl';

function shows(outcome: Outcome): boolean {
  return `${outcome.out}\n${outcome.notes.join('\n')}`.includes(seed);
}

const config = (spec: string) =>
  `apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n${spec}`;

/** Each with how it ends. */
const files: readonly [string, string, number][] = [
  ['a broken file', `  etcdPassword: ${seed}\n  etcdEndpoints: [\n`, 5],
  ['a value of the wrong form', `  etcdPassword: "${seed}\n  etcdEndpoints: x\n`, 5],
  ['a password that is read as YAML', `  etcdPassword: ${seed}: x: [\n`, 5],
  ['a password that is read as an alias', `  etcdPassword: *${seed}\n`, 5],
  ['endpoints that are none', `  etcdEndpoints: ftp://root:${seed}@127.0.0.1:1\n`, 5],
  [
    'an etcd that is away',
    `  etcdEndpoints: http://127.0.0.1:1\n  etcdUsername: a\n  etcdPassword: ${seed}\n`,
    6,
  ],
  ['an address with a password', `  etcdEndpoints: http://root:${seed}@127.0.0.1:1\n`, 5],
  ['an unknown type', `  datastoreType: none\n  etcdPassword: ${seed}\n`, 5],
  [
    'a key that is none',
    `  etcdEndpoints: https://127.0.0.1:1\n  etcdKey: ${seed}\n  etcdCert: ${seed}\n`,
    5,
  ],
  [
    'a cluster that is away',
    `  datastoreType: kubernetes\n  k8sAPIEndpoint: http://127.0.0.1:1\n  k8sAPIToken: ${seed}\n`,
    6,
  ],
  [
    'an inline kubeconfig that is none',
    `  datastoreType: kubernetes\n  kubeconfigInline: "users: [{token: ${seed}"\n`,
    5,
  ],
];

for (const [what, spec, code] of files) {
  test(`${what}: the error shows no secret`, async () => {
    using session = new CliSession({ MUSLIN_DATASTORE: undefined });
    const outcome = await session.run(['get', 'tiers', '-c', session.write('calico.cfg', config(spec))]);
    assert.equal(shows(outcome), false, outcome.notes.join('\n'));
    assert.equal(outcome.code, code, outcome.notes.join('\n'));
  });
}

const environments: readonly { readonly [name: string]: string }[] = [
  { DATASTORE_TYPE: 'etcdv3', ETCD_ENDPOINTS: 'http://127.0.0.1:1', ETCD_USERNAME: 'a', ETCD_PASSWORD: seed },
  { ETCD_ENDPOINTS: `${seed}`, ETCD_PASSWORD: seed },
  { DATASTORE_TYPE: 'kubernetes', K8S_API_ENDPOINT: 'http://127.0.0.1:1', K8S_API_TOKEN: seed },
  { DATASTORE_TYPE: 'kubernetes', KUBECONFIG_INLINE: `{users: [{user: {token: ${seed}}}` },
];

for (const env of environments) {
  test(`environment ${Object.keys(env).join(' ')}: the error shows no secret`, async () => {
    using session = new CliSession({ MUSLIN_DATASTORE: undefined, ...env });
    const outcome = await session.run(
      ['apply', '-f', '-'],
      '{apiVersion: v1, kind: Namespace, metadata: {name: a}}',
    );
    assert.notEqual(outcome.code, 0);
    assert.equal(shows(outcome), false, outcome.notes.join('\n'));
  });
}

for (const token of [`*${seed}`, `${seed}: x: [`, `"${seed}`, `!${seed} x`]) {
  test(`a kubeconfig with token ${token.replace(seed, '...')}: the error shows no secret`, async () => {
    using session = new CliSession({ MUSLIN_DATASTORE: undefined });
    const text = `kind: Config\nusers:\n- name: u\n  user:\n    token: ${token}\n`;
    const words = ['get', 'tiers', '--kubeconfig', session.write('kubeconfig', text)];
    const outcome = await session.run(words);
    assert.equal(outcome.code, 5, outcome.notes.join('\n'));
    assert.equal(shows(outcome), false, outcome.notes.join('\n'));
  });
}

test('a server that says our token back is not quoted', async () => {
  const server = createServer((request, response) => {
    const message = `I do not know ${request.headers.authorization}`;
    response
      .writeHead(401, { 'content-type': 'application/json' })
      .end(JSON.stringify({ kind: 'Status', code: 401, message }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  using session = new CliSession({ MUSLIN_DATASTORE: undefined });
  const text = `apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "http://127.0.0.1:${port}"}}]\nusers: [{name: u, user: {token: ${seed}}}]\n`;
  const outcome = await session.run(['get', 'tiers', '--kubeconfig', session.write('kubeconfig', text)]);
  server.close();
  assert.equal(shows(outcome), false, outcome.notes.join('\n'));
  assert.notEqual(outcome.code, 0);
});

test('the history does not keep what the command line had of a secret', async () => {
  using session = new CliSession({ MY_TOKEN: seed });
  const tier = '{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}, spec: {order: 5}}';
  await session.run(['apply', '-f', '-'], tier);
  await session.run(['label', 'tier', 'a', `x=${seed}`]);
  const { out } = await session.run(['history', 'tier/a']);
  assert.match(out, /muslin label tier a x=\[secret\]/);
});

test('what looks like a secret goes, whoever wrote it; what only stands beside one stays', () => {
  const key = `-----BEGIN EC PRIVATE KEY-----\n${seed}\n-----END EC PRIVATE KEY-----`;
  const text = `http://me:pw@host/x Bearer abcdefghij ${key} eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl http://host:80/a@b word`;
  assert.equal(
    withoutSecrets(text, ['word', 'x']),
    'http://[secret]@host/x Bearer [secret] [secret] [secret] http://host:80/a@b [secret]',
  );
});

test('of a store: its password, token and keys, line by line', () => {
  const lines = 'a'.repeat(40);
  const etcd = {
    type: 'etcd',
    endpoints: [],
    password: new Secret('pw'),
    tls: { key: new Secret(`x\n${lines}\n`) },
  } as const;
  assert.deepEqual(secretsOfStore(etcd), ['pw', lines]);
  const inline = new Secret(
    `users: [{user: {token: ${seed}}}]\nserver: https://a-long-name.of.a.cluster.example.com\n`,
  );
  assert.deepEqual(
    secretsOfStore({ type: 'kubernetes', kubeconfig: [], inline }).filter((each) => each !== ''),
    [seed],
  );
});
