// SPDX-License-Identifier: Apache-2.0
/**
 * The datastores beside each other: writes per second, from a write to the watchers, and the first sync of many WorkloadEndpoints
 * with what they hold in memory.
 *
 *     node --expose-gc bench/datastore.bench.ts [ENDPOINTS] [embedded|etcd|kubernetes]
 *
 * kubernetes is our own API server in a process of its own; it keeps no WorkloadEndpoints, so there it is Pods.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Datastore, Write } from '../src/contract/datastore.ts';
import { EmbeddedStore } from '../src/datastore/embedded/store.ts';
import { installDefinitions } from '../src/datastore/kubernetes/definitions.ts';
import { openKubernetes } from '../src/datastore/kubernetes/store.ts';
import { StoreSyncer } from '../src/datastore/syncer.ts';
import { cliEntry } from '../src/lab/layout.ts';
import { calicoVersion } from '../src/model/kinds.ts';
import { customResourceDefinitions } from '../src/model/schema/custom-resource-definitions.ts';
import type { Resource, ResourceKey } from '../src/model/types.ts';
import { EtcdCluster } from '../test/support/etcd.ts';
import { percentile, printTable } from './machine.ts';

interface BackEnd extends AsyncDisposable {
  readonly name: string;
  readonly endpoint: typeof endpoint;
  /** Another client of the same data. */
  open(): Promise<Datastore>;
}

const backEnds: { readonly [name: string]: () => Promise<BackEnd> } = {
  embedded: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
    return {
      name: 'embedded',
      endpoint,
      open: async () => new EmbeddedStore(join(folder, 'db')),
      [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }),
    };
  },
  etcd: async () => {
    const cluster = await EtcdCluster.start({ isDurable: true });
    return {
      name: 'etcd',
      endpoint,
      open: async () => cluster.open(),
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    };
  },
  kubernetes: startKubernetes,
};

const count = Number(process.argv[2] ?? 100_000);
const wanted = process.argv[3] ? [process.argv[3]] : Object.keys(backEnds);
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const writes: string[][] = [['store', 'writes in flight', 'objects a write', 'objects/s']];
const latencies: (string | number)[][] = [
  ['store', 'watchers', 'write p50 ms', 'write p99 ms', 'event p50 ms', 'event p99 ms', 'event max ms'],
];
const syncs: (string | number)[][] = [
  ['store', 'endpoints', 'snapshot s', 'syncer s', 'bytes an object in the list', 'of them JSON'],
];
for (const name of wanted) {
  const make = backEnds[name];
  if (!make) throw new TypeError(`no such store: ${name}`);
  await using backEnd = await make();
  await measureWrites(backEnd);
  await measureLatency(backEnd);
  await measureSync(backEnd);
}
printTable('Durable writes of policies, on the disk of this machine', writes);
printTable(
  '50 writes a second, and from their answer to the event at each watcher (all in this process)',
  latencies,
);
printTable(
  'First sync: everything listed and parsed; and told by a StoreSyncer to a sink that keeps nothing',
  syncs,
);

function tier(name: string, order: number): Resource {
  return { apiVersion: calicoVersion, kind: 'Tier', metadata: { name }, spec: { order } };
}

function createTier(name: string): Write {
  return { op: 'create', key: { kind: 'Tier', name }, resource: tier(name, 1) };
}

async function measureWrites(backEnd: BackEnd): Promise<void> {
  await using store = await backEnd.open();
  for (const [inFlight, objects] of [
    [1, 1],
    [32, 1],
    [100, 1],
    [1, 100],
    [8, 100],
  ] as const) {
    const total = inFlight * objects >= 100 ? 10_000 : 1000 * Math.min(2, inFlight);
    let at = 0;
    const start = performance.now();
    const writer = async () => {
      while (at < total) {
        const first = at;
        at += objects;
        const names = Array.from({ length: objects }, (_, i) => `w${inFlight}-${objects}-${first + i}`);
        await store.writeAll(names.map(createTier));
      }
    };
    await Promise.all(Array.from({ length: inFlight }, writer));
    const rate = Math.round((total * 1000) / (performance.now() - start));
    writes.push([backEnd.name, String(inFlight), String(objects), rate.toLocaleString('en')]);
  }
}

async function measureLatency(backEnd: BackEnd): Promise<void> {
  await using store = await backEnd.open();
  for (const watchers of [1, 10, 100]) {
    const { revision } = await store.snapshot();
    const stop = new AbortController();
    const answered = new Map<string, number>();
    const heard: { readonly name: string; readonly at: number }[] = [];
    const clients = await Promise.all(Array.from({ length: watchers }, () => backEnd.open()));
    const watching = clients.map(async (client) => {
      for await (const batch of client.watch(revision, stop.signal)) {
        const at = performance.now();
        for (const event of batch) if (event.type === 'put') heard.push({ name: event.stored.key.name, at });
      }
    });
    await delay(500);
    const writeMs: number[] = [];
    for (let i = 0; i < 200; i++) {
      const name = `l${watchers}-${i}`;
      const start = performance.now();
      await store.create({ kind: 'Tier', name }, tier(name, 1));
      answered.set(name, performance.now());
      writeMs.push(performance.now() - start);
      await delay(20);
    }
    await delay(300);
    stop.abort();
    await Promise.all(watching);
    for (const client of clients) await client[Symbol.asyncDispose]();
    if (heard.length !== 200 * watchers) throw new Error(`${heard.length} events, want ${200 * watchers}`);
    const eventMs = heard.map(({ name, at }) => Math.max(0, at - (answered.get(name) ?? Number.NaN)));
    const writing = [50, 99].map((p) => percentile(writeMs, p));
    const hearing = [50, 99, 100].map((p) => percentile(eventMs, p));
    latencies.push([backEnd.name, String(watchers), ...writing, ...hearing]);
  }
}

async function startKubernetes(): Promise<BackEnd> {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
  const socket = join(folder, 'api.sock');
  const words = [
    ...process.execArgv,
    cliEntry,
    'apiserver',
    '--folder',
    join(folder, 'api'),
    '--socket',
    socket,
  ];
  const server = spawn(process.execPath, [...words, '--no-controllers'], { stdio: 'ignore' });
  const config = { type: 'kubernetes', kubeconfig: [], server: `unix://${socket}` } as const;
  while (!existsSync(socket)) await delay(20);
  await installDefinitions(config, customResourceDefinitions());
  await using store = openKubernetes(config);
  for (let i = 0; i < 200; i++) await makeNamespace(store, `ns${i}`);
  return {
    name: 'kubernetes (our API server)',
    endpoint: podOf,
    open: async () => openKubernetes(config),
    [Symbol.asyncDispose]: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

async function makeNamespace(store: Datastore, name: string): Promise<void> {
  await store.create(
    { kind: 'Namespace', name },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
  );
  await store.create(
    { kind: 'ServiceAccount', namespace: name, name: 'default' },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } },
  );
}

function podOf(i: number): { readonly key: ResourceKey; readonly resource: Resource } {
  const [namespace, name] = [`ns${i % 200}`, `web${i}`];
  const labels = { app: `app${i % 50}`, tier: `tier${i % 3}` };
  const containers = [{ name: 'web', image: 'web:1', ports: [{ name: 'http', containerPort: 8080 }] }];
  const spec = { nodeName: `node${i % 500}`, containers };
  const resource = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec };
  return { key: { kind: 'Pod', namespace, name }, resource };
}

/** As Calico's CNI plug-in writes one of Kubernetes. */
function endpoint(i: number): { readonly key: ResourceKey; readonly resource: Resource } {
  const [namespace, node, pod] = [`ns${i % 200}`, `node${i % 500}`, `web${i}`];
  const name = `${node}-k8s-${pod}-eth0`;
  const resource = {
    apiVersion: calicoVersion,
    kind: 'WorkloadEndpoint',
    metadata: {
      name,
      namespace,
      labels: {
        app: `app${i % 50}`,
        tier: `tier${i % 3}`,
        'projectcalico.org/namespace': namespace,
        'projectcalico.org/orchestrator': 'k8s',
        'projectcalico.org/serviceaccount': 'default',
      },
    },
    spec: {
      orchestrator: 'k8s',
      node,
      pod,
      endpoint: 'eth0',
      containerID: String(i).padStart(64, 'c0ffee'),
      serviceAccountName: 'default',
      ipNetworks: [`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}/32`],
      profiles: [`kns.${namespace}`, `ksa.${namespace}.default`],
      interfaceName: `cali${i.toString(16).padStart(11, '0')}`,
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    },
  };
  return { key: { kind: 'CalicoWorkloadEndpoint', namespace, name }, resource };
}

async function fill(backEnd: BackEnd): Promise<void> {
  await using store = await backEnd.open();
  for (let at = 0; at < count; at += 800) {
    const batches = Array.from({ length: 8 }, (_, j) =>
      Array.from({ length: Math.max(0, Math.min(100, count - at - 100 * j)) }, (_, i) => ({
        op: 'create' as const,
        ...backEnd.endpoint(at + 100 * j + i),
      })),
    );
    await Promise.all(batches.map((batch) => store.writeAll(batch)));
  }
}

async function measureSync(backEnd: BackEnd): Promise<void> {
  await fill(backEnd);
  const list = await listedAndWeighed(backEnd);
  const syncedMs = await synced(backEnd);
  const jsonBytes = JSON.stringify(backEnd.endpoint(0).resource).length;
  syncs.push([
    backEnd.name,
    count.toLocaleString('en'),
    list.ms / 1000,
    syncedMs / 1000,
    String(Math.round(list.bytes)),
    String(jsonBytes),
  ]);
}

async function listedAndWeighed(backEnd: BackEnd): Promise<{ ms: number; bytes: number }> {
  await using store = await backEnd.open();
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  const listed = await store.snapshot();
  const ms = performance.now() - start;
  collectGarbage();
  const bytes = (process.memoryUsage().heapUsed - before) / listed.items.length;
  return { ms, bytes };
}

async function synced(backEnd: BackEnd): Promise<number> {
  await using store = await backEnd.open();
  const stop = new AbortController();
  const start = performance.now();
  let ms = 0;
  const onStatus = (status: string) => {
    if (status !== 'in-sync') return;
    ms = performance.now() - start;
    stop.abort();
  };
  await new StoreSyncer(store).run({ onUpdates: () => {}, onStatus }, stop.signal);
  return ms;
}
