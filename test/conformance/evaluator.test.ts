// SPDX-License-Identifier: Apache-2.0
/**
 * Two opinions on every packet: the oracle's, from the resources as written, and the evaluators', from what the graph
 * compiles for each node. MUSLIN_SEED repeats a run, MUSLIN_CASE one case of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileFor } from '../../src/calc/compile.ts';
import { familyOf } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf } from '../../src/model/kinds.ts';
import { type Chain, type Judgement, oracleOf } from '../../src/model/oracle/oracle.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { Resource, Update } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import type { Verdict } from '../../src/observe/evaluate.ts';
import { type Explanation, explain, type Party } from '../../src/observe/explain.ts';
import { type Cluster, generateCluster, type PodPlace, usualPlan } from '../support/generate.ts';
import { generatePacket, packetText } from '../support/generate-packets.ts';
import { Random, seedOfRun } from '../support/random.ts';

const caseCount = 3200;
const packetsPerCase = 40;
const blockCount = 8;

const seed = seedOfRun('evaluator conformance');
const { MUSLIN_CASE: onlyCase } = process.env;

/** @throws when a resource does not validate: generated ones must. */
function compileAll(resources: readonly Resource[]): ReadonlyMap<string, DataplaneState> {
  const updates: Update[] = builtinUpdates();
  for (const resource of resources) {
    const converted = updatesOf(keyOf(resource), resource);
    assert.deepEqual(converted.faults, [], JSON.stringify(resource));
    updates.push(...converted.updates);
  }
  return new Map(['n1', 'n2'].map((node) => [node, DataplaneState.from(compileFor(node, updates))]));
}

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

/** Who decided, in the oracle's words. */
function deciderOf(chain: Chain | null): string {
  const link = chain?.links.at(-1);
  if (!chain || !link) return 'nobody';
  switch (link.at) {
    case 'rule':
      return `${chain.verdict} by ${link.policy} in ${link.tier}`;
    case 'end-of-tier':
      return `${chain.verdict} at the end of ${link.tier}`;
    case 'profile-rule':
    case 'missing-profile':
      return `${chain.verdict} by profile ${link.profile}`;
    case 'end-of-profiles':
      return `${chain.verdict} at the end`;
  }
}

/** The same in the evaluator's. */
function evaluatorsDecider(verdict: Verdict | null): string {
  const step = verdict?.trace.at(-1);
  if (!verdict || !step) return 'nobody';
  switch (step.step) {
    case 'tier':
      return step.decidedBy === 'rule'
        ? `${verdict.verdict} by ${step.policies.at(-1)?.policy} in ${step.tier}`
        : `${verdict.verdict} at the end of ${step.tier}`;
    case 'profile':
      return `${verdict.verdict} by profile ${step.profile}`;
    case 'end':
      return `${verdict.verdict} at the end`;
    case 'gate':
      return `${verdict.verdict} at the gate: ${step.reason}`;
  }
}

function summary(judgement: Judgement): string[] {
  return [String(judgement.allowed), deciderOf(judgement.egress), deciderOf(judgement.ingress)];
}

function evaluatorsSummary(explanation: Explanation): string[] {
  return [
    String(explanation.allowed),
    evaluatorsDecider(explanation.egress),
    evaluatorsDecider(explanation.ingress),
  ];
}

function compare(
  number: number,
  cluster: Cluster,
  packet: OraclePacket,
  judge: ReturnType<typeof oracleOf>,
  states: ReturnType<typeof compileAll>,
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

function runCase(number: number): void {
  const random = new Random(seed * 100_003 + number);
  const cluster = generateCluster(random, usualPlan);
  const states = compileAll(cluster.resources);
  const judge = oracleOf(cluster.resources);
  const addresses = cluster.pods.flatMap((pod) => pod.addresses);
  for (let i = 0; i < packetsPerCase && addresses.length > 0; i++) {
    const packet = generatePacket(random, addresses, usualPlan.outside);
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
