// SPDX-License-Identifier: Apache-2.0
/**
 * What a data plane costs: CPU time of the whole machine per round trip and per connection, pod to pod on one node, against the
 * same path without any filter, all measured in turns within one run.
 *
 *     node bench/dataplane-cost.bench.ts [ROUNDS] [nftables|ebpf]     as root, on an idle machine; wants gcc
 */
import { median, printTable } from './machine.ts';
import { filteredPath, measure, type Path, plainPath, ratioTo, type Shape } from './path.ts';

const rounds = Number(process.argv[2] ?? 7);
const name = process.argv[3] === 'ebpf' ? 'ebpf' : 'nftables';
const roundTrips = 60_000;
const connections = 8_000;

const filtered = (count: number, shape: Shape) => () => filteredPath(name, count, shape);
const variants: readonly (readonly [string, () => Promise<Path>])[] = [
  ['plain', () => plainPath()],
  ['1 policy', filtered(1, 'a port each')],
  ['100 policies, a port each', filtered(100, 'a port each')],
  ['1,000 policies, a port each', filtered(1000, 'a port each')],
  ['100 policies, one port, a source each', filtered(100, 'one port, a source each')],
  ['1,000 policies, one port, a source each', filtered(1000, 'one port, a source each')],
  ['1,000 policies, allow and deny in turn', filtered(1000, 'one port, allow and deny in turn')],
];

const measured = await measure(variants, rounds, [
  ['rr', roundTrips],
  ['crr', connections],
]);
const [plain] = measured;
printTable(`What the ${name} data plane costs (${rounds} rounds, medians)`, [
  ['path', 'us per round trip', 'ratio', 'us per connection', 'ratio'],
  ...measured.map((variant) => [
    variant.name,
    median(variant.values.rr),
    ratioTo(plain, variant, 'rr'),
    median(variant.values.crr),
    ratioTo(plain, variant, 'crr'),
  ]),
]);
for (const { path } of measured) await path[Symbol.asyncDispose]();
