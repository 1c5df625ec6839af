// SPDX-License-Identifier: Apache-2.0
/** What holds of every cluster and packet, whatever the policy. MUSLIN_SEED repeats a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, fullPlan, generateCluster } from '../../../test/support/generate.ts';
import { generateHost, generateHostPacket } from '../../../test/support/generate-host.ts';
import { generatePacket, packetText } from '../../../test/support/generate-packets.ts';
import { Random, seedOfRun } from '../../../test/support/random.ts';
import type { Resource } from '../types.ts';
import type { OracleHost } from './host.ts';
import { type Judgement, oracleOf } from './oracle.ts';
import type { OraclePacket } from './policy.ts';
import { pendingResources } from './staged.ts';

const clusterCount = 250;
const packetsPerCluster = 20;
const seed = seedOfRun('oracle properties');

interface Case {
  readonly resources: readonly Resource[];
  readonly host: OracleHost;
  readonly packets: readonly OraclePacket[];
}

function caseOf(number: number): Case {
  const random = new Random(seed * 100_003 + number);
  const cluster = generateCluster(random, fullPlan);
  const host = generateHost(random, fullPlan.host);
  return { resources: cluster.resources, host, packets: packetsOf(random, cluster) };
}

function packetsOf(random: Random, { pods }: Cluster): OraclePacket[] {
  const local = pods.filter((pod) => pod.node === fullPlan.host.node).flatMap((pod) => pod.addresses);
  return Array.from({ length: packetsPerCluster }, (_, i) =>
    i % 4 === 0 && local.length > 0
      ? generatePacket(random, local, local)
      : generateHostPacket(random, fullPlan.host, local, { imagined: true }),
  );
}

function forEachPacket(check: (judgement: Judgement, packet: OraclePacket, from: Case) => void): void {
  for (let number = 0; number < clusterCount; number++) {
    const each = caseOf(number);
    const judge = oracleOf(each.resources, each.host);
    for (const packet of each.packets) check(judge(packet), packet, each);
  }
}

/** Without what is not data: `pending` is judged when it is asked for. */
function dataOf({ pending: _, ...judgement }: Judgement): object {
  return judgement;
}

test('oracle: every packet is judged, and its verdict follows from what was said', () => {
  forEachPacket((judgement, packet) => {
    const { allowed, egress, ingress, host, gate } = judgement;
    const drops = [egress, ingress, ...host].some((chain) => chain?.verdict === 'deny');
    const isShut = gate === 'encapsulated' || gate === 'endpoint-to-host';
    assert.equal(allowed, !drops && !isShut, packetText(packet));
  });
});

test('oracle: what untracked or pre-DNAT policy accepts, no later chain of its direction looks at; a drop is the last', () => {
  forEachPacket(({ host }, packet) => {
    for (const direction of ['ingress', 'egress']) {
      const chains = host.filter((chain) => chain.direction === direction);
      const accepted = chains.findIndex((chain) => chain.verdict === 'allow');
      assert.ok(accepted < 0 || accepted === chains.length - 1, packetText(packet));
    }
    assert.ok(!host.slice(0, -1).some((chain) => chain.verdict === 'deny'), packetText(packet));
  });
});

test('oracle: the order in which resources are listed says nothing', () => {
  const judges = new Map<Case, ReturnType<typeof oracleOf>>();
  forEachPacket((judgement, packet, each) => {
    const reversed = judges.get(each) ?? oracleOf(each.resources.toReversed(), each.host);
    judges.set(each, reversed);
    assert.deepEqual(dataOf(reversed(packet)), dataOf(judgement), packetText(packet));
  });
});

test('oracle: staged policies change nothing, and pending is the verdict of the cluster with them in force', () => {
  const judges = new Map<Case, readonly ReturnType<typeof oracleOf>[]>();
  forEachPacket((judgement, packet, each) => {
    const { resources, host } = each;
    const unstaged = resources.filter(({ kind }) => !kind.startsWith('Staged'));
    const known = judges.get(each) ?? [oracleOf(unstaged, host), oracleOf(pendingResources(resources), host)];
    judges.set(each, known);
    const [now, then] = known.map((judge) => judge(packet));
    assert.ok(now && then);
    assert.deepEqual(dataOf(now), dataOf(judgement), packetText(packet));
    assert.equal(then.allowed, judgement.pending.allowed, packetText(packet));
  });
});

test('oracle: without host endpoints a host says nothing', () => {
  for (let number = 0; number < clusterCount / 5; number++) {
    const { resources, host, packets } = caseOf(number);
    const judge = oracleOf(
      resources.filter(({ kind }) => kind !== 'HostEndpoint'),
      host,
    );
    for (const packet of packets) assert.deepEqual(judge(packet).host, [], packetText(packet));
  }
});

const fates = new Map<string, number>();

test('oracle: packets of every fate were generated', () => {
  const count = (fate: string) => fates.set(fate, (fates.get(fate) ?? 0) + 1);
  forEachPacket((judgement) => {
    for (const { stage, direction, verdict, failsafe } of judgement.host) {
      count(`${stage} ${direction} ${failsafe ? 'failsafe' : verdict}`);
    }
    for (const link of [judgement.egress, judgement.ingress, ...judgement.host].flatMap(
      (chain) => chain?.links ?? [],
    )) {
      count(link.at === 'rule' ? `${link.policy.split('/')[0]} ${link.action}` : link.at);
    }
    count(String(judgement.gate));
    if (judgement.allowed !== judgement.pending.allowed) count(`pending ${judgement.pending.allowed}`);
  });
  assert.deepEqual(
    wanted.filter((fate) => !fates.has(fate)),
    [],
  );
});

const verdicts = ['allow', 'deny', 'continue'];
const wanted = [
  ...[
    'untracked ingress',
    'untracked egress',
    'pre-dnat ingress',
    'forward ingress',
    'forward egress',
  ].flatMap((stage) => verdicts.map((verdict) => `${stage} ${verdict}`)),
  ...['normal ingress', 'normal egress'].flatMap((stage) => [`${stage} allow`, `${stage} deny`]),
  ...['untracked ingress', 'pre-dnat ingress', 'normal ingress', 'untracked egress', 'normal egress'].map(
    (stage) => `${stage} failsafe`,
  ),
  ...['allow', 'deny', 'pass'].flatMap((action) => [
    `ClusterNetworkPolicy ${action}`,
    `GlobalNetworkPolicy ${action}`,
    `NetworkPolicy ${action}`,
  ]),
  ...['encapsulated', 'icmpv6-to-host', 'endpoint-to-host', 'host-to-workload', 'null'],
  ...['pending true', 'pending false', 'missing-profile', 'end-of-profiles', 'end-of-tier', 'profile-rule'],
];
