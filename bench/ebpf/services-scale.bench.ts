// SPDX-License-Identifier: Apache-2.0
/**
 * How long a node takes to balance many services of 1 to 100 endpoints: from nothing, a change that is none, one endpoint that comes
 * and goes, and a restart that finds all rows there.
 *
 *     node bench/ebpf/services-scale.bench.ts [SERVICES] [CHANGES]       as root, on an idle machine; MUSLIN_SEED repeats a run
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApplyReport } from '../../src/contract/dataplane.ts';
import type { ServiceBackend, TranslationMessage } from '../../src/contract/services.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { NetNs } from '../../src/kernel/netns.ts';
import { MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import { plainFrontend } from '../../test/support/plain-frontend.ts';
import { Random, seedOfRun } from '../../test/support/random.ts';
import { median, percentile, printTable } from '../machine.ts';

const count = Number(process.argv[2] ?? 10_000);
const changes = Number(process.argv[3] ?? 50);
/** Each service is answered by some of these. */
const podCount = 20_000;
const random = new Random(seedOfRun('services at scale'));

function backend(pod: number): ServiceBackend {
  return {
    address: parseAddress(`10.${65 + (pod >> 16)}.${(pod >> 8) & 255}.${pod & 255}`),
    port: 8080,
    local: pod % 100 === 0,
  };
}

function service(number: number, backends: readonly ServiceBackend[]): TranslationMessage {
  const name = `default/s${number}`;
  const address = parseAddress(`10.${96 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`);
  const frontends = [plainFrontend({ address, backends })];
  return { kind: 'service-update', id: `Service/${name}` as KeyPath, service: { name, frontends } };
}

const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
mountBpffs(folder);
const bpf = join(folder, 'node');
const netns = NetNs.anonymous();

function open(): EbpfDriver {
  return netns.run(() => new EbpfDriver({ interfacePrefix: 'cali', bpf }));
}

async function apply(driver: EbpfDriver): Promise<{ readonly ms: number; readonly changed: number }> {
  const start = performance.now();
  const applied: Promise<ApplyReport>[] = [];
  netns.run(() => void applied.push(driver.apply()));
  const [report] = await Promise.all(applied);
  if (!report || report.failed.length > 0) throw new Error(JSON.stringify(report?.failed.slice(0, 3)));
  return { ms: performance.now() - start, changed: report.changed };
}

function rowsOf(map: string): number {
  using opened = BpfMap.openPin(join(bpf, 'maps1', map));
  return opened ? [...opened.entries()].length : 0;
}

const endpoints = Array.from({ length: count }, () =>
  random.times(1, 100, () => backend(random.below(podCount))),
);
const messages = endpoints.map((backends, number) => service(number, backends));
const first = open();
await apply(first);
const start = performance.now();
for (const message of messages) first.onTranslation(message);
const told = performance.now() - start;
const fromNothing = await apply(first);
const again = await apply(first);
for (const message of messages) first.onTranslation(message);
const repeated = await apply(first);
const times: number[] = [];
for (let i = 0; i < changes; i++) {
  const backends = endpoints[i] ?? [];
  first.onTranslation(service(i, [...backends, backend(podCount + i)]));
  times.push((await apply(first)).ms);
  first.onTranslation(service(i, backends));
  times.push((await apply(first)).ms);
}
await first[Symbol.asyncDispose]();
const second = open();
for (const message of messages) second.onTranslation(message);
const restart = await apply(second);
await second[Symbol.asyncDispose]();
printTable(`${count} services of 1 to 100 endpoints with eBPF`, [
  ['what', 'ms', 'rows changed'],
  ['told', told, '-'],
  ['from nothing', fromNothing.ms, `${fromNothing.changed}`],
  ['again', again.ms, `${again.changed}`],
  ['all told once more', repeated.ms, `${repeated.changed}`],
  ['one endpoint more or less, p50', median(times), '-'],
  ['one endpoint more or less, p99', percentile(times, 99), '-'],
  ['restart', restart.ms, `${restart.changed}`],
]);
printTable('rows of maps', [
  ['map', 'rows'],
  ...['frontends', 'backends', 'members'].map((map) => [map, `${rowsOf(map)}`]),
]);
netns.close();
sys.umount(folder, MNT_DETACH);
rmSync(folder, { recursive: true });
