// SPDX-License-Identifier: Apache-2.0
/**
 * How long a lab takes to start: per node, and per pod until it is enforced.
 *
 *     node bench/lab-start.bench.ts        as root
 */
import { BenchLab, pod } from './lab-rig.ts';
import { printTable } from './machine.ts';

const rows: (string | number)[][] = [
  ['nodes', 'seconds to ready', 'seconds per node', 'pods', 'seconds to enforced', 'milliseconds per pod'],
];
for (const [nodes, pods] of [
  [1, 12],
  [3, 12],
  [3, 60],
  [10, 60],
] as const) {
  const start = performance.now();
  await using lab = await BenchLab.start(nodes);
  const ready = (performance.now() - start) / 1000;
  const podsStart = performance.now();
  await lab.create(
    Array.from({ length: pods }, (_, i) => ({ kind: 'Pod', resource: pod(`p${i}`, null, { app: 'bench' }) })),
  );
  const enforced = (performance.now() - podsStart) / 1000;
  rows.push([String(nodes), ready, ready / nodes, String(pods), enforced, (enforced * 1000) / pods]);
}
printTable('Lab start', rows);
