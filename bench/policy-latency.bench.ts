// SPDX-License-Identifier: Apache-2.0
/**
 * From the write of a policy to its enforcement on every node of a lab, under traffic: three nodes, twelve pods, 200
 * changes that turn one port off and on. Measured twice: by what the agents report, and by packets, of which one goes to
 * a pod of each node every millisecond.
 *
 *     node bench/policy-latency.bench.ts [CHANGES]        as root
 */
import type { Stored } from '../src/contract/datastore.ts';
import { NetNs } from '../src/kernel/netns.ts';
import { bindUdp, connectUdp } from '../src/kernel/socket.ts';
import type { Fd } from '../src/kernel/sys/fd.ts';
import { sys } from '../src/kernel/sys/open.ts';
import { untilEnforced } from '../src/lab/control.ts';
import { podView } from '../src/lab/pod-view.ts';
import { parseAddress } from '../src/lib/address.ts';
import type { Resource } from '../src/model/types.ts';
import { BenchLab, pod } from './lab-rig.ts';
import { percentile, printTable } from './machine.ts';

const changes = Number(process.argv[2] ?? 200);
const port = 7000;
const key = { kind: 'GlobalNetworkPolicy', name: 'toggle' } as const;

function policy(open: boolean): Resource {
  const rule = { action: open ? 'Allow' : 'Deny', protocol: 'UDP', destination: { ports: [port] } };
  const spec = {
    tier: 'default',
    order: 1,
    selector: 'app == "bench"',
    types: ['Ingress'],
    ingress: [rule, { action: 'Allow' }],
  };
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkPolicy',
    metadata: { name: key.name },
    spec,
  };
}

/** One sender and one receiver in two pods of one node. A fresh source port per datagram: each is a new flow. */
class Flow {
  readonly #from: NetNs;
  readonly #receiver: Fd;
  readonly #to: { address: ReturnType<typeof parseAddress>; port: number };

  constructor(lab: BenchLab, from: Stored, to: Stored) {
    this.#from = NetNs.open(lab.layout.podNetns('default', from.key.name));
    using into = NetNs.open(lab.layout.podNetns('default', to.key.name));
    this.#receiver = into.run(() => bindUdp({ address: parseAddress('::'), port }));
    this.#to = { address: podView(to.resource).addresses[0] ?? parseAddress('::'), port };
  }

  /** Whether the datagram arrived; on one machine it has, or never will, when send returns. */
  passes(): boolean {
    const buffer = new Uint8Array(16);
    while (sys.recv(this.#receiver, buffer) !== null);
    const socket = this.#from.run(() => connectUdp(this.#to));
    sys.send(socket, new Uint8Array(1));
    socket.close();
    return sys.recv(this.#receiver, buffer) !== null;
  }

  close(): void {
    this.#receiver.close();
    this.#from.close();
  }
}

await using lab = await BenchLab.start(3);
const names = Array.from({ length: 12 }, (_, i) => `p${i}`);
await lab.create(
  names.map((name, i) => ({ kind: 'Pod', resource: pod(name, `node${(i % 3) + 1}`, { app: 'bench' }) })),
);
await lab.create([{ kind: key.kind, resource: policy(true) }]);
const pods = (await lab.store.list('Pod')).items;
const named = (name: string) => pods.find((item) => item.key.name === name) as Stored;
const flows = [0, 1, 2].map((node) => new Flow(lab, named(`p${node}`), named(`p${node + 3}`)));
for (const flow of flows) if (!flow.passes()) throw new Error('the baseline packet did not pass');

const reported: number[] = [];
const measured: number[] = [];
for (let i = 0; i < changes; i++) {
  const open = i % 2 === 1;
  const { revision } = await lab.store.get(key);
  const start = performance.now();
  const written = await lab.store.update(key, policy(open), revision);
  const report = untilEnforced(lab.layout, lab.spec, written.revision, 10_000).then(
    () => performance.now() - start,
  );
  const waiting = new Set(flows);
  while (waiting.size > 0) {
    for (const flow of waiting) if (flow.passes() === open) waiting.delete(flow);
    if (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    if (performance.now() - start > 10_000) throw new Error('not enforced within 10 s');
  }
  measured.push(performance.now() - start);
  reported.push(await report);
  await new Promise((resolve) => setTimeout(resolve, 20));
}
for (const flow of flows) flow.close();
const row = (name: string, values: readonly number[]) => [
  name,
  ...[50, 90, 99, 100].map((p) => percentile(values, p)),
];
printTable(`Policy written -> enforced on all 3 nodes, 12 pods, ${changes} changes, milliseconds`, [
  ['by', 'p50', 'p90', 'p99', 'max'],
  row('packets', measured),
  row('the agents’ report', reported),
]);
