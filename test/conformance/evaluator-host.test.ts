// SPDX-License-Identifier: Apache-2.0
/**
 * Two opinions on every packet that a host sends, hears or forwards: its endpoints' stages, its settings, its workloads'
 * policy; as enforced, and with every staged policy in force. MUSLIN_SEED repeats a run, MUSLIN_CASE one case of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOf } from '../../src/lib/address.ts';
import type { Address, IfName } from '../../src/lib/brand.ts';
import type { HostChain, OracleHost } from '../../src/model/oracle/host.ts';
import { type Judgement, oracleOf } from '../../src/model/oracle/oracle.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { DataplaneState } from '../../src/observe/dataplane-state.ts';
import {
  type Crossing,
  type CrossingEnd,
  evaluateAtNode,
  isNeighbourDiscovery,
  type NodeVerdict,
  type StageVerdict,
} from '../../src/observe/evaluate-host.ts';
import { hostEndpointAt } from '../../src/observe/host-link.ts';
import type { Packet } from '../../src/observe/packet-match.ts';
import { withStaged } from '../../src/observe/tier-view.ts';
import { type Cluster, fullPlan, generateCluster } from '../support/generate.ts';
import { generateHost, generateHostPacket } from '../support/generate-host.ts';
import { packetText } from '../support/generate-packets.ts';
import { compileNodes, deciderOf, evaluatorsDecider } from '../support/opinions.ts';
import { Random, seedOfRun } from '../support/random.ts';

const caseCount = 1600;
const packetsPerCase = 40;
const blockCount = 8;

const seed = seedOfRun('evaluator conformance at hosts');
const { MUSLIN_CASE: onlyCase } = process.env;

/** The node's state with the host's settings, which no resource says here. */
function stateOf(cluster: Cluster, host: OracleHost): DataplaneState {
  const state = compileNodes(cluster.resources).get(host.node);
  assert.ok(state);
  state.config = { ...state.config, ...host.settings };
  return state;
}

function crossingOf(state: DataplaneState, host: OracleHost, packet: OraclePacket): Crossing {
  return { from: endOf(state, host, packet.from, packet.in), to: endOf(state, host, packet.to, packet.out) };
}

function endOf(
  state: DataplaneState,
  host: OracleHost,
  address: Address,
  link: string | undefined,
): CrossingEnd {
  const pod = [...state.endpoints].find(([, { addresses }]) => addresses.includes(address));
  if (pod) return { at: 'workload', id: pod[0] };
  if ([...host.interfaces.values()].some((own) => own.includes(address))) return { at: 'host' };
  const addresses = host.interfaces.get(link ?? '') ?? [];
  const endpoint = hostEndpointAt(state, { name: (link ?? null) as IfName | null, addresses });
  return { at: 'beyond', endpoint };
}

/** What connection tracking does not follow is not translated. */
function seenBy(packet: OraclePacket): Packet {
  const { from, to, in: _, out: __, toBeforeNat, dstPortBeforeNat, tracked = true, ...head } = packet;
  return {
    ...head,
    ipVersion: familyOf(from),
    src: from,
    dst: to,
    ...(tracked && toBeforeNat !== undefined ? { dstBeforeNat: toBeforeNat } : {}),
    ...(tracked && dstPortBeforeNat !== undefined ? { dstPortBeforeNat } : {}),
  };
}

/** A stage that nobody has a policy for is none to the evaluator. */
function summary({ allowed, egress, ingress, host, gate, pending }: Judgement): string[] {
  return [
    String(allowed),
    `gate ${gate}`,
    ...(gate === 'encapsulated' ? [] : [deciderOf(egress), deciderOf(ingress), ...host.flatMap(stageText)]),
    `staged in force: ${pending.allowed}`,
  ];
}

function stageText(chain: HostChain): string[] {
  const { endpoint, stage, direction, verdict, failsafe, links } = chain;
  if (verdict === 'continue' && links.length === 0) return [];
  const decider = failsafe ? `${verdict} by failsafe` : verdict === 'continue' ? '' : deciderOf(chain);
  return [`${endpoint} ${stage} ${direction} ${verdict}: ${decider}`];
}

function evaluatorsSummary(
  { allowed, egress, ingress, stages, gate }: NodeVerdict,
  pending: NodeVerdict,
): string[] {
  const last = egress?.trace.at(-1);
  const isEncapsulated = last?.step === 'gate' && last.reason === 'encapsulated';
  const words = [evaluatorsDecider(egress), evaluatorsDecider(ingress), ...stages.flatMap(evaluatorsStage)];
  return [
    String(allowed),
    `gate ${isEncapsulated ? 'encapsulated' : gateText(gate, allowed, [egress, ingress])}`,
    ...(isEncapsulated ? [] : words),
    `staged in force: ${pending.allowed}`,
  ];
}

/** The oracle names the node's setting only where it is what denies. */
function gateText(
  gate: NodeVerdict['gate'],
  allowed: boolean,
  ends: readonly (NodeVerdict['egress'] | null)[],
): string {
  if (gate?.reason === 'neighbour-discovery') return 'icmpv6-to-host';
  if (gate?.reason !== 'endpoint-to-host') return String(gate?.reason ?? null);
  return !allowed && ends.every((end) => end?.verdict !== 'deny') ? 'endpoint-to-host' : 'null';
}

function evaluatorsStage({ name, stage, direction, verdict, trace }: StageVerdict): string[] {
  const last = trace.at(-1);
  if (verdict === 'continue' && last?.step === 'failsafe') return [];
  const decider = verdict === 'continue' ? '' : evaluatorsDecider({ verdict, trace });
  return [`${name} ${stage} ${direction} ${verdict}: ${decider}`];
}

/** Workloads are no routers: data planes drop what says so, which is not the oracle's matter. */
function isOfRouters(packet: Packet, { from }: Crossing): boolean {
  return isNeighbourDiscovery(packet) && from.at === 'workload' && packet.icmpType === 134;
}

const counts = { allowed: 0, denied: 0, pendingDiffers: 0 };
const stageCounts = new Map<string, number>();

function runCase(number: number): void {
  const random = new Random(seed * 100_003 + number);
  const cluster = generateCluster(random, fullPlan);
  const host = generateHost(random, fullPlan.host);
  const state = stateOf(cluster, host);
  const judge = oracleOf(cluster.resources, host);
  const local = cluster.pods.filter(({ node }) => node === host.node).flatMap((pod) => pod.addresses);
  for (let i = 0; i < packetsPerCase; i++) {
    const sent = generateHostPacket(random, fullPlan.host, local, { imagined: true });
    const [packet, crossing] = [seenBy(sent), crossingOf(state, host, sent)];
    if (isOfRouters(packet, crossing)) continue;
    const judgement = judge(sent);
    const verdict = evaluateAtNode(state, crossing, packet);
    const pending = evaluateAtNode(state, crossing, packet, withStaged);
    assert.deepEqual(
      evaluatorsSummary(verdict, pending),
      summary(judgement),
      [
        `repeat with MUSLIN_SEED=${seed} MUSLIN_CASE=${number}; the evaluator is the first, the oracle the second`,
        packetText(sent),
        `host ${JSON.stringify({ ...host, interfaces: [...host.interfaces] })}`,
        `oracle ${JSON.stringify(judgement, null, 1)}`,
        `evaluator ${JSON.stringify([verdict, pending], null, 1)}`,
        ...cluster.resources.map((resource) => JSON.stringify(resource)),
      ].join('\n'),
    );
    count(judgement);
  }
}

function count({ allowed, pending, host }: Judgement): void {
  counts[allowed ? 'allowed' : 'denied']++;
  if (pending.allowed !== allowed) counts.pendingDiffers++;
  for (const { stage, direction, links } of host) {
    if (links.length === 0) continue;
    const name = `${stage} ${direction}`;
    stageCounts.set(name, (stageCounts.get(name) ?? 0) + 1);
  }
}

for (let block = 0; block < blockCount; block++) {
  const size = caseCount / blockCount;
  const first = block * size;
  test(`oracle and evaluator agree at the hosts of clusters ${first} to ${first + size - 1}`, () => {
    for (let i = first; i < first + size; i++)
      if (onlyCase === undefined || Number(onlyCase) === i) runCase(i);
  });
}

test('they were asked about every stage and every fate', () => {
  if (onlyCase !== undefined) return;
  const total = counts.allowed + counts.denied;
  assert.ok(Math.min(counts.allowed, counts.denied) > total / 10, JSON.stringify(counts));
  assert.ok(counts.pendingDiffers > 100, JSON.stringify(counts));
  assert.deepEqual(
    [...stageCounts.keys()].sort(),
    [
      'forward egress',
      'forward ingress',
      'normal egress',
      'normal ingress',
      'pre-dnat ingress',
      'untracked egress',
      'untracked ingress',
    ],
    JSON.stringify([...stageCounts]),
  );
});
