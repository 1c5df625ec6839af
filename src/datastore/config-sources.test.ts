// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { placeText } from './config.ts';
import { datastoreOfEnvironment, datastoreOfFile } from './config-sources.ts';

function inFolder(run: (write: (name: string, text: string) => string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-config-'));
  try {
    run((name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const file = (spec: string) =>
  `apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n${spec}`;

test("Calico's file names etcd with certificates and a user", () => {
  inFolder((write) => {
    const ca = write('ca.pem', 'CA');
    const key = write('key.pem', 'KEY');
    const path = write(
      'calicoctl.cfg',
      file(
        `  datastoreType: etcdv3\n  etcdEndpoints: https://a:2379, https://b:2379/\n  etcdUsername: u\n  etcdPassword: hush\n  etcdCACertFile: ${ca}\n  etcdCert: CERT\n  etcdKeyFile: ${key}\n`,
      ),
    );
    const config = datastoreOfFile(path);
    assert.ok(config.type === 'etcd');
    assert.deepEqual(config.endpoints, ['https://a:2379', 'https://b:2379']);
    assert.deepEqual([config.username, config.password?.reveal()], ['u', 'hush']);
    assert.deepEqual([config.tls?.ca, config.tls?.cert, config.tls?.key?.reveal()], ['CA', 'CERT', 'KEY']);
    for (const text of [inspect(config, { depth: 9 }), JSON.stringify(config), placeText(config)])
      assert.doesNotMatch(text, /hush|KEY/);
  });
});

test("Calico's environment names Kubernetes, with or without CALICO_ before it", () => {
  const config = datastoreOfEnvironment({
    CALICO_DATASTORE_TYPE: 'kubernetes',
    KUBECONFIG: '/a:/b',
    K8S_CURRENT_CONTEXT: 'c',
  });
  assert.deepEqual(config, { type: 'kubernetes', kubeconfig: ['/a', '/b'], context: 'c' });
});

test('an environment that names no store names none', () => {
  assert.equal(datastoreOfEnvironment({ PATH: '/bin' }), null);
});

const refused: readonly [string, string, RegExp][] = [
  ['another kind', 'kind: Pod', /got kind "Pod", want CalicoAPIConfig/],
  ['another type', file('  datastoreType: consul'), /datastoreType: got "consul", want etcdv3, kubernetes/],
  ['no endpoints', file('  datastoreType: etcdv3'), /got no etcdEndpoints, want one/],
  ['an endpoint without scheme', file('  etcdEndpoints: a:2379'), /got "a:2379", want http:\/\//],
  ['no YAML', '{', /calicoctl\.cfg: /],
];

for (const [title, text, message] of refused) {
  test(`a file with ${title} is refused with a reason`, () => {
    inFolder((write) => {
      const path = write('calicoctl.cfg', text);
      assert.throws(() => datastoreOfFile(path), { code: 'INVALID', message });
    });
  });
}

test('a file that is not there, and a key that is not there, are named', () => {
  assert.throws(() => datastoreOfFile('/nowhere/x.cfg'), { code: 'NOT_FOUND', message: /\/nowhere\/x\.cfg/ });
  const env = { ETCD_ENDPOINTS: 'https://a:1', ETCD_KEY_FILE: '/nowhere/key' };
  assert.throws(() => datastoreOfEnvironment(env), {
    code: 'NOT_FOUND',
    message: /etcdKeyFile \/nowhere\/key/,
  });
});

test('a word is what is written, not the number or null that it may look like', () => {
  inFolder((write) => {
    const config = datastoreOfFile(
      write(
        'a.cfg',
        file('  etcdEndpoints: http://a:1\n  etcdUsername: u\n  etcdPassword: 0123\n  etcdCACertFile:\n'),
      ),
    );
    assert.ok(config.type === 'etcd');
    assert.equal(config.password?.reveal(), '0123');
    assert.equal(config.tls, undefined);
  });
});

test('what cannot be read is told without the secrets that stand in it', () => {
  inFolder((write) => {
    for (const [name, spec] of Object.entries({
      unclosed: '  etcdEndpoints: http://a:1\n  etcdPassword: "hush\n',
      'no-scheme': '  etcdEndpoints: u:hu@sh@a:1\n',
    })) {
      const path = write(name, file(spec));
      assert.throws(
        () => datastoreOfFile(path),
        (error: Error) => error.message.includes(path) && !/hu@?sh/.test(error.message),
      );
    }
  });
});
