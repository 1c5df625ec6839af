// SPDX-License-Identifier: Apache-2.0
/** A whole cluster into a graph, measured: seconds, messages, and the memory of inputs and graph. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { buildGraph, type CalcGraph } from '../../src/calc/graph.ts';
import type { DataplaneMessage } from '../../src/contract/dataplane.ts';
import type { Update } from '../../src/model/types.ts';
import { localNode } from './inputs.ts';

/** In the order in which they are fed. */
export type Snapshot = readonly (readonly Update[])[];

export interface Figures {
  readonly seconds: number;
  readonly messages: number;
  readonly policies: number;
  readonly sets: number;
  readonly members: number;
  /** Largest resident size of the process until in-sync; the inputs are in it, as in Felix's figure. */
  readonly peakMegabytes: number;
  /** Heap that the generated inputs take. */
  readonly inputMegabytes: number;
  /** Heap after in-sync, inputs let go but for what the graph keeps of them. */
  readonly keptMegabytes: number;
  /** Of that, divided by the endpoints. */
  readonly bytesPerEndpoint: number;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** @param make - called once; the caller keeps no other reference, so that what the graph keeps can be told apart. */
export function runToInSync(make: () => Snapshot): { graph: CalcGraph; figures: Figures } {
  const base = heapMegabytes();
  let snapshot: Snapshot = make();
  const inputMegabytes = heapMegabytes() - base;
  const endpoints = snapshot.flat().filter(({ kind }) => kind === 'WorkloadEndpoint').length;
  const counts = new Counts();
  collectGarbage();
  const start = performance.now();
  const graph = buildGraph({ node: localNode });
  for (const updates of snapshot) graph.onUpdates(updates);
  graph.onStatus('in-sync');
  graph.flush((message) => counts.add(message));
  const seconds = (performance.now() - start) / 1000;
  const peakMegabytes = process.resourceUsage().maxRSS / 1024;
  snapshot = [];
  const keptMegabytes = heapMegabytes() - base;
  const bytesPerEndpoint = (keptMegabytes * 2 ** 20) / endpoints;
  const { messages, policies, sets, members } = counts;
  return {
    graph,
    figures: {
      seconds,
      messages,
      policies,
      sets,
      members,
      peakMegabytes,
      inputMegabytes,
      keptMegabytes,
      bytesPerEndpoint,
    },
  };
}

class Counts {
  messages = 0;
  policies = 0;
  sets = 0;
  members = 0;

  add(message: DataplaneMessage): void {
    this.messages++;
    if (message.kind === 'policy-update') this.policies++;
    if (message.kind === 'ipset-update') {
      this.sets++;
      this.members += message.set.members.length;
    }
  }
}

function heapMegabytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

export function figureRows(figures: Figures, goal: { seconds: string; peak: string }): (string | number)[][] {
  return [
    ['figure', 'measured', 'goal'],
    ['seconds to in-sync', figures.seconds, goal.seconds],
    ['peak resident MB, inputs included', figures.peakMegabytes, goal.peak],
    ['heap MB of the inputs', figures.inputMegabytes, ''],
    ['heap MB that the graph keeps', figures.keptMegabytes, ''],
    ['bytes per endpoint, everything counted', String(Math.round(figures.bytesPerEndpoint)), ''],
    ['messages', String(figures.messages), ''],
    ['policies', String(figures.policies), ''],
    ['sets', String(figures.sets), ''],
    ['members of sets', String(figures.members), ''],
  ];
}
