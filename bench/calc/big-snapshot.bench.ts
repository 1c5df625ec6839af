// SPDX-License-Identifier: Apache-2.0
/**
 * 250,000 remote and 200 local endpoints in 100 namespaces under 10,000 policies of 5 rules: until in sync, then one change
 * at a time, then the local endpoints go. Felix's `Snapshot200Local250kTotal10000TagPols` and `SnapshotThenDelete`.
 *
 *     node bench/calc/big-snapshot.bench.ts [ENDPOINTS] [POLICIES]
 */
import type { CalcGraph } from '../../src/calc/graph.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import type { Update } from '../../src/model/types.ts';
import { printTable } from '../machine.ts';
import { type ChangeKind, changeHeader, changeRow } from './change-cost.ts';
import {
  asParsed,
  localNode,
  markedEndpoint,
  markedEndpoints,
  markerOf,
  namespaceProfiles,
  policy,
  profile,
  rule,
  tagPolicies,
  tagPolicy,
} from './inputs.ts';
import { figureRows, runToInSync } from './snapshot.ts';

const [endpoints = 250_000, policies = 10_000] = process.argv.slice(2).map(Number);
const locals = 200;

const { graph, figures } = runToInSync(() => [
  tagPolicies(policies),
  namespaceProfiles(100),
  markedEndpoints(endpoints, 'remote'),
  markedEndpoints(locals, 'local'),
]);
printTable(
  `calculation graph: ${endpoints} remote and ${locals} local endpoints, ${policies} policies of 5 rules`,
  figureRows(figures, { seconds: 'at most 3 (Felix 5.8 to 7.4)', peak: 'at most 900 (Felix 920)' }),
);

/** Of the pod that stands at `i`, with labels of its own choice. */
function relabelled(i: number): Update {
  return markedEndpoint(`wep-${i}`, 'remotehost', i % 100);
}

function askingFor(i: number, label: string): Update {
  return policy(`tag-pol-${i}`, {
    selector: `has(${markerOf(i)})`,
    ingress: [rule({ source: { selector: `${label} == "value-1"` } })],
  });
}

const changes: readonly ChangeKind[] = [
  {
    name: 'remote pod added',
    rounds: 1000,
    make: (i) => markedEndpoint(`new-${i}`, 'remotehost', i % 100),
    goal: 'p99 under 1,000',
  },
  {
    name: 'local pod added',
    rounds: 200,
    make: (i) => markedEndpoint(`new-${i}`, localNode, i % 100),
    goal: 'p99 under 1,000',
  },
  { name: 'remote pod relabelled', rounds: 1000, make: relabelled, goal: 'p99 under 1,000' },
  {
    name: 'local pod relabelled',
    rounds: 200,
    make: (i) => markedEndpoint(`wep-${i}`, localNode, i % 100),
    goal: 'p99 under 1,000',
  },
  {
    name: 'namespace label changed',
    rounds: 200,
    make: (i) =>
      profile(`kns.namespace-${i % 100}`, {
        'pcns.projectcalico.org/name': `namespace-${i % 100}`,
        'pcns.round': String(i),
      }),
    goal: '',
  },
  {
    name: 'policy changed: a rule',
    rounds: 300,
    make: (i) =>
      policy(`tag-pol-${i}`, {
        selector: `has(${markerOf(i)})`,
        ingress: [rule({ source: { selector: `has(${markerOf(i + 7)})` } })],
      }),
    goal: 'p99 under 5,000',
  },
  {
    name: 'policy changed: its selector',
    rounds: 300,
    make: (i) =>
      policy(`tag-pol-${i}`, {
        selector: `has(${markerOf(i + 3)})`,
        ingress: [rule({ source: { selector: `has(${markerOf(i + 7)})` } })],
      }),
    goal: 'p99 under 5,000',
  },
  {
    name: 'policy changed: asks for a label that no pod has',
    rounds: 300,
    make: (i) => askingFor(i, `owner-${i}`),
    goal: 'p99 under 5,000',
  },
  {
    name: 'policy changed: first to ask for a label that every pod has',
    rounds: 5,
    make: (i) => askingFor(i, `one-in-${[10, 11, 20, 30, 40][i]}`),
    goal: '',
  },
  {
    name: 'profile changed: a rule',
    rounds: 200,
    make: (i) => {
      const name = `namespace-${i % 100}`;
      const labels = { 'pcns.projectcalico.org/name': name };
      return profile(`kns.${name}`, labels, [rule({ source: { selector: `has(${markerOf(i)})` } })]);
    },
    goal: '',
  },
  {
    name: 'nothing changed: a pod as it was',
    rounds: 1000,
    make: () => asParsed(lastPod),
    goal: 'no message, under 50',
  },
  {
    name: 'nothing changed: a policy as it was',
    rounds: 300,
    make: () => tagPolicy(policies - 1),
    goal: 'no message, under 50',
  },
];
const lastPod = markedEndpoint('wep-9999', 'remotehost', 99);
graph.onUpdates([lastPod]);
graph.flush(() => {});
printTable('one change in that cluster', [
  changeHeader,
  ...changes.map((change) => changeRow(graph, change)),
]);

printTable('the local endpoints go', [['seconds', 'messages'], deleteLocals(graph)]);

function deleteLocals(from: CalcGraph): (string | number)[] {
  let messages = 0;
  const gone = ['wep', 'new'].flatMap((stem) =>
    Array.from({ length: locals }, (_, i) => ({
      kind: 'WorkloadEndpoint' as const,
      path: `WorkloadEndpoint/${localNode}/${stem}-${i}` as KeyPath,
      value: null,
    })),
  );
  const start = performance.now();
  from.onUpdates(gone);
  from.flush(() => messages++);
  return [(performance.now() - start) / 1000, String(messages)];
}
