// SPDX-License-Identifier: Apache-2.0
/**
 * What a connection to a service costs with eBPF, against one to the pod itself: translated packet by packet, and balanced when the
 * socket connects; with 1 to 50,000 services. All paths in turns within one run.
 *
 *     node bench/ebpf/services.bench.ts [ROUNDS]       as root, on an idle machine; wants gcc and cgroup2
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ResolvedService, ServiceBackend, TranslationMessage } from '../../src/contract/services.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { noTranslation } from '../../src/drivers/ebpf/settings.ts';
import { cgroupRoot } from '../../src/kernel/cgroup.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { Address, KeyPath } from '../../src/lib/brand.ts';
import { NodeRig } from '../../test/support/node-rig.ts';
import { plainFrontend } from '../../test/support/plain-frontend.ts';
import { median, printTable } from '../machine.ts';
import { endpointOf, firstPort, measure, openProfile, type Path, program, ratioTo, serve } from '../path.ts';

const rounds = Number(process.argv[2] ?? 7);
const connections = 8_000;
const serviceAddress = parseAddress('10.96.0.1');

type Way = 'direct' | 'translated' | 'balanced at connect';

/** The one that is used, and others beside it with ten backends each. */
function services(count: number, target: ServiceBackend): readonly TranslationMessage[] {
  const others = Array.from({ length: 10 }, (_, i) => ({
    address: parseAddress(`10.200.0.${i + 1}`),
    port: 80,
    local: false,
  }));
  return Array.from({ length: count }, (_, i): TranslationMessage => {
    const address = i === 0 ? serviceAddress : parseAddress(`10.97.${i >> 8}.${i & 255}`);
    const id = `Service/default/s${i}` as KeyPath;
    return { kind: 'service-update', id, service: service(i, address, i === 0 ? [target] : others) };
  });
}

function service(number: number, address: Address, backends: readonly ServiceBackend[]): ResolvedService {
  return { name: `default/s${number}`, frontends: [plainFrontend({ address, backends })] };
}

async function pathTo(way: Way, count: number): Promise<Path> {
  const rig = new NodeRig(['client', 'server'], []);
  const cgroup = join(cgroupRoot(), `muslin-bench-${process.pid}-${way.replaceAll(' ', '-')}-${count}`);
  mkdirSync(cgroup);
  const driver = rig.node.run(() => new EbpfDriver({ ...rig.driverOptions, cgroup }));
  const connectTime = way === 'balanced at connect' ? ('tcp' as const) : ('off' as const);
  driver.onTranslation({ kind: 'translation-update', config: { ...noTranslation, connectTime } });
  const target = { address: rig.address('server', 4), port: firstPort, local: true };
  for (const message of services(count, target)) driver.onTranslation(message);
  rig.node.run(() => execFileSync('ip', ['route', 'add', 'default', 'dev', 'lo']));
  await program(rig, driver, [
    openProfile,
    endpointOf(rig, 'client', []),
    endpointOf(rig, 'server', []),
    { kind: 'in-sync' },
  ]);
  const path = await serve(rig, firstPort, driver);
  return {
    ...path,
    cgroup,
    ...(way === 'direct' ? {} : { address: serviceAddress, port: 80 }),
    [Symbol.asyncDispose]: async () => {
      await path[Symbol.asyncDispose]();
      rmdirSync(cgroup);
    },
  };
}

const variants: readonly (readonly [string, () => Promise<Path>])[] = [
  ['direct to the pod', () => pathTo('direct', 1)],
  ...[1, 1000, 10_000, 50_000].map(
    (count) => [`translated, ${count} services`, () => pathTo('translated', count)] as const,
  ),
  ['balanced at connect, 10000 services', () => pathTo('balanced at connect', 10_000)],
];
const measured = await measure(variants, rounds, [['crr', connections]]);
const [direct] = measured;
printTable(`Connections to services, eBPF (${rounds} rounds, medians)`, [
  ['path', 'us per connection', 'ratio'],
  ...measured.map((variant) => [variant.name, median(variant.values.crr), ratioTo(direct, variant, 'crr')]),
]);
for (const { path } of measured) await path[Symbol.asyncDispose]();
