// SPDX-License-Identifier: Apache-2.0
/**
 * 10,000 network sets of 1 to 1,000 nets with an `all()` policy each, 10,000 endpoints, 200 of them local: until in sync.
 * Felix's `Snapshot200Local10kTotal10000NetsetPols`.
 *
 *     node bench/calc/network-sets.bench.ts [SETS]
 */
import { printTable } from '../machine.ts';
import { markedEndpoints, namespaceProfiles, networkSetsWithPolicies } from './inputs.ts';
import { figureRows, runToInSync } from './snapshot.ts';

const [sets = 10_000] = process.argv.slice(2).map(Number);
const { figures } = runToInSync(() => [
  namespaceProfiles(100),
  markedEndpoints(10_000, 'remote'),
  networkSetsWithPolicies(sets),
  markedEndpoints(200, 'local'),
]);
printTable(
  `calculation graph: ${sets} network sets with a policy each, 10,000 remote and 200 local endpoints`,
  figureRows(figures, { seconds: 'at most 5 (Felix 19.3)', peak: 'at most 1,200 (Felix 1,730)' }),
);
