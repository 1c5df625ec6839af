// SPDX-License-Identifier: Apache-2.0
/** The real kubectl as a client. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiServer, startApiServer } from '../../src/apiserver/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'muslin-kubectl-'));
const kubeconfig = join(folder, 'kubeconfig');
const environment = { ...process.env, HOME: folder, KUBECONFIG: kubeconfig };
const definitions = new URL('../../manifests/crds.yaml', import.meta.url).pathname;
const patience = 30_000;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function kubectl(...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: environment, timeout: patience, maxBuffer: 1 << 26 };
    execFile('kubectl', words, options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}

async function succeeds(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await kubectl(...words);
  assert.equal(code, 0, `kubectl ${words.join(' ')}: ${err}`);
  return out;
}

function manifest(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const configMap = (value: string) => `apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {k: "${value}"}
`;

const pool = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.1.0.0/16}
`;

describe('kubectl', { skip: hasKubectl() ? false : 'kubectl is not on PATH' }, () => {
  let server: ApiServer;

  before(async () => {
    const controllers = ['namespaces', 'service-accounts', 'garbage-collection', 'endpoint-slices'] as const;
    server = await startApiServer({ controllers, bookmarkInterval: 1000 });
    writeFileSync(kubeconfig, server.adminKubeconfig());
    await succeeds('create', 'namespace', 'shop');
    await succeeds('config', 'set-context', '--current', '--namespace', 'shop');
  });

  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('apply makes, leaves and changes objects; diff says what would change', async () => {
    const path = manifest('c.yaml', configMap('1'));
    assert.match(await succeeds('apply', '-f', path), /configmap\/c created/);
    assert.match(await succeeds('apply', '-f', path), /configmap\/c unchanged/);
    assert.equal((await kubectl('diff', '-f', path)).code, 0);
    manifest('c.yaml', configMap('2'));
    const { code, out } = await kubectl('diff', '-f', path);
    assert.equal(code, 1);
    assert.match(out, /^-\s+k: "1"\n\+\s+k: "2"$/m);
    assert.match(await succeeds('apply', '-f', path), /configmap\/c configured/);
    assert.equal(await succeeds('get', 'cm', 'c', '-o', 'jsonpath={.data.k}'), '2');
  });

  test('apply --server-side keeps two managers apart', async () => {
    const path = manifest('s.yaml', configMap('1').replace('name: c', 'name: s'));
    assert.match(
      await succeeds('apply', '--server-side', '--field-manager=one', '-f', path),
      /serverside-applied/,
    );
    manifest('s.yaml', configMap('2').replace('name: c', 'name: s'));
    const { code, err } = await kubectl('apply', '--server-side', '--field-manager=two', '-f', path);
    assert.equal(code, 1);
    assert.match(err, /conflict with "one": \.data\.k/);
    await succeeds('apply', '--server-side', '--field-manager=two', '--force-conflicts', '-f', path);
    assert.equal(await succeeds('get', 'cm', 's', '-o', 'jsonpath={.data.k}'), '2');
  });

  test('a wrong manifest is refused before anything is written', async () => {
    const path = manifest(
      'wrong.yaml',
      configMap('1').replace('\ndata', '\ndota').replace('name: c', 'name: w'),
    );
    const { code, err } = await kubectl('apply', '-f', path);
    assert.equal(code, 1);
    assert.match(err, /unknown field "dota"/);
    assert.equal((await kubectl('get', 'cm', 'w')).code, 1);
  });

  test('custom resources: definitions, wait, explain, apply, get, patch, delete', async () => {
    await succeeds('apply', '--server-side', '-f', definitions);
    await succeeds('wait', '--for=condition=Established', 'crd/ippools.projectcalico.org', '--timeout=10s');
    assert.match(await succeeds('explain', 'ippools.spec'), /cidr\s+<string>/);
    await succeeds('apply', '-f', manifest('pool.yaml', pool));
    assert.match(await succeeds('get', 'ippools'), /^NAME .*\npool /);
    await succeeds('patch', 'ippool', 'pool', '--type', 'merge', '-p', '{"spec":{"natOutgoing":true}}');
    assert.equal(await succeeds('get', 'ippool', 'pool', '-o', 'jsonpath={.spec.natOutgoing}'), 'true');
    assert.match(await succeeds('delete', 'ippool', 'pool', '--wait'), /deleted/);
  });

  test('explain knows built-in kinds', async () => {
    assert.match(await succeeds('explain', 'pod.spec.containers.ports'), /containerPort\s+<integer>/);
    assert.match(await succeeds('explain', 'networkpolicy.spec'), /podSelector\s+<Object>/);
  });

  test('get -w sees what comes and goes', async () => {
    const watching = spawn('kubectl', ['get', 'cm', '-w', '-l', 'seen=yes', '--output-watch-events'], {
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = linesUntil(watching.stdout, /DELETED/);
    await succeeds('create', 'configmap', 'w');
    await succeeds('label', 'cm', 'w', 'seen=yes');
    await succeeds('annotate', 'cm', 'w', 'a=b');
    await succeeds('label', 'cm', 'w', 'seen-');
    const seen = (await lines).flatMap((line) => /^(ADDED|MODIFIED|DELETED)\s+w\s/.exec(line)?.[1] ?? []);
    watching.kill();
    assert.deepEqual(seen, ['ADDED', 'MODIFIED', 'DELETED']);
  });

  test('Pods: run, wait for a condition, delete --now', async () => {
    await succeeds('run', 'p', '--image', 'img', '--labels', 'app=p');
    await succeeds('expose', 'pod', 'p', '--port', '80', '--selector', 'app=p');
    const ready = {
      conditions: [{ type: 'Ready', status: 'True' }],
      podIP: '10.1.0.1',
      podIPs: [{ ip: '10.1.0.1' }],
    };
    const patch = JSON.stringify({ status: { phase: 'Running', ...ready } });
    await succeeds('patch', 'pod', 'p', '--subresource=status', '--type', 'strategic', '-p', patch);
    await succeeds('wait', '--for=condition=Ready', 'pod/p', '--timeout=10s');
    assert.match(await succeeds('get', 'pods', '-o', 'wide'), /^p\s+0\/1\s+Running\s+0\s.*10\.1\.0\.1/m);
    assert.match(await succeeds('describe', 'service', 'p'), /Endpoints:\s+10\.1\.0\.1:80/);
    assert.match(await succeeds('delete', 'pod', 'p', '--now', '--wait=false'), /deleted/);
  });

  test('auth can-i answers by roles', async () => {
    await succeeds('create', 'role', 'reader', '--verb=get,list', '--resource=pods');
    await succeeds('create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=shop:default');
    const as = ['--as', 'system:serviceaccount:shop:default'];
    assert.equal((await kubectl('auth', 'can-i', 'list', 'pods', ...as)).out, 'yes\n');
    assert.equal((await kubectl('auth', 'can-i', 'delete', 'pods', ...as)).out, 'no\n');
    assert.match(await succeeds('auth', 'can-i', '--list', ...as), /^pods\s+\[\]\s+\[\]\s+\[get list\]/m);
    assert.match(await succeeds('auth', 'whoami'), /muslin-admin/);
    const token = (await succeeds('create', 'token', 'default')).trim();
    const open = [
      '--kubeconfig',
      '/dev/null',
      '--server',
      server.url,
      '--token',
      token,
      '--insecure-skip-tls-verify',
    ];
    assert.equal((await kubectl(...open, 'get', 'pods', '-n', 'shop')).code, 0);
    assert.match(
      (await kubectl(...open, 'get', 'secrets', '-n', 'shop')).err,
      /cannot list resource "secrets"/,
    );
  });

  test('delete namespace --wait empties it', async () => {
    await succeeds('create', 'namespace', 'gone');
    await succeeds('-n', 'gone', 'create', 'configmap', 'inside');
    await succeeds('delete', 'namespace', 'gone', '--wait', '--timeout=15s');
    assert.match((await kubectl('get', 'namespace', 'gone')).err, /NotFound/);
    assert.equal(server.store.get('/configmaps', 'gone/inside'), null);
  });
});

/** Of a stream, up to the one that matches. */
function linesUntil(stream: NodeJS.ReadableStream, last: RegExp): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const late = setTimeout(() => reject(new Error(`want ${last}, got ${text}`)), patience);
    stream.on('data', (part: Buffer) => {
      text += part.toString('utf8');
      if (!last.test(text)) return;
      clearTimeout(late);
      resolve(text.split('\n'));
    });
  });
}
