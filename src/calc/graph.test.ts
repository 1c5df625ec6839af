// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expansions, type Step } from '../../test/support/expand.ts';
import { MockDataplane } from '../../test/support/mock-dataplane.ts';
import type { DataplaneMessage } from '../contract/dataplane.ts';
import { buildGraph, type CalcGraph } from './graph.ts';
import { allStates } from './states/all.ts';
import { endpoint, node, policy, profile, rule } from './states/build.ts';
import { emptyState, type Picture, type State } from './states/state.ts';

test('there are states enough, each with its own name', () => {
  assert.ok(allStates.length >= 25);
  assert.equal(new Set(allStates.map(({ name }) => name)).size, allStates.length);
});

for (const [i, from] of allStates.entries()) {
  test(`from '${from.name}' to every later state and back`, () => {
    for (const to of allStates.slice(i)) {
      for (const expansion of expansions) {
        walk(`${expansion.name}: ${from.name} -> ${to.name}`, expansion.expand([from, to, from], emptyState));
      }
    }
  });
}

for (const expansion of expansions) {
  test(`all states one after the other, ${expansion.name}`, () => {
    walk(expansion.name, expansion.expand(allStates, emptyState));
  });
}

test('nothing is said before the syncer is in sync; in-sync comes last, and once', () => {
  const graph = buildGraph({ node: 'local' });
  graph.onUpdates([endpoint('a/x', ['10.0.0.1'])]);
  graph.onStatus('resync');
  assert.deepEqual(kindsOf(flushed(graph)), []);
  graph.onStatus('in-sync');
  assert.deepEqual(kindsOf(flushed(graph)), ['config-update', 'endpoint-update', 'in-sync']);
  graph.onStatus('in-sync');
  assert.deepEqual(flushed(graph), []);
  graph.onStatus('wait-for-ready'); // the store is lost: nothing changes, and what comes is still told
  assert.deepEqual(flushed(graph), []);
  graph.onUpdates([endpoint('a/y', ['10.0.0.2'])]);
  assert.deepEqual(kindsOf(flushed(graph)), ['endpoint-update']);
});

test('what is added and removed within one flush leaves no message', () => {
  const graph = inSync();
  const [pod, allow] = [endpoint('a/x', ['10.0.0.1']), policy('p', { ingress: [rule('allow')] })];
  graph.onUpdates([pod, allow]);
  graph.onUpdates([{ ...pod, value: null } as typeof pod, { ...allow, value: null } as typeof allow]);
  assert.deepEqual(flushed(graph), []);
});

test('a change that does not reach this node says nothing', () => {
  const graph = inSync();
  graph.onUpdates([
    endpoint('a/x', ['10.0.0.1'], { labels: { a: '1' } }),
    policy('p', { selector: 'has(b)' }),
  ]);
  flushed(graph);
  graph.onUpdates([
    endpoint('a/x', ['10.0.0.1'], { labels: { a: '2' } }),
    policy('p', { selector: 'has(c)', order: 7 }),
    profile('unused', { x: 'y' }),
    node('far', '192.0.2.9'),
  ]);
  assert.deepEqual(flushed(graph), []);
});

test('a member more is one delta', () => {
  const graph = inSync();
  const fromAll = policy('p', { ingress: [rule('allow', { from: { selector: 'all()' } })] });
  graph.onUpdates([endpoint('a/x', ['10.0.0.1']), fromAll]);
  flushed(graph);
  graph.onUpdates([endpoint('a/y', ['10.0.0.2'], { node: 'far' })]);
  const [delta, ...others] = flushed(graph);
  assert.equal(others.length, 0);
  assert.ok(delta?.kind === 'ipset-delta');
  assert.deepEqual([delta.add, delta.remove], [['10.0.0.2/32'], []]);
});

test('the graph describes itself', () => {
  const nodes = buildGraph({ node: 'local' }).describe();
  const names = nodes.map(({ name }) => name);
  assert.deepEqual(
    nodes.flatMap(({ feeds }) => feeds).filter((name) => !names.includes(name)),
    [],
  );
  assert.ok(nodes.some(({ consumes }) => consumes.includes('Policy')));
});

function walk(name: string, steps: readonly Step<State>[]): void {
  const graph = inSync();
  const dataplane = new MockDataplane();
  for (const { state, batches } of steps) {
    for (const batch of batches) {
      graph.onUpdates(batch);
      dataplane.onFlush(flushed(graph));
    }
    assert.deepEqual(dataplane.picture(), { ...nothing, ...state.expected }, `${name}, at '${state.name}'`);
  }
}

const nothing: Required<Picture> = {
  sets: {},
  policies: {},
  profiles: {},
  endpoints: {},
  hostEndpoints: {},
  routes: {},
};

function inSync(): CalcGraph {
  const graph = buildGraph({ node: 'local' });
  graph.onStatus('in-sync');
  flushed(graph);
  return graph;
}

function flushed(graph: CalcGraph): DataplaneMessage[] {
  const messages: DataplaneMessage[] = [];
  graph.flush((message) => messages.push(message));
  return messages;
}

function kindsOf(messages: readonly DataplaneMessage[]): string[] {
  return messages.map(({ kind }) => kind);
}
