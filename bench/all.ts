// SPDX-License-Identifier: Apache-2.0
/** Every bench in turn, each in a process of its own; as root, on an idle machine. `make bench`. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const folder = new URL('./', import.meta.url).pathname;
const benches = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.bench.ts'))
  .sort();
let failed = 0;
for (const bench of benches) {
  const { status } = spawnSync(process.execPath, [...process.execArgv, `${folder}${bench}`], {
    stdio: 'inherit',
  });
  if (status !== 0) failed++;
}
process.exitCode = failed === 0 ? 0 : 1;
