// SPDX-License-Identifier: Apache-2.0
/**
 * Paths between two pods of one node whose cost is measured: with a data plane and policies, or with nothing at all; and the load
 * that runs over them (rr.c). CPU time is that of the whole machine, so that softirqs count wherever they run.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anyPeer } from '../src/calc/resolve-rule.ts';
import type { DataplaneDriver, DataplaneMessage, ResolvedRule } from '../src/contract/dataplane.ts';
import { EbpfDriver } from '../src/drivers/ebpf/driver.ts';
import { NftablesDriver } from '../src/drivers/nftables/driver.ts';
import type { NetNs } from '../src/kernel/netns.ts';
import type { IpSetId, KeyPath } from '../src/lib/brand.ts';
import { NodeRig } from '../test/support/node-rig.ts';
import { median } from './machine.ts';

/** Where the server listens: the port of the last policy, behind all others. */
export const firstPort = 20_000;

/** The last is the worst that we know: nothing can be cut or merged, every packet walks the whole list. */
export type Shape = 'a port each' | 'one port, a source each' | 'one port, allow and deny in turn';
export type DataplaneName = 'nftables' | 'ebpf';
export type LoadMode = 'rr' | 'crr' | 'bulk';

export interface Path extends AsyncDisposable {
  readonly client: NetNs;
  readonly address: string;
  readonly port: number;
  /** The client joins this control group first. */
  readonly cgroup?: string;
}

/** The server's policies: each admits one source on one port; only the last admits the client. */
export function policies(count: number, shape: Shape, client: string, port: number): DataplaneMessage[] {
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

export const openProfile: DataplaneMessage = {
  kind: 'profile-update',
  name: 'open',
  profile: {
    missing: false,
    ingress: [{ action: 'allow', src: anyPeer, dst: anyPeer }],
    egress: [{ action: 'allow', src: anyPeer, dst: anyPeer }],
  },
};

export function endpointOf(rig: NodeRig, name: string, policed: readonly KeyPath[]): DataplaneMessage {
  const { ifName, addresses } = rig.workload(name);
  return {
    kind: 'endpoint-update',
    id: `WorkloadEndpoint/default/${name}` as KeyPath,
    endpoint: {
      name: `default/${name}`,
      ifName,
      addresses,
      adminUp: true,
      tiers:
        policed.length > 0 ? [{ name: 'default', defaultAction: 'deny', ingress: policed, egress: [] }] : [],
      profiles: ['open'],
    },
  };
}

export function policyIds(count: number): readonly KeyPath[] {
  return Array.from({ length: count }, (_, i) => `NetworkPolicy/default/p${i}` as KeyPath);
}

export function openDriver(name: DataplaneName, rig: NodeRig, cgroup?: string): DataplaneDriver {
  const options = { ...rig.driverOptions, ...(cgroup === undefined ? {} : { cgroup }) };
  return rig.node.run(() => (name === 'ebpf' ? new EbpfDriver(options) : new NftablesDriver(options)));
}

/** Everything said and in force. */
export async function program(
  rig: NodeRig,
  driver: DataplaneDriver,
  messages: readonly DataplaneMessage[],
): Promise<void> {
  for (const message of messages) driver.onMessage(message);
  const report = await rig.apply(driver);
  if (report.failed.length > 0) throw new Error(JSON.stringify(report.failed.slice(0, 3)));
}

export async function filteredPath(
  name: DataplaneName,
  count: number,
  shape: Shape,
  kind: 'server' | 'sink' = 'server',
): Promise<Path> {
  const rig = new NodeRig(['client', 'server'], []);
  const driver = openDriver(name, rig);
  const port = firstPort + count;
  await program(rig, driver, [
    ...policies(count, shape, rig.address('client', 4), port),
    openProfile,
    endpointOf(rig, 'client', []),
    endpointOf(rig, 'server', policyIds(count)),
    { kind: 'in-sync' },
  ]);
  return serve(rig, port, driver, kind);
}

/** The same namespaces and links, forwarding, but neither rule nor guard nor connection tracking. */
export async function plainPath(kind: 'server' | 'sink' = 'server'): Promise<Path> {
  const rig = new NodeRig(['client', 'server'], []);
  for (const name of ['client', 'server']) {
    rig.detachGuard(name);
    const { ifName } = rig.workload(name);
    rig.node.run(() => execFileSync('ip', ['route', 'add', `${rig.address(name, 4)}/32`, 'dev', ifName]));
  }
  rig.node.run(() => execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1']));
  return serve(rig, firstPort, undefined, kind);
}

export async function serve(
  rig: NodeRig,
  port: number,
  driver?: DataplaneDriver,
  kind: 'server' | 'sink' = 'server',
  clientRig: NodeRig = rig,
): Promise<Path> {
  const client = clientRig.workload('client').netns;
  client.run(() =>
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_local_port_range=1024 65000', 'net.ipv4.tcp_tw_reuse=1']),
  );
  if (driver?.name === 'nftables')
    rig.node.run(() => execFileSync('sysctl', ['-qw', 'net.netfilter.nf_conntrack_tcp_timeout_time_wait=1']));
  const server: ChildProcess = rig
    .workload('server')
    .netns.spawn(load, [kind, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
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
export function busyMicroseconds(): number {
  const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  return fields.reduce((sum, ticks, i) => (i === 3 || i === 4 ? sum : sum + ticks), 0) * 10_000;
}

/** Microseconds for each: of the machine at work, and of the clock. */
export async function cost(
  path: Path,
  mode: LoadMode,
  count: number,
): Promise<{ readonly busy: number; readonly wall: number }> {
  const before = busyMicroseconds();
  const start = performance.now();
  const args = ['client', path.address, String(path.port), mode, String(count)];
  const join = path.cgroup === undefined ? '' : `echo $$ > ${path.cgroup}/cgroup.procs; `;
  const child = path.client.run(() =>
    spawn('/bin/sh', ['-c', `${join}exec "$0" "$@"`, load, ...args], { stdio: 'inherit' }),
  );
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`rr ended with ${code}`);
  const wall = ((performance.now() - start) * 1000) / count;
  return { busy: (busyMicroseconds() - before) / count, wall };
}

const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
export const load: string = join(folder, 'rr');
execFileSync('gcc', ['-O2', '-o', load, new URL('rr.c', import.meta.url).pathname]);
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

export interface Measured {
  readonly name: string;
  readonly path: Path;
  readonly values: { readonly [M in LoadMode]: number[] };
  readonly walls: { readonly [M in LoadMode]: number[] };
}

/** In turns, so that what else the machine does falls on all alike; the first round only warms up. */
export async function measure(
  variants: readonly (readonly [string, () => Promise<Path>])[],
  rounds: number,
  loads: readonly (readonly [LoadMode, number])[],
): Promise<readonly Measured[]> {
  const all: Measured[] = [];
  for (const [name, open] of variants)
    all.push({
      name,
      path: await open(),
      values: { rr: [], crr: [], bulk: [] },
      walls: { rr: [], crr: [], bulk: [] },
    });
  for (let round = -1; round < rounds; round++) {
    for (const { path, values, walls } of all) {
      for (const [mode, count] of loads) {
        const { busy, wall } = await cost(path, mode, count);
        if (round >= 0) values[mode].push(busy);
        if (round >= 0) walls[mode].push(wall);
      }
    }
  }
  return all;
}

/** Round by round against the first. */
export function ratioTo(
  base: Measured | undefined,
  of: Measured,
  mode: LoadMode,
  what: 'values' | 'walls' = 'values',
): number {
  return median(of[what][mode].map((value, i) => value / (base?.[what][mode][i] ?? Number.NaN)));
}
