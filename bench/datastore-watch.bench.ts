// SPDX-License-Identifier: Apache-2.0
/**
 * The embedded store: from the answer to a write in one process to the watch event in another, and writes per second
 * alone and in groups.
 *
 *     node bench/datastore-watch.bench.ts [WRITES]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedStore } from '../src/datastore/embedded/store.ts';
import type { Resource } from '../src/model/types.ts';
import { percentile, printTable } from './machine.ts';

const epochMs = () => performance.timeOrigin + performance.now();
const tier = (name: string): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Tier',
  metadata: { name },
  spec: { order: 1 },
});

if (process.send) await write(process.argv[2] ?? '', Number(process.argv[3]));
else await measure(Number(process.argv[2] ?? 500));

/** The other process: writes now and then, and says when each was answered. */
async function write(file: string, writes: number): Promise<void> {
  await using store = new EmbeddedStore(file);
  for (let i = 0; i < writes; i++) {
    await store.create({ kind: 'Tier', name: `t${i}` }, tier(`t${i}`));
    process.send?.({ name: `t${i}`, answered: epochMs() });
    await delay(5);
  }
  process.disconnect();
}

async function measure(writes: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
  const file = join(folder, 'db');
  {
    await using store = new EmbeddedStore(file);
    const seen = new Map<string, number>();
    const answered = new Map<string, number>();
    const stop = new AbortController();
    const watching = watch(store, seen, stop.signal);
    const writer = fork(new URL(import.meta.url).pathname, [file, String(writes)]);
    writer.on('message', (message: { name: string; answered: number }) =>
      answered.set(message.name, message.answered),
    );
    await once(writer, 'exit');
    await delay(300);
    stop.abort();
    await watching;
    const latencies = [...answered].map(([name, at]) => Math.max(0, (seen.get(name) ?? Number.NaN) - at));
    printTable(`Watch across processes, ${writes} writes, milliseconds after the answer to the writer`, [
      ['p50', 'p90', 'p99', 'max', 'missed'],
      [...[50, 90, 99, 100].map((p) => percentile(latencies, p)), String(writes - seen.size)],
    ]);
    await rates(store, writes);
  }
  rmSync(folder, { recursive: true });
}

async function watch(store: EmbeddedStore, seen: Map<string, number>, signal: AbortSignal): Promise<void> {
  const { revision } = await store.snapshot();
  for await (const events of store.watch(revision, signal)) {
    for (const event of events) if (event.type === 'put') seen.set(event.stored.key.name, epochMs());
  }
}

async function rates(store: EmbeddedStore, writes: number): Promise<void> {
  const rate = async (group: number): Promise<string> => {
    const start = performance.now();
    for (let i = 0; i < writes; i += group) {
      const names = Array.from({ length: Math.min(group, writes - i) }, (_, j) => `g${group}-${i + j}`);
      await Promise.all(names.map((name) => store.create({ kind: 'Tier', name }, tier(name))));
    }
    return Math.round((writes * 1000) / (performance.now() - start)).toLocaleString('en');
  };
  const rows: string[][] = [];
  for (const group of [1, 10, 100]) rows.push([String(group), await rate(group)]);
  printTable('Durable writes per second (synchronous = FULL)', [['writes in flight', 'writes/s'], ...rows]);
}
