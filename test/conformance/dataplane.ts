// SPDX-License-Identifier: Apache-2.0
/**
 * What every data plane must do: the verdict on real packets is the oracle's.
 *
 * One node, its links and one driver serve all cases of a plan: first workloads alone, then with a host that has
 * endpoints, settings and two uplinks of its own. Each case is another cluster, and what changes between two reaches
 * the driver as the graph's difference, so that updates are tested as much as states. MUSLIN_SEED repeats a run,
 * MUSLIN_CASE one case of it from an empty node.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DataplaneDriver } from '../../src/contract/dataplane.ts';
import { openFds } from '../../src/kernel/sys/fd.ts';
import { familyOf } from '../../src/lib/address.ts';
import type { Address, KeyPath } from '../../src/lib/brand.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import type { OracleHost } from '../../src/model/oracle/host.ts';
import { oracleOf } from '../../src/model/oracle/oracle.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { Resource } from '../../src/model/types.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import { explain, type Party } from '../../src/observe/explain.ts';
import { type Cluster, type ClusterPlan, fullPlan, generateCluster, usualPlan } from '../support/generate.ts';
import { generateHost, generateHostPacket } from '../support/generate-host.ts';
import { generatePacket, packetText } from '../support/generate-packets.ts';
import { type DriverOptions, ProbeRig } from '../support/probe-rig.ts';
import { otherProtocols, type TcpEvidence } from '../support/prober.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { settingsResource, ToldNode } from '../support/told-node.ts';

const blockCount = 10;
const packetsPerCase = 60;
/** Every so many cases the driver is made to doubt everything. */
const resyncEvery = 20;
const node = 'n1';
const allHere = (plan: ClusterPlan): ClusterPlan => ({
  ...plan,
  pods: plan.pods.map((pod) => ({ ...pod, node })),
});
const plans = [
  { title: 'workloads', plan: allHere(usualPlan), caseCount: 320 },
  { title: 'workloads and host', plan: allHere(fullPlan), caseCount: 1200 },
] as const;

/** @param open - called once, in the network namespace that the driver shall govern. */
export function dataplaneConformance(name: string, open: (options: DriverOptions) => DataplaneDriver): void {
  const skip = process.getuid?.() === 0 ? false : 'needs root: CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF';
  const seed = skip ? 0 : seedOfRun(`${name} conformance`);
  for (const { title, plan, caseCount } of plans)
    describe(`data plane ${name}, ${title}`, () => casesOf(plan, caseCount, seed, skip, open));
}

function casesOf(
  plan: ClusterPlan,
  caseCount: number,
  seed: number,
  skip: string | false,
  open: (options: DriverOptions) => DataplaneDriver,
): void {
  const { MUSLIN_CASE: onlyCase } = process.env;
  let bench: Bench;
  let fdsBefore = 0;
  before(() => {
    if (skip) return;
    fdsBefore = openFds();
    bench = new Bench(seed, plan, open);
  });
  after(async () => {
    if (skip) return;
    await bench[Symbol.asyncDispose]();
    assert.equal(openFds(), fdsBefore, 'descriptors left open');
  });
  const size = caseCount / blockCount;
  for (let first = 0; first < caseCount; first += size) {
    test(`real packets meet the oracle's verdict, cases ${first} to ${first + size - 1}`, {
      skip,
    }, async () => {
      for (let i = first; i < first + size; i++) {
        if (onlyCase === undefined || Number(onlyCase) === i) await bench.runCase(i);
      }
    });
  }
  test('packets of every protocol and fate were sent', { skip }, () => {
    if (onlyCase === undefined) assert.deepEqual(rareFates(bench.fates), []);
  });
  test('an empty cluster leaves no link open', { skip }, () => closesAll(bench, plan));
}

/** Those too seldom seen for a run to say anything about them. */
function rareFates(fates: ReadonlyMap<string, number>): string[] {
  return [1, 6, 17, 58, 132, ...otherProtocols]
    .flatMap((protocol) => [`${protocol} true`, `${protocol} false`])
    .filter((fate) => (fates.get(fate) ?? 0) < 30);
}

async function closesAll(bench: Bench, plan: ClusterPlan): Promise<void> {
  await bench.become([]);
  const packets = plan.pods.flatMap((pod) =>
    ([4, 6] as const).map((family) => ({
      from: addressOf(plan.outside, family),
      to: addressOf(pod.addresses, family),
      protocol: 17,
      srcPort: bench.freshPort(40_000),
      dstPort: 80,
    })),
  );
  const nothing = packets.map(() => false);
  assert.deepEqual(await bench.probe(packets, nothing), nothing);
}

/** A driver on a node with its links, and the graph that tells it what to do. */
class Bench implements AsyncDisposable {
  readonly #seed: number;
  readonly #plan: ClusterPlan;
  readonly #rig: ProbeRig;
  readonly #driver: DataplaneDriver;
  readonly #told: ToldNode;
  /** What the driver was told, for the evaluator's word on a failure. */
  readonly #state = new DataplaneState();
  /** How many packets of a protocol arrived, or did not: `6 true`. */
  readonly fates: Map<string, number> = new Map();
  #sent = 0;

  constructor(seed: number, plan: ClusterPlan, open: (options: DriverOptions) => DataplaneDriver) {
    this.#seed = seed;
    this.#plan = plan;
    const workloads = plan.pods.map(({ namespace, name, addresses }) => ({
      ifName: workloadInterfaceName(namespace, name),
      addresses,
    }));
    const uplinks = plan.host?.links ?? [{ name: 'up0', addresses: [], beyond: plan.outside }];
    this.#rig = new ProbeRig(workloads, uplinks);
    this.#driver = this.#rig.node.run(() => open(this.#rig.driverOptions));
    this.#told = new ToldNode(node, (message) => {
      this.#state.apply(message);
      this.#driver.onMessage(message);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver[Symbol.asyncDispose]();
    await this.#rig[Symbol.asyncDispose]();
  }

  async runCase(number: number): Promise<void> {
    const random = new Random(this.#seed * 100_003 + number);
    const cluster = generateCluster(random, this.#plan);
    const host = this.#plan.host && generateHost(random, this.#plan.host);
    const resources = host ? [...cluster.resources, settingsResource(host.settings)] : cluster.resources;
    await this.become(resources, number);
    const packets = this.#packets(random, cluster);
    const judge = oracleOf(cluster.resources, host);
    const expected = packets.map((packet) => judge(packet).allowed);
    const arrived = await this.probe(packets, expected, tcpEvidence(cluster));
    for (const [i, packet] of packets.entries()) {
      if (arrived[i] !== expected[i])
        assert.fail(this.#report(number, cluster, host, packet, arrived[i] === true));
      const fate = `${packet.protocol} ${expected[i]}`;
      this.fates.set(fate, (this.fates.get(fate) ?? 0) + 1);
    }
  }

  /** The node enforces these resources afterwards, and agrees that it does. */
  async become(resources: readonly Resource[], number = 0): Promise<void> {
    this.#told.become(resources);
    const where = `case ${number} of MUSLIN_SEED=${this.#seed}`;
    const report = await this.#rig.apply(this.#driver);
    assert.deepEqual(report.failed, [], where);
    assert.deepEqual([...report.openEndpoints].sort(), [...this.#state.endpoints.keys()].sort(), where);
    assert.equal(
      (await this.#rig.apply(this.#driver)).changed,
      0,
      `${where}: a second apply changes nothing`,
    );
    if (number % resyncEvery !== 0) return;
    this.#driver.queueResync('conformance');
    const again = await this.#rig.apply(this.#driver);
    assert.deepEqual([again.changed, again.failed], [0, []], `${where}: after reading back nothing differs`);
  }

  probe(
    packets: readonly OraclePacket[],
    expected: readonly boolean[],
    evidence: TcpEvidence = 'handshake',
  ): Promise<boolean[]> {
    return this.#rig.probe(packets, expected, evidence);
  }

  /** One of 20,000 from there; used once in a run, so that no earlier flow speaks for a packet. */
  freshPort(first: number): number {
    assert.ok(this.#sent < 20_000 * 15, 'out of source ports');
    return first + (this.#sent++ % 20_000);
  }

  #packets(random: Random, cluster: Cluster): OraclePacket[] {
    const pods = cluster.pods.flatMap((pod) => pod.addresses);
    if (pods.length === 0) return [];
    return Array.from({ length: packetsPerCase }, () => {
      const packet = this.#packet(random, pods);
      const { srcPort } = packet;
      if (srcPort !== undefined)
        return { ...packet, srcPort: this.freshPort(srcPort < 40_000 ? 20_000 : 40_000) };
      return otherProtocols.includes(packet.protocol)
        ? { ...packet, protocol: oneWayProtocol(packet) }
        : packet;
    });
  }

  /** With a host in the plan, whatever comes from or goes to elsewhere comes or goes by one of its links. */
  #packet(random: Random, pods: readonly Address[]): OraclePacket {
    const { host, outside } = this.#plan;
    if (!host) return generatePacket(random, pods, outside, { otherProtocols });
    if (random.chance(0.25)) return generatePacket(random, pods, [], { otherProtocols });
    return generateHostPacket(random, host, pods, { otherProtocols });
  }

  #report(
    number: number,
    cluster: Cluster,
    host: OracleHost | undefined,
    packet: OraclePacket,
    arrived: boolean,
  ): string {
    const { from, to, ...probe } = packet;
    const [source, destination] = [from, to].map((address) => this.#party(address, cluster));
    const evaluator =
      source && destination && explain(source, destination, { ...probe, ipVersion: familyOf(from) });
    return [
      `case ${number}: packet ${arrived ? 'arrived' : 'was dropped'}: ${packetText(packet)}`,
      `repeat with MUSLIN_SEED=${this.#seed}, alone with MUSLIN_CASE=${number} too`,
      `oracle ${JSON.stringify(oracleOf(cluster.resources, host)(packet), null, 1)}`,
      `settings ${JSON.stringify(host?.settings)}`,
      `evaluator ${JSON.stringify(evaluator, null, 1)}`,
      ...cluster.resources.map((resource) => JSON.stringify(resource)),
    ].join('\n');
  }

  #party(address: Address, cluster: Cluster): Party {
    const pod = cluster.pods.find((place) => place.addresses.includes(address));
    if (!pod) return { kind: 'address', address };
    const id = `WorkloadEndpoint/${pod.namespace}/${pod.name}` as KeyPath;
    return { kind: 'endpoint', state: this.#state, id };
  }
}

/** Untracked policy judges answers anew: they may well be dropped. */
function tcpEvidence({ resources }: Cluster): TcpEvidence {
  const isUntracked = ({ spec }: Resource) => (spec as { doNotTrack?: boolean } | undefined)?.doNotTrack;
  return resources.some(isUntracked) ? 'first-segment' : 'handshake';
}

/**
 * Without ports nothing tells one flow from another: a packet the other way would be the reply of one that passed before.
 * So each way has a protocol of its own.
 */
function oneWayProtocol({ from, to }: OraclePacket): number {
  return otherProtocols[from < to ? 0 : 1];
}

function addressOf(addresses: readonly Address[], family: 4 | 6): Address {
  const address = addresses.find((candidate) => familyOf(candidate) === family);
  assert.ok(address);
  return address;
}
