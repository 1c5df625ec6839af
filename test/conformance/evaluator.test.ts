// SPDX-License-Identifier: Apache-2.0
/**
 * Two opinions on every packet: the oracle's, from the resources as written, and the evaluators', from what the graph
 * compiles for each node: between pods anywhere, and at a host with endpoints of its own; as enforced, and with every
 * staged policy in force. MUSLIN_SEED repeats a run, MUSLIN_CASE one case of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOf } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import { type Judgement, oracleOf } from '../../src/model/oracle/oracle.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { DataplaneState } from '../../src/observe/dataplane-state.ts';
import { type Explanation, explain, type Party } from '../../src/observe/explain.ts';
import {
  type Cluster,
  type ClusterPlan,
  generateCluster,
  type PodPlace,
  usualPlan,
} from '../support/generate.ts';
import { generatePacket, packetText } from '../support/generate-packets.ts';
import { compileNodes, deciderOf, evaluatorsDecider } from '../support/opinions.ts';
import { Random, seedOfRun } from '../support/random.ts';

const caseCount = 3200;
const packetsPerCase = 40;
const blockCount = 8;

const seed = seedOfRun('evaluator conformance');
const { MUSLIN_CASE: onlyCase } = process.env;

function partyOf(
  address: OraclePacket['from'],
  pods: readonly PodPlace[],
  states: ReadonlyMap<string, DataplaneState>,
): Party {
  const pod = pods.find((place) => place.addresses.includes(address));
  if (!pod) return { kind: 'address', address };
  const state = states.get(pod.node);
  assert.ok(state);
  return { kind: 'endpoint', state, id: `WorkloadEndpoint/${pod.namespace}/${pod.name}` as KeyPath };
}

function summary(judgement: Judgement): string[] {
  return [
    String(judgement.allowed),
    deciderOf(judgement.egress),
    deciderOf(judgement.ingress),
    `staged in force: ${judgement.pending.allowed}`,
  ];
}

function evaluatorsSummary(explanation: Explanation): string[] {
  return [
    String(explanation.allowed),
    evaluatorsDecider(explanation.egress),
    evaluatorsDecider(explanation.ingress),
    `staged in force: ${(explanation.pending ?? explanation).allowed}`,
  ];
}

function compare(
  number: number,
  cluster: Cluster,
  packet: OraclePacket,
  judge: ReturnType<typeof oracleOf>,
  states: ReturnType<typeof compileNodes>,
): Judgement {
  const judgement = judge(packet);
  const { from, to, ...probe } = packet;
  const [source, destination] = [from, to].map((address) => partyOf(address, cluster.pods, states));
  assert.ok(source && destination);
  const explanation = explain(source, destination, { ...probe, ipVersion: familyOf(from) });
  assert.deepEqual(
    evaluatorsSummary(explanation),
    summary(judgement),
    [
      `repeat with MUSLIN_SEED=${seed} MUSLIN_CASE=${number}; the evaluator is the first, the oracle the second`,
      packetText(packet),
      `oracle ${JSON.stringify(judgement, null, 1)}`,
      `evaluator ${JSON.stringify(explanation, null, 1)}`,
      ...cluster.resources.map((resource) => JSON.stringify(resource)),
    ].join('\n'),
  );
  return judgement;
}

const counts = { allowed: 0, denied: 0, byRule: 0 };

/** Hosts have cases of their own: evaluator-host.test.ts. */
function planOf(number: number): ClusterPlan {
  return number % 2 === 0 ? usualPlan : { ...usualPlan, staged: true, clusterPolicies: true, services: true };
}

function runCase(number: number): void {
  const random = new Random(seed * 100_003 + number);
  const plan = planOf(number);
  const cluster = generateCluster(random, plan);
  const states = compileNodes(cluster.resources);
  const judge = oracleOf(cluster.resources);
  const addresses = cluster.pods.flatMap((pod) => pod.addresses);
  for (let i = 0; i < packetsPerCase && addresses.length > 0; i++) {
    const packet = generatePacket(random, addresses, plan.outside);
    const judgement = compare(number, cluster, packet, judge, states);
    counts[judgement.allowed ? 'allowed' : 'denied']++;
    if (judgement.egress?.links.at(-1)?.at === 'rule' || judgement.ingress?.links.at(-1)?.at === 'rule') {
      counts.byRule++;
    }
  }
}

for (let block = 0; block < blockCount; block++) {
  const size = caseCount / blockCount;
  const first = block * size;
  test(`oracle and evaluator agree on clusters ${first} to ${first + size - 1}`, () => {
    for (let i = first; i < first + size; i++)
      if (onlyCase === undefined || Number(onlyCase) === i) runCase(i);
  });
}

test('oracle and evaluator were asked about packets of every fate', () => {
  if (onlyCase !== undefined) return;
  const total = counts.allowed + counts.denied;
  const { allowed, denied, byRule } = counts;
  assert.ok(Math.min(allowed, denied, byRule) > total / 10, JSON.stringify(counts));
});
