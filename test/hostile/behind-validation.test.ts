// SPDX-License-Identifier: Apache-2.0
/**
 * What someone wrote into the datastore past every check, from there to a node's state: it counts as absent, it is
 * reported, it closes what it should, and all others stand.
 */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { buildGraph, type CalcGraph } from '../../src/calc/graph.ts';
import { EmbeddedStore } from '../../src/datastore/embedded/store.ts';
import { StoreSyncer } from '../../src/datastore/syncer.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import type { Fault } from '../../src/lib/errors.ts';
import { keyOf, keyPath } from '../../src/model/kinds.ts';
import type { Resource, ResourceKey } from '../../src/model/types.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import { explain, type Party } from '../../src/observe/explain.ts';
import { CliSession } from '../support/cli-session.ts';
import { calico, core, gnp, hep, knp, pod, tier } from '../support/oracle-cluster.ts';

const usual: readonly Resource[] = [
  core('Namespace', 'red', {}),
  core('Namespace', 'blue', {}),
  pod('red', 'a', '1', { labels: { app: 'a' } }),
  pod('red', 'b', '2', { labels: { app: 'b' } }),
  pod('blue', 'c', '3', { labels: { app: 'c' } }),
];
const allowFromA = {
  selector: "app == 'b'",
  ingress: [{ action: 'Allow', source: { selector: "app == 'a'" } }],
};
const addresses: { readonly [pod: string]: string } = {
  'red/a': '10.0.0.1',
  'red/b': '10.0.0.2',
  'blue/c': '10.0.0.3',
};

/** One node on a store: what it enforces, and what it finds wrong. */
class Node implements AsyncDisposable {
  readonly session = new CliSession();
  readonly store: EmbeddedStore = new EmbeddedStore(this.session.datastore);
  readonly state = new DataplaneState();
  readonly faults = new Map<string, readonly Fault[]>();
  readonly #graph: CalcGraph = buildGraph({ node: 'n1' });
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #seen = 0;

  constructor() {
    const syncer = new StoreSyncer(this.store, {
      onFaults: (key, faults) => {
        if (faults.length > 0) this.faults.set(keyPath(key), faults);
        else this.faults.delete(keyPath(key));
      },
      onRevision: (revision) => {
        this.#seen = Number(revision);
      },
    });
    this.#running = syncer.run(this.#graph, this.#stop.signal);
  }

  async put(...resources: readonly unknown[]): Promise<void> {
    for (const resource of resources) await this.putAt(keyOf(resource as Resource), resource);
  }

  async putAt(key: ResourceKey, resource: unknown): Promise<void> {
    const { items } = await this.store.snapshot();
    const old = items.find((item) => keyPath(item.key) === keyPath(key));
    if (old) await this.store.update(key, resource as Resource, old.revision);
    else await this.store.create(key, resource as Resource);
    await this.follow();
  }

  /** A row as another program leaves it. */
  async bytes({ kind, namespace = '', name }: ResourceKey, body: string): Promise<void> {
    using db = new DatabaseSync(this.session.datastore);
    db.exec("UPDATE fact SET value = value + 1 WHERE name = 'revision'");
    const revision = Number(db.prepare("SELECT value FROM fact WHERE name = 'revision'").get()?.value);
    db.prepare('INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?)').run(
      kind,
      namespace,
      name,
      revision,
      body,
    );
    db.prepare('INSERT INTO log (revision, kind, namespace, name, body) VALUES (?, ?, ?, ?, ?)').run(
      revision,
      kind,
      namespace,
      name,
      body,
    );
    await this.follow();
  }

  async delete(key: ResourceKey): Promise<void> {
    await this.store.delete(key);
    await this.follow();
  }

  /** Until what is stored now was told, then all that the graph says. */
  async follow(): Promise<void> {
    const { revision } = await this.store.list('Tier');
    const deadline = Date.now() + 20_000;
    while (this.#seen < Number(revision)) {
      assert.ok(Date.now() < deadline, 'the node does not follow the store');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    this.#graph.flush((message) => this.state.apply(message));
  }

  allows(from: string, to: string): boolean {
    return explain(this.#party(from), this.#party(to), {
      protocol: 6,
      srcPort: 40_000,
      dstPort: 80,
      ipVersion: 4,
    }).allowed;
  }

  #party(name: string): Party {
    const address = parseAddress(addresses[name] ?? name);
    const id = `WorkloadEndpoint/${name}` as KeyPath;
    return this.state.endpoints.has(id)
      ? { kind: 'endpoint', state: this.state, id }
      : { kind: 'address', address };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    try {
      await this.#running;
    } finally {
      await this.store[Symbol.asyncDispose]();
      this.session[Symbol.dispose]();
    }
  }
}

test('an invalid policy is absent, and what it opened is closed by those that stand', async () => {
  await using node = new Node();
  const deny = gnp('deny', { order: 9, selector: "app == 'b'", types: ['Ingress'] });
  await node.put(...usual, deny, gnp('open', { order: 1, ...allowFromA }));
  assert.ok(node.allows('red/a', 'red/b'));
  for (const wrong of [
    { order: 1, ...allowFromA, types: ['Up'] },
    { order: 'first', ...allowFromA },
    { ...allowFromA, ingress: { action: 'Allow' } },
    { ...allowFromA, selector: "app == 'b" },
    'spec',
  ]) {
    await node.put(gnp('open', wrong as object as { [field: string]: unknown }));
    assert.equal(node.allows('red/a', 'red/b'), false, JSON.stringify(wrong));
    assert.deepEqual([...node.faults.keys()], ['GlobalNetworkPolicy/open']);
    assert.deepEqual([...node.state.policies.keys()], ['GlobalNetworkPolicy/deny'], 'the neighbour stands');
  }
  await node.put(gnp('open', { order: 1, ...allowFromA }));
  assert.ok(node.allows('red/a', 'red/b'), 'valid again');
  assert.equal(node.faults.size, 0);
});

test('an invalid namespace leaves its pods without profile, which denies', async () => {
  await using node = new Node();
  await node.put(...usual);
  assert.ok(node.allows('blue/c', 'red/b'));
  await node.put({ ...core('Namespace', 'red', {}), metadata: { name: 'red', labels: { team: ['x'] } } });
  assert.equal(node.allows('blue/c', 'red/b'), false);
  assert.equal(node.state.profiles.get('kns.red')?.missing, true);
  assert.ok(node.allows('192.0.2.9', 'blue/c'), 'the other namespace stands');
});

test('an invalid profile denies the host endpoint that has it', async () => {
  await using node = new Node();
  const open = [{ action: 'Allow' }];
  const profile = calico('Profile', 'p', { ingress: open, egress: open });
  await node.put(profile, hep('h', { interfaceName: 'eth0', profiles: ['p'] }));
  assert.equal(node.state.profiles.get('p')?.missing, false);
  await node.put({ ...profile, spec: { ingress: open, egress: open, labelsToApply: 5 } });
  assert.deepEqual(node.state.profiles.get('p'), { missing: true, ingress: [], egress: [] });
  assert.deepEqual([...node.faults.keys()], ['Profile/p']);
});

test('of a cluster policy a broken Deny denies everything, a broken Accept nothing', async () => {
  await using node = new Node();
  const policy = (action: string, from: unknown) => ({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'c' },
    spec: { tier: 'Admin', priority: 1, subject: { namespaces: {} }, ingress: [{ action, from }] },
  });
  const fromBlue = [{ namespaces: { matchLabels: { 'kubernetes.io/metadata.name': 'blue' } } }];
  await node.put(...usual, policy('Deny', fromBlue));
  assert.deepEqual([node.allows('red/a', 'red/b'), node.allows('blue/c', 'red/b')], [true, false]);
  await node.put(policy('Deny', [{ namespaces: 5 }]));
  assert.deepEqual([node.allows('red/a', 'red/b'), node.allows('blue/c', 'red/b')], [false, false]);
  assert.deepEqual([...node.faults.keys()], ['ClusterNetworkPolicy/c']);
  await node.put(policy('Accept', [{ namespaces: 5 }]));
  assert.deepEqual(
    [node.allows('red/a', 'red/b'), node.allows('blue/c', 'red/b')],
    [true, true],
    'as without it',
  );
});

test('of a Kubernetes policy only the broken rule goes, and it allowed', async () => {
  await using node = new Node();
  const fromApp = (app: unknown) => ({ from: [{ podSelector: { matchLabels: { app } } }] });
  await node.put(
    ...usual,
    knp('red', 'k', { podSelector: {}, ingress: [fromApp('a'), { ports: [{ port: -1 }] }] }),
  );
  assert.deepEqual([node.allows('red/a', 'red/b'), node.allows('blue/c', 'red/b')], [true, false]);
  assert.match(node.faults.get('KubernetesNetworkPolicy/red/k')?.[0]?.path ?? '', /^spec\.ingress\[1\]/);
});

test('a policy whose tier is invalid is enforced after all others, as in a Deny tier', async () => {
  await using node = new Node();
  const pass = tier('t', 1, 'Pass');
  const policy = gnp('t.p', { tier: 't', selector: "app == 'b'", types: ['Ingress'] });
  await node.put(...usual, pass, policy);
  assert.ok(node.allows('red/a', 'red/b'), 'the tier passes what its policy leaves undecided');
  await node.put({ ...pass, spec: { order: 1, defaultAction: 'Maybe' } });
  assert.equal(node.allows('red/a', 'red/b'), false);
  assert.deepEqual([...node.faults.keys()], ['Tier/t']);
  assert.ok(node.allows('red/a', 'blue/c'), 'others are as they were');
});

test('an invalid Pod has no endpoint, so that its link stays closed, and is in no set', async () => {
  await using node = new Node();
  await node.put(...usual, gnp('open', allowFromA));
  await node.put({
    ...pod('red', 'a', '1', { labels: { app: 'a' } }),
    status: { podIPs: [{ ip: '10.0.0.1.' }] },
  });
  assert.deepEqual([...node.state.endpoints.keys()].sort(), [
    'WorkloadEndpoint/blue/c',
    'WorkloadEndpoint/red/b',
  ]);
  assert.equal(node.allows('10.0.0.1', 'red/b'), false);
});

test('of invalid settings the defaults hold, of an invalid host endpoint nothing', async () => {
  await using node = new Node();
  const settings = calico('FelixConfiguration', 'default', { defaultEndpointToHostAction: 'Accept' });
  await node.put(settings, hep('good', { interfaceName: 'eth0' }), hep('bad', { interfaceName: 'eth1' }));
  assert.equal(node.state.config.endpointToHost, 'accept');
  await node.put({ ...settings, spec: { defaultEndpointToHostAction: 'Accept', vxlanPort: 'x' } });
  assert.equal(node.state.config.endpointToHost, 'drop');
  for (const interfaceName of ['.', '..', 'a/b', 'sixteen-letters0', 7, '']) {
    await node.put(hep('bad', { interfaceName }));
    assert.deepEqual([...node.state.hostEndpoints.keys()], ['HostEndpoint/good'], String(interfaceName));
    assert.ok(node.faults.has('HostEndpoint/bad'), String(interfaceName));
  }
});

const garbage: { readonly [what: string]: string } = {
  nothing: '',
  'no JSON': '{"metadata":{"name":"open"},',
  null: 'null',
  'a number': '5',
  'a list': '[]',
  'metadata that is none': '{"metadata":5}',
  'deep nesting': `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
  'deep nesting inside': `{"metadata":{"name":"open"},"spec":${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}}`,
  'another object': JSON.stringify(gnp('other', allowFromA)),
  'another kind': JSON.stringify(tier('open', 1)),
  'a prototype': '{"metadata":{"name":"open","__proto__":{"a":1}},"__proto__":{"polluted":true},"spec":{}}',
  'bytes of no text': '\ud800\u0000\ufffd',
};

for (const [what, body] of Object.entries(garbage)) {
  test(`a row that holds ${what} is absent and reported, and stops no command`, async () => {
    await using node = new Node();
    await node.put(...usual, gnp('deny', { order: 9, selector: "app == 'b'", types: ['Ingress'] }));
    const key = { kind: 'GlobalNetworkPolicy', name: 'open' } as const;
    await node.bytes(key, body);
    assert.deepEqual([...node.faults.keys()], ['GlobalNetworkPolicy/open']);
    assert.deepEqual([...node.state.policies.keys()], ['GlobalNetworkPolicy/deny']);
    for (const argv of [
      ['get', 'gnp'],
      ['get', 'gnp', 'deny'],
      ['get', 'gnp', '-o', 'yaml'],
      ['get', 'all', '-A'],
    ]) {
      const { code, out, notes } = await node.session.run(argv);
      assert.equal(code, 0, `${argv.join(' ')}: ${notes.join()}`);
      assert.match(out, /deny/);
    }
    const repaired = await node.session.run(
      ['apply', '-f', '-'],
      JSON.stringify(gnp('open', { order: 1, ...allowFromA })),
    );
    assert.equal(repaired.code, 0, repaired.notes.join());
    await node.follow();
    assert.ok(node.allows('red/a', 'red/b'));
    assert.equal(node.faults.size, 0);
  });
}

test('rows of kinds and names that nobody gave are reported and deleted like others', async () => {
  await using node = new Node();
  await node.put(...usual);
  const rows = [
    { kind: 'FutureThing', name: 'x' },
    { kind: 'FutureNetworkPolicy', name: 'x' },
    { kind: '__proto__', name: 'constructor' },
    { kind: 'Pod', namespace: '../..', name: 'a/b' },
    { kind: 'GlobalNetworkPolicy', name: '' },
  ] as unknown as readonly ResourceKey[];
  for (const key of rows) await node.bytes(key, JSON.stringify(gnp('x', {})));
  assert.deepEqual([...node.faults.keys()].sort(), rows.map((key) => String(keyPath(key))).sort());
  assert.equal(node.state.policies.size, 0);
  assert.equal(node.state.endpoints.size, 3);
  for (const key of rows) await node.delete(key);
  assert.equal(node.faults.size, 0);
  assert.ok(node.allows('red/a', 'red/b'));
});
