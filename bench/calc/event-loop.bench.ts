// SPDX-License-Identifier: Apache-2.0
/**
 * How long the graph keeps others waiting while it takes in the big snapshot as the agent does: a thousand updates a turn of
 * the event loop, flushed in between with the agent's budget.
 *
 *     node bench/calc/event-loop.bench.ts [ENDPOINTS] [POLICIES]
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Batcher } from '../../src/agent/batcher.ts';
import { buildGraph } from '../../src/calc/graph.ts';
import { percentile, printTable } from '../machine.ts';
import { localNode, markedEndpoints, namespaceProfiles, tagPolicies } from './inputs.ts';

const [endpoints = 250_000, policies = 10_000] = process.argv.slice(2).map(Number);
const perTurn = 1000;

const updates = [
  ...tagPolicies(policies),
  ...namespaceProfiles(100),
  ...markedEndpoints(endpoints, 'remote'),
  ...markedEndpoints(200, 'local'),
];
let isSaid = false;
const batcher = new Batcher(
  buildGraph({ node: localNode }),
  (message) => {
    isSaid ||= message.kind === 'in-sync';
  },
  { onStatus: () => {}, onFlush: () => {} },
);

const gaps: number[] = [];
const start = performance.now();
let turn = start;
for (let next = 0; !isSaid; next += perTurn) {
  if (next < updates.length) batcher.onUpdates(updates.slice(next, next + perTurn));
  if (next < updates.length && next + perTurn >= updates.length) batcher.onStatus('in-sync');
  await nextTurn();
  const now = performance.now();
  gaps.push(now - turn);
  turn = now;
}
printTable(`event loop while ${endpoints} endpoints and ${policies} policies come, milliseconds`, [
  ['figure', 'measured', 'goal'],
  ['seconds to in-sync', (turn - start) / 1000, ''],
  ['turns', String(gaps.length), ''],
  ['p99 of a turn', percentile(gaps, 99), ''],
  ['longest turn', Math.max(...gaps), 'at most 50'],
]);
