// SPDX-License-Identifier: Apache-2.0
/** The workloads of the calculation graph in turn, each in a process of its own, so that its peak memory is its own. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const folder = new URL('./', import.meta.url).pathname;
const benches = readdirSync(folder)
  .filter((name) => name.endsWith('.bench.ts'))
  .sort();
for (const bench of benches) {
  const { status } = spawnSync(process.execPath, [...process.execArgv, `${folder}${bench}`], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
