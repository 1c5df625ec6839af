// SPDX-License-Identifier: Apache-2.0
/**
 * The index of selectors and labels with the members that follow from it: one endpoint, one selector, one profile at a time.
 * Felix's felix/labelindex/named_port_bench_test.go; figures are means, as Go's are, the first call included. Each is the
 * best of five, since the first are compiled while they run and Go's are not.
 *
 *     node bench/calc/label-index.bench.ts
 */
import { IpSetMembers } from '../../src/calc/ip-set-members.ts';
import { type LabelSelector, tryCompileSelector } from '../../src/calc/selectors.ts';
import { Sequencer } from '../../src/calc/sequencer.ts';
import type { IpSetId } from '../../src/lib/brand.ts';
import type { Update } from '../../src/model/types.ts';
import { printTable } from '../machine.ts';
import { endpoint, profile } from './inputs.ts';

type Row = (string | number)[];

function newMembers(): IpSetMembers {
  return new IpSetMembers(new Sequencer());
}

function tell(members: IpSetMembers, update: Update): void {
  if (update.kind === 'WorkloadEndpoint') members.onChange({ ...update, previous: null });
  else if (update.kind === 'Profile') members.onChange({ ...update, previous: null });
  finish(members);
}

function selectorOf(text: string): LabelSelector {
  const compiled = tryCompileSelector(text);
  if (!compiled) throw new TypeError(`cannot parse ${text}`);
  return compiled;
}

function finish(members: IpSetMembers): void {
  for (const _ of members.flush());
}

function addSet(members: IpSetMembers, i: number, selector: LabelSelector): void {
  members.addSet({ kind: 'labels', id: `s:${i}` as IpSetId, selector, port: null });
  finish(members);
}

function labelled(i: number): Update {
  return endpoint(`ns/wep-${i}`, 'host', `namespace-${i}`, { alpha: 'beta', 'ipset-1': 'true' });
}

function bestOf(runs: number, run: () => Row): Row {
  const rows = Array.from({ length: runs }, run);
  return rows.reduce((best, row) => (Number(row[2]) < Number(best[2]) ? row : best));
}

function meanMicroseconds(count: number, work: (i: number) => void): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) work(i);
  return ((performance.now() - start) * 1000) / count;
}

/** One fixed equality that all selectors share and a label for each, of which the endpoint has one. */
function endpointUpdates(selectors: number, goal: string): Row {
  const members = newMembers();
  for (let i = 0; i < selectors; i++) addSet(members, i, selectorOf(`alpha == "beta" && has(ipset-${i})`));
  const updates = Array.from({ length: 20_000 }, (_, i) => labelled(i));
  const mean = meanMicroseconds(updates.length, (i) => tell(members, updates[i] as Update));
  return ['one endpoint added', `${selectors} selectors`, mean, goal];
}

function selectorUpdates(endpoints: number, goal: string): Row {
  const members = newMembers();
  for (let i = 0; i < endpoints; i++) tell(members, labelled(i));
  const selectors = Array.from({ length: endpoints > 10_000 ? 200 : 2_000 }, (_, i) =>
    selectorOf(`alpha == "beta" && has(ipset-${i % 10})`),
  );
  const mean = meanMicroseconds(selectors.length, (i) => addSet(members, i, selectors[i] as LabelSelector));
  return ['one selector added', `${endpoints} endpoints`, mean, goal];
}

function profileUpdates(endpoints: number, goal: string): Row {
  const members = newMembers();
  for (let i = 0; i < endpoints; i++) tell(members, labelled(i));
  for (let i = 0; i < 100; i++) addSet(members, i, selectorOf(`projectcalico.org/name == "namespace-${i}"`));
  const updates = Array.from({ length: endpoints }, (_, i) =>
    profile(`namespace-${i}`, {
      'projectcalico.org/name': `namespace-${i}`,
      'update-idx': String(i),
      'something-shared': 'foo',
    }),
  );
  const mean = meanMicroseconds(updates.length, (i) => tell(members, updates[i] as Update));
  return ['one namespace labelled', `${endpoints} endpoints, 100 selectors`, mean, goal];
}

printTable('label index, microseconds, means, best of five', [
  ['change', 'against', 'us', 'goal'],
  bestOf(5, () => endpointUpdates(10, 'at most 5 (Felix 7.6)')),
  bestOf(5, () => endpointUpdates(100, 'at most 8 (Felix 25)')),
  bestOf(5, () => endpointUpdates(1_000, 'at most 15 (Felix 302)')),
  bestOf(5, () => endpointUpdates(10_000, 'at most 50 (Felix 4,650)')),
  bestOf(5, () => selectorUpdates(100, 'at most 5.5 (Felix 11)')),
  bestOf(5, () => selectorUpdates(1_000, 'at most 36 (Felix 72)')),
  bestOf(5, () => selectorUpdates(10_000, 'at most 370 (Felix 741)')),
  bestOf(5, () => selectorUpdates(100_000, 'at most 6,350 (Felix 12,700)')),
  bestOf(5, () => profileUpdates(100_000, 'at most 8 (Felix 8.3)')),
]);
