// SPDX-License-Identifier: Apache-2.0
/**
 * What the nftables data plane costs: CPU time of the whole machine per round trip and per connection, pod to pod on one
 * node, against the same path without any filter, both measured in turns within one run.
 *
 *     node bench/dataplane-cost.bench.ts [ROUNDS]        as root, on an idle machine; wants gcc
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anyPeer } from '../src/calc/resolve-rule.ts';
import type { DataplaneMessage, ResolvedRule } from '../src/contract/dataplane.ts';
import { NftablesDriver } from '../src/drivers/nftables/driver.ts';
import type { NetNs } from '../src/kernel/netns.ts';
import type { IpSetId, KeyPath } from '../src/lib/brand.ts';
import { NodeRig } from '../test/support/node-rig.ts';
import { median, printTable } from './machine.ts';

const rounds = Number(process.argv[2] ?? 7);
const roundTrips = 60_000;
const connections = 8_000;
/** Where the server listens: the port of the last policy, behind all others. */
const firstPort = 20_000;

/** The last is the worst that we know: nothing can be cut or merged, every packet walks the whole list. */
type Shape = 'a port each' | 'one port, a source each' | 'one port, allow and deny in turn';

interface Path extends AsyncDisposable {
  readonly client: NetNs;
  readonly address: string;
  readonly port: number;
}

/** The server's policies: each admits one source on one port; only the last admits the client. */
function policies(count: number, shape: Shape, client: string, port: number): DataplaneMessage[] {
  return Array.from({ length: count }, (_, i): DataplaneMessage[] => {
    const isLast = i === count - 1;
    const id = `NetworkPolicy/default/p${i}` as KeyPath;
    const set = `s:${i}` as IpSetId;
    const open = shape === 'a port each' ? port - (count - 1) + i : port;
    const rule: ResolvedRule = {
      action: shape === 'one port, allow and deny in turn' && !isLast && i % 2 === 0 ? 'deny' : 'allow',
      protocol: 6,
      src: { ...anyPeer, sets: [set] },
      dst: { ...anyPeer, ports: [{ first: open, last: open }] },
    };
    const members = [isLast ? `${client}/32` : `10.99.${i >> 8}.${i & 255}/32`];
    return [
      { kind: 'ipset-update', id: set, set: { type: 'net', members, description: `source ${i}` } },
      {
        kind: 'policy-update',
        id,
        policy: {
          kind: 'NetworkPolicy',
          namespace: 'default',
          name: `p${i}`,
          tier: 'default',
          ingress: [rule],
          egress: [],
        },
      },
    ];
  }).flat();
}

async function filteredPath(count: number, shape: Shape): Promise<Path> {
  const rig = new NodeRig(['client', 'server'], []);
  const driver = rig.node.run(() => new NftablesDriver(rig.driverOptions));
  const port = firstPort + count;
  const profile = {
    missing: false,
    ingress: [{ action: 'allow', src: anyPeer, dst: anyPeer }],
    egress: [{ action: 'allow', src: anyPeer, dst: anyPeer }],
  } as const;
  const ids = Array.from({ length: count }, (_, i) => `NetworkPolicy/default/p${i}` as KeyPath);
  const endpoint = (name: string, policed: boolean): DataplaneMessage => ({
    kind: 'endpoint-update',
    id: `WorkloadEndpoint/default/${name}` as KeyPath,
    endpoint: {
      name: `default/${name}`,
      ifName: rig.workload(name).ifName,
      addresses: rig.workload(name).addresses,
      adminUp: true,
      tiers: policed ? [{ name: 'default', defaultAction: 'deny', ingress: ids, egress: [] }] : [],
      profiles: ['open'],
    },
  });
  const messages: DataplaneMessage[] = [
    ...policies(count, shape, rig.address('client', 4), port),
    { kind: 'profile-update', name: 'open', profile },
    endpoint('client', false),
    endpoint('server', true),
    { kind: 'in-sync' },
  ];
  for (const message of messages) driver.onMessage(message);
  const report = await rig.apply(driver);
  if (report.failed.length > 0) throw new Error(JSON.stringify(report.failed.slice(0, 3)));
  return serve(rig, port, driver);
}

/** The same namespaces and links, forwarding, but neither rule nor guard nor connection tracking. */
async function plainPath(): Promise<Path> {
  const rig = new NodeRig(['client', 'server'], []);
  for (const name of ['client', 'server']) {
    rig.detachGuard(name);
    const { ifName } = rig.workload(name);
    rig.node.run(() => execFileSync('ip', ['route', 'add', `${rig.address(name, 4)}/32`, 'dev', ifName]));
  }
  rig.node.run(() => execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1']));
  return serve(rig, firstPort);
}

async function serve(rig: NodeRig, port: number, driver?: AsyncDisposable): Promise<Path> {
  const client = rig.workload('client').netns;
  client.run(() =>
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_local_port_range=1024 65000', 'net.ipv4.tcp_tw_reuse=1']),
  );
  if (driver)
    rig.node.run(() => execFileSync('sysctl', ['-qw', 'net.netfilter.nf_conntrack_tcp_timeout_time_wait=1']));
  const server: ChildProcess = rig
    .workload('server')
    .netns.spawn(program, ['server', String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (server.stdout) await once(server.stdout, 'data');
  return {
    client,
    address: rig.address('server', 4),
    port,
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await once(server, 'exit');
      await driver?.[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
    },
  };
}

/** CPU time that the machine spent at work, in microseconds: all of /proc/stat but idle and iowait; 100 ticks a second. */
function busyMicroseconds(): number {
  const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  return fields.reduce((sum, ticks, i) => (i === 3 || i === 4 ? sum : sum + ticks), 0) * 10_000;
}

async function cost(path: Path, mode: 'rr' | 'crr', count: number): Promise<number> {
  const before = busyMicroseconds();
  const args = ['client', path.address, String(path.port), mode, String(count)];
  const child = path.client.run(() => spawn(program, args, { stdio: 'inherit' }));
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`rr ended with ${code}`);
  return (busyMicroseconds() - before) / count;
}

const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
const program = join(folder, 'rr');
execFileSync('gcc', ['-O2', '-o', program, new URL('rr.c', import.meta.url).pathname]);

const variants: readonly [string, () => Promise<Path>][] = [
  ['plain', plainPath],
  ['1 policy', () => filteredPath(1, 'a port each')],
  ['100 policies, a port each', () => filteredPath(100, 'a port each')],
  ['1,000 policies, a port each', () => filteredPath(1000, 'a port each')],
  ['100 policies, one port, a source each', () => filteredPath(100, 'one port, a source each')],
  ['1,000 policies, one port, a source each', () => filteredPath(1000, 'one port, a source each')],
  ['1,000 policies, allow and deny in turn', () => filteredPath(1000, 'one port, allow and deny in turn')],
];

const paths: { name: string; path: Path; rr: number[]; crr: number[] }[] = [];
for (const [name, open] of variants) paths.push({ name, path: await open(), rr: [], crr: [] });
for (let round = -1; round < rounds; round++) {
  for (const variant of paths) {
    const rr = await cost(variant.path, 'rr', roundTrips);
    const crr = await cost(variant.path, 'crr', connections);
    if (round >= 0) variant.rr.push(rr); // the first round only warms up
    if (round >= 0) variant.crr.push(crr);
  }
}
const [plain] = paths;
const ratio = (of: 'rr' | 'crr', variant: (typeof paths)[number]) =>
  median(variant[of].map((value, i) => value / (plain?.[of][i] ?? Number.NaN)));
printTable(`What the nftables data plane costs (${rounds} rounds, medians)`, [
  ['path', 'us per round trip', 'ratio', 'us per connection', 'ratio'],
  ...paths.map((variant) => [
    variant.name,
    median(variant.rr),
    ratio('rr', variant),
    median(variant.crr),
    ratio('crr', variant),
  ]),
]);
for (const { path } of paths) await path[Symbol.asyncDispose]();
rmSync(folder, { recursive: true });
