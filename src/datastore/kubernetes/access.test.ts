// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { AppError } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import type { KubernetesConfig } from '../config.ts';
import { type ClusterAccess, clusterAccess } from './access.ts';

const folder = mkdtempSync(join(tmpdir(), 'muslin-access-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function config(...kubeconfig: readonly string[]): KubernetesConfig {
  return { type: 'kubernetes', kubeconfig };
}

function accessOf(text: string, more: Partial<KubernetesConfig> = {}): ClusterAccess {
  return clusterAccess({ ...config(), inline: new Secret(text), ...more }, {});
}

/** One cluster, one context, and a user of these lines. */
function kubeconfig(user: readonly string[], cluster: readonly string[] = []): string {
  return [
    'current-context: c',
    'clusters:',
    '- name: k',
    '  cluster:',
    '    server: https://10.0.0.1:6443/',
    ...cluster.map((line) => `    ${line}`),
    'contexts: [{name: c, context: {cluster: k, user: u}}]',
    'users:',
    '- name: u',
    user.length === 0 ? '  user: {}' : '  user:',
    ...user.map((line) => `    ${line}`),
  ].join('\n');
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('certificates inline, and as paths beside the kubeconfig', () => {
  const inline = accessOf(
    kubeconfig(
      [`client-certificate-data: ${base64('CERT')}`, `client-key-data: ${base64('KEY')}`],
      [`certificate-authority-data: ${base64('CA')}`, 'tls-server-name: api'],
    ),
  );
  assert.deepEqual(
    [inline.server, inline.ca, inline.cert, inline.key?.reveal(), inline.serverName, inline.identity],
    ['https://10.0.0.1:6443', 'CA', 'CERT', 'KEY', 'api', { type: 'none' }],
  );
  for (const name of ['ca', 'cert', 'key']) file(`deep/pki/${name}`, name);
  const lines = ['client-certificate: pki/cert', 'client-key: pki/key'];
  const path = file('deep/config', kubeconfig(lines, ['certificate-authority: pki/ca']));
  const { ca, cert, key } = clusterAccess(config(path), {});
  assert.deepEqual([ca, cert, key?.reveal()], ['ca', 'cert', 'key']);
});

test('of several files the first that names a thing counts, and those that are not there do not', () => {
  const first = file('first', 'current-context: other\nusers: [{name: u, user: {token: first}}]');
  const second = file(
    'second',
    `${kubeconfig(['token: second'])}\n- name: v\n  user: {token: third}`.replace(
      'contexts: [',
      'contexts: [{name: other, context: {cluster: k, user: v}}, ',
    ),
  );
  const tokenOf = (context?: string) => {
    const given = config(join(folder, 'missing'), first, second);
    const { identity } = clusterAccess(context === undefined ? given : { ...given, context }, {});
    return identity.type === 'token' ? identity.token.reveal() : identity.type;
  };
  assert.equal(tokenOf(), 'third');
  assert.equal(tokenOf('c'), 'first');
  assert.throws(() => tokenOf('none'), /got no context "none", want one in contexts/);
  assert.throws(() => clusterAccess(config(join(folder, 'missing')), {}), /cannot read .*missing/);
});

test('a token in a file wins over one in the text; what the caller gives wins over both', () => {
  const text = kubeconfig(['token: a', 'tokenFile: /run/token']);
  assert.deepEqual(accessOf(text).identity, { type: 'token-file', path: '/run/token' });
  const { server, identity, insecureSkipVerify } = accessOf(text, {
    server: 'http://127.0.0.1:8001',
    token: new Secret('b'),
    insecureSkipVerify: true,
  });
  assert.deepEqual(
    [server, identity.type === 'token' && identity.token.reveal(), insecureSkipVerify],
    ['http://127.0.0.1:8001', 'b', true],
  );
});

test('a program that lives beside the kubeconfig', () => {
  const lines = [
    'exec:',
    '  apiVersion: client.authentication.k8s.io/v1',
    '  command: ./bin/login',
    '  args: [1]',
  ];
  const path = file('deep/exec', kubeconfig(lines));
  const { identity } = clusterAccess(config(path), {});
  assert.ok(identity.type === 'exec');
  assert.equal(identity.plugin.command, join(folder, 'deep/bin/login'));
  assert.deepEqual(identity.plugin.args, ['1']);
});

const refused: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'a password',
    kubeconfig(['username: admin', 'password: hunter2']),
    'UNSUPPORTED',
    /username is not supported/,
  ],
  [
    'acting as somebody else',
    kubeconfig(['as: nobody', 'token: hunter2']),
    'UNSUPPORTED',
    /as is not supported/,
  ],
  ['auth-provider', kubeconfig(['auth-provider: {name: gcp}']), 'UNSUPPORTED', /auth-provider is not/],
  ['a proxy', kubeconfig([], ['proxy-url: http://p']), 'UNSUPPORTED', /proxy-url is not supported/],
  ['exec without command', kubeconfig(['exec: {apiVersion: v1}']), 'INVALID', /want apiVersion and command/],
  [
    'a program that wants a terminal',
    kubeconfig(['exec: {apiVersion: v1, command: x, interactiveMode: Always}']),
    'UNSUPPORTED',
    /interactiveMode/,
  ],
  ['no context', 'clusters: []', 'INVALID', /got no current-context/],
  ['no kubeconfig', '[1, 2]', 'INVALID', /got no kubeconfig/],
  ['an address of no kind', kubeconfig([]).replace('https', 'ftp'), 'INVALID', /got server "ftp:/],
  [
    'a password in the address',
    kubeconfig([]).replace('https://', 'https://admin:hunter2@'),
    'INVALID',
    /user name or password in the address of 10\.0\.0\.1:6443/,
  ],
  [
    'YAML that ends early',
    'users: [{name: u, user: {token: hunter2',
    'INVALID',
    /got no YAML: \S+ at line 1/,
  ],
  ['YAML with a stray word', 'token: "a"\nhunter2 hunter2: - [\n  hunter2', 'INVALID', /got no YAML/],
  ['YAML with a broken quote', '- token: "hunter2\n', 'INVALID', /got no YAML/],
];

for (const [title, text, code, message] of refused)
  test(`refused, and no secret told: ${title}`, () => {
    assert.throws(
      () => accessOf(text),
      (error) => {
        assert.ok(error instanceof AppError);
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.doesNotMatch(inspect(error, { depth: 9 }), /hunter2/);
        return true;
      },
    );
  });

test('a cluster that is not named, and the one whose pod we are', () => {
  assert.throws(() => clusterAccess(config(), {}), /no cluster is named/);
  assert.throws(
    () => clusterAccess(config(), { KUBERNETES_SERVICE_HOST: 'fd00::1' }),
    /cannot read \/var\/run\/secrets\/kubernetes\.io\/serviceaccount\/ca\.crt/,
  );
});
