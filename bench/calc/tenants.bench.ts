// SPDX-License-Identifier: Apache-2.0
/**
 * 100,000 tenants of one pod and one policy each, 15 labels a pod and 3 a namespace, 100 pods local: until in sync. Felix's
 * `IsolatedCustomers100k`.
 *
 *     node bench/calc/tenants.bench.ts [TENANTS]
 */
import { printTable } from '../machine.ts';
import { tenantEndpoints, tenantPolicies, tenantProfiles } from './inputs.ts';
import { figureRows, runToInSync } from './snapshot.ts';

const [tenants = 100_000] = process.argv.slice(2).map(Number);
const { figures } = runToInSync(() => {
  const { local, remote } = tenantEndpoints(tenants, 100);
  return [tenantPolicies(tenants), tenantProfiles(tenants), remote, local];
});
printTable(
  `calculation graph: ${tenants} tenants, a pod and a policy each, 100 pods local`,
  figureRows(figures, { seconds: 'at most 4 (Felix 9.9)', peak: 'at most 1,100 (Felix 1,330)' }),
);
