// SPDX-License-Identifier: Apache-2.0
/**
 * Bulk TCP with eBPF: pod to pod on one node against plain routed veth, and across two nodes against the nftables data plane under
 * the same policies. All paths in turns within one run.
 *
 *     node bench/ebpf/throughput.bench.ts [ROUNDS] [MEGABYTES]       as root, on an idle machine; wants gcc
 */
import { execFileSync } from 'node:child_process';
import type { DataplaneDriver, DataplaneMessage } from '../../src/contract/dataplane.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { hostCidr } from '../../src/lib/cidr.ts';
import { parseIfName } from '../../src/lib/if-name.ts';
import { NodeRig } from '../../test/support/node-rig.ts';
import { median, printTable } from '../machine.ts';
import {
  type DataplaneName,
  endpointOf,
  filteredPath,
  firstPort,
  measure,
  openDriver,
  openProfile,
  type Path,
  plainPath,
  policies,
  policyIds,
  program,
  ratioTo,
  serve,
} from '../path.ts';

const rounds = Number(process.argv[2] ?? 7);
const megabytes = Number(process.argv[3] ?? 4_000);
const policyCount = 100;

interface Node {
  readonly rig: NodeRig;
  readonly name: 'client' | 'server';
  readonly via: string;
}

/** Two nodes on one link, a pod on each. */
async function acrossNodes(dataplane: DataplaneName): Promise<Path> {
  const rigs = { client: new NodeRig(['client', 'idle'], []), server: new NodeRig(['other', 'server'], []) };
  const nodes: readonly Node[] = [
    { rig: rigs.client, name: 'client', via: '192.168.9.1' },
    { rig: rigs.server, name: 'server', via: '192.168.9.2' },
  ];
  joinNodes(nodes);
  const port = firstPort + policyCount;
  const drivers: { readonly driver: DataplaneDriver; readonly rig: NodeRig }[] = [];
  for (const { rig, name } of nodes) {
    const driver = openDriver(dataplane, rig);
    const policed = name === 'server' ? policyIds(policyCount) : [];
    const messages: DataplaneMessage[] = [
      ...policies(policyCount, 'a port each', rigs.client.address('client', 4), port),
      openProfile,
      endpointOf(rig, name, policed),
      ...routesFrom(rig, nodes),
      { kind: 'in-sync' },
    ];
    await program(rig, driver, messages);
    drivers.push({ driver, rig });
  }
  const path = await serve(rigs.server, port, drivers[1]?.driver, 'sink', rigs.client);
  return {
    ...path,
    [Symbol.asyncDispose]: async () => {
      await path[Symbol.asyncDispose]();
      await drivers[0]?.driver[Symbol.asyncDispose]();
      await rigs.client[Symbol.asyncDispose]();
    },
  };
}

function joinNodes(nodes: readonly Node[]): void {
  const [first, second] = nodes;
  if (!first || !second) throw new TypeError('want two nodes');
  first.rig.node.run(() => {
    using rt = Rtnetlink.open();
    rt.links.createVeth({ name: parseIfName('eth0') }, { name: parseIfName('eth0'), netns: second.rig.node });
  });
  for (const { rig, via } of nodes) {
    rig.node.run(() => {
      execFileSync('ip', ['addr', 'add', `${via}/24`, 'dev', 'eth0']);
      execFileSync('ip', ['link', 'set', 'eth0', 'up']);
    });
  }
}

function routesFrom(rig: NodeRig, nodes: readonly Node[]): DataplaneMessage[] {
  return nodes
    .filter((node) => node.rig !== rig)
    .map(({ rig: other, name, via }) => ({
      kind: 'route-update',
      dst: hostCidr(other.address(name, 4)),
      route: { type: 'remote-workload', node: name, via: parseAddress(via) },
    }));
}

const same = await measure(
  [
    ['plain', () => plainPath('sink')],
    ['eBPF, 1 policy', () => filteredPath('ebpf', 1, 'a port each', 'sink')],
    ['eBPF, 1,000 policies', () => filteredPath('ebpf', 1000, 'a port each', 'sink')],
    ['nftables, 1 policy', () => filteredPath('nftables', 1, 'a port each', 'sink')],
  ],
  rounds,
  [['bulk', megabytes]],
);
show('Bulk TCP, pod to pod on one node', same);
const across = await measure(
  [
    ['nftables', () => acrossNodes('nftables')],
    ['eBPF', () => acrossNodes('ebpf')],
  ],
  rounds,
  [['bulk', megabytes]],
);
show(`Bulk TCP, across two nodes, ${policyCount} policies`, across);
for (const { path } of [...same, ...across]) await path[Symbol.asyncDispose]();

function show(title: string, measured: Awaited<ReturnType<typeof measure>>): void {
  const [base] = measured;
  printTable(`${title} (${rounds} rounds of ${megabytes} MB, medians)`, [
    ['path', 'CPU seconds per GB', 'ratio', 'GB per second', 'ratio'],
    ...measured.map((variant) => [
      variant.name,
      median(variant.values.bulk) / 1000,
      ratioTo(base, variant, 'bulk'),
      1000 / median(variant.walls.bulk),
      1 / ratioTo(base, variant, 'bulk', 'walls'),
    ]),
  ]);
}
