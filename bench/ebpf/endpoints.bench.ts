// SPDX-License-Identifier: Apache-2.0
/**
 * How long a node of many endpoints takes with eBPF: from nothing to in force, one change of one policy, and a restart that adopts.
 * With one policy that all share, and with a policy of its own for each.
 *
 *     node bench/ebpf/endpoints.bench.ts [ENDPOINTS] [CHANGES]       as root, on an idle machine
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anyPeer } from '../../src/calc/resolve-rule.ts';
import type { ApplyReport, DataplaneMessage } from '../../src/contract/dataplane.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { Guard } from '../../src/kernel/guard.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import { parseIfName } from '../../src/lib/if-name.ts';
import { median, percentile, printTable } from '../machine.ts';
import { openProfile } from '../path.ts';

const count = Number(process.argv[2] ?? 1000);
const changes = Number(process.argv[3] ?? 50);

function policy(number: number, port: number): DataplaneMessage {
  const name = `p${number}`;
  const rules = [{ action: 'allow' as const, protocol: 6, src: anyPeer, dst: toPort(port) }];
  return {
    kind: 'policy-update',
    id: `NetworkPolicy/default/${name}` as KeyPath,
    policy: {
      kind: 'NetworkPolicy',
      namespace: 'default',
      name,
      tier: 'default',
      ingress: rules,
      egress: [],
    },
  };
}

function toPort(port: number): typeof anyPeer {
  return { ...anyPeer, ports: [{ first: port, last: port }] };
}

function endpoint(number: number, policyNumber: number): DataplaneMessage {
  const id = `NetworkPolicy/default/p${policyNumber}` as KeyPath;
  return {
    kind: 'endpoint-update',
    id: `WorkloadEndpoint/default/w${number}` as KeyPath,
    endpoint: {
      name: `default/w${number}`,
      ifName: parseIfName(`cali${number}`),
      addresses: [
        parseAddress(`10.65.${number >> 8}.${number & 255}`),
        parseAddress(`fd65::${number.toString(16)}`),
      ],
      adminUp: true,
      tiers: [{ name: 'default', defaultAction: 'deny', ingress: [id], egress: [] }],
      profiles: ['open'],
    },
  };
}

interface Bench extends Disposable {
  open(): EbpfDriver;
  apply(driver: EbpfDriver): Promise<{ readonly ms: number; readonly report: ApplyReport }>;
}

function node(): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
  mountBpffs(folder);
  const [host, pods] = [NetNs.anonymous(), NetNs.anonymous()];
  host.run(() => {
    using rt = Rtnetlink.open();
    const guard = new Guard(join(folder, 'node'));
    for (let i = 0; i < count; i++) {
      const link = rt.links.createVeth(
        { name: parseIfName(`cali${i}`) },
        { name: parseIfName(`pod${i}`), netns: pods },
      );
      guard.close(parseIfName(link.name), link.index); // as every workload's link is born
      rt.links.set(link.index, { up: true });
    }
  });
  return {
    open: () => host.run(() => new EbpfDriver({ interfacePrefix: 'cali', bpf: join(folder, 'node') })),
    apply: async (driver) => {
      const start = performance.now();
      const applied: Promise<ApplyReport>[] = [];
      host.run(() => void applied.push(driver.apply()));
      const [report] = await Promise.all(applied);
      if (!report || report.failed.length > 0) throw new Error(JSON.stringify(report?.failed.slice(0, 3)));
      return { ms: performance.now() - start, report };
    },
    [Symbol.dispose]: () => {
      for (const netns of [host, pods]) netns.close();
      sys.umount(folder, MNT_DETACH);
      rmSync(folder, { recursive: true });
    },
  };
}

async function measured(title: string, policyOf: (endpoint: number) => number): Promise<(string | number)[]> {
  using bench = node();
  const numbers = Array.from({ length: count }, (_, i) => i);
  const policies = new Set(numbers.map(policyOf));
  const messages: DataplaneMessage[] = [
    ...[...policies].map((number) => policy(number, 80)),
    openProfile,
    ...numbers.map((number) => endpoint(number, policyOf(number))),
    { kind: 'in-sync' },
  ];
  const first = bench.open();
  for (const message of messages) first.onMessage(message);
  const fromNothing = await bench.apply(first);
  const times: number[] = [];
  for (let i = 0; i < changes; i++) {
    first.onMessage(policy(policyOf(i % count), 1000 + i));
    times.push((await bench.apply(first)).ms);
  }
  await first[Symbol.asyncDispose]();
  await using second = bench.open();
  for (const message of messages) second.onMessage(message);
  const restart = await bench.apply(second);
  return [title, fromNothing.ms, median(times), percentile(times, 99), restart.ms];
}

const rows = [
  await measured('one policy for all', () => 0),
  await measured('a policy each', (number) => number),
];
printTable(`${count} endpoints with eBPF, milliseconds`, [
  ['policies', 'from nothing', 'one change, p50', 'p99', 'restart'],
  ...rows,
]);
