// SPDX-License-Identifier: Apache-2.0
/**
 * The big snapshot with the nodes' addresses known, as in a routed cluster: a route for each of 250,000 remote endpoints.
 * Felix's workload names no node.
 *
 *     node bench/calc/routes.bench.ts [ENDPOINTS] [POLICIES]
 */
import { printTable } from '../machine.ts';
import { localNode, markedEndpoints, namespaceProfiles, nodeUpdate, tagPolicies } from './inputs.ts';
import { figureRows, runToInSync } from './snapshot.ts';

const [endpoints = 250_000, policies = 10_000] = process.argv.slice(2).map(Number);
const { figures } = runToInSync(() => [
  tagPolicies(policies),
  namespaceProfiles(100),
  markedEndpoints(endpoints, 'remote'),
  markedEndpoints(200, 'local'),
  [nodeUpdate(localNode, '192.0.2.1'), nodeUpdate('remotehost', '192.0.2.2')],
]);
printTable(
  `calculation graph: the big snapshot with ${endpoints} routes`,
  figureRows(figures, { seconds: '', peak: '' }),
);
