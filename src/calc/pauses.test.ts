// SPDX-License-Identifier: Apache-2.0
/** A flush may pause anywhere, and updates may come meanwhile: what is said stays safe and ends the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absent, expansions } from '../../test/support/expand.ts';
import { MockDataplane } from '../../test/support/mock-dataplane.ts';
import { Random, seedOfRun } from '../../test/support/random.ts';
import type { DataplaneMessage } from '../contract/dataplane.ts';
import type { Update } from '../model/types.ts';
import { buildGraph, type CalcGraph } from './graph.ts';
import { inOrder } from './in-order.ts';
import { allStates } from './states/all.ts';
import { endpoint, node, policy, profile, rule } from './states/build.ts';
import { emptyState } from './states/state.ts';

const random = new Random(seedOfRun('pauses'));

test('pauses change no message, in whatever way the states follow each other', () => {
  for (const { expand, name } of expansions) {
    const [plain, pausing] = [inSync(), inSync()];
    for (const { state, batches } of expand(allStates, emptyState)) {
      for (const batch of batches) {
        plain.onUpdates(batch);
        pausing.onUpdates(batch);
        assert.deepEqual(flushedWithPauses(pausing), flushed(plain), `${name}, at '${state.name}'`);
      }
    }
  }
});

test('pauses change no message of a larger cluster, as it comes, changes and goes', () => {
  const [plain, pausing] = [inSync(), inSync()];
  const came = cluster();
  const changed = cluster().filter(() => random.chance(0.3));
  let paused = 0;
  for (const batch of [came, changed, came.map(absent)]) {
    plain.onUpdates(batch);
    pausing.onUpdates(batch);
    const messages: DataplaneMessage[] = [];
    while (
      !pausing.flush(
        (message) => messages.push(message),
        () => random.chance(0.5),
      )
    )
      paused++;
    assert.deepEqual(messages, flushed(plain));
  }
  assert.ok(paused > 100, `paused ${paused} times`);
});

test('however often a flush pauses, what it says comes in one turn: an apply between turns sees all or nothing', () => {
  const graph = inSync();
  const came = cluster();
  for (const batch of [came, cluster(), came.map(absent)]) {
    graph.onUpdates(batch);
    const turns: number[] = [];
    for (let isDone = false; !isDone; ) {
      let messages = 0;
      isDone = graph.flush(
        () => messages++,
        () => true,
      );
      turns.push(messages);
    }
    assert.ok(turns.length > 100, `paused ${turns.length} times`);
    assert.equal(turns.filter((messages) => messages > 0).length, 1, `${turns.filter(Boolean)}`);
  }
});

test('what is told at once while a flush pauses is said at once: a label and the selector that follows it', () => {
  const graph = inSync();
  const pod = (app: string) => endpoint('ns/pod', ['10.1.0.1'], { labels: { app } });
  const guard = (app: string) => policy('guard', { selector: `app == "${app}"`, ingress: [rule('deny')] });
  graph.onUpdates([pod('old'), guard('old')]);
  flushed(graph);
  const lists: string[] = [];
  const noted = (message: DataplaneMessage) => {
    if (message.kind === 'endpoint-update')
      lists.push(message.endpoint.tiers.flatMap((tier) => tier.ingress).join());
  };
  const far = { node: 'far' };
  graph.onUpdates(
    Array.from({ length: 1000 }, (_, i) => endpoint(`ns/far${i}`, [`10.2.${i >> 8}.${i & 255}`], far)),
  );
  assert.equal(
    graph.flush(noted, () => true),
    false,
    'paused among the endpoints',
  );
  graph.onUpdates([pod('new'), guard('new')]);
  while (!graph.flush(noted, () => true));
  assert.ok(!lists.includes(''), `lists of the pod: ${lists.map((list) => list || 'none')}`);
});

test('what is told while a flush pauses is said after it; every message is safe, and the end is the same', () => {
  for (let run = 0; run < 6; run++) {
    const graph = buildGraph({ node: 'local' });
    const dataplane = new MockDataplane();
    const emit = (message: DataplaneMessage) => dataplane.onMessage(message);
    const updates = [...cluster(), ...cluster()];
    const left = updates.flatMap((update) => (random.chance(0.2) ? [update, absent(update)] : [update]));
    const state = new Map(left.map((update) => [update.path, update]));
    while (left.length > 0) {
      graph.onUpdates(left.splice(0, 1 + random.below(300)));
      if (left.length === 0) graph.onStatus('in-sync');
      if (random.chance(0.1)) graph.onStatus('in-sync');
      for (let pauses = random.below(6); pauses > 0; pauses--) graph.flush(emit, () => random.chance(0.2));
    }
    while (!graph.flush(emit, () => random.chance(0.2)));
    const expected = new MockDataplane();
    const fresh = inSync();
    fresh.onUpdates([...state.values()]);
    expected.onFlush(flushed(fresh));
    assert.deepEqual(dataplane.picture(), expected.picture());
    assert.equal(dataplane.inSyncCount, 1);
  }
});

test('in-sync is said when all that came before it is', () => {
  const graph = buildGraph({ node: 'local' });
  graph.onUpdates(cluster());
  assert.equal(
    graph.flush(
      () => assert.fail('nothing is said yet'),
      () => true,
    ),
    false,
  );
  graph.onUpdates([endpoint('late/x', ['10.9.9.9'])]);
  graph.onStatus('in-sync');
  const messages = flushedWithPauses(graph);
  assert.deepEqual(messages.at(-1), { kind: 'in-sync' });
  assert.ok(messages.some((message) => 'id' in message && message.id === 'WorkloadEndpoint/late/x'));
});

test('long lists are sorted in steps as they would be at once', () => {
  for (const length of [0, 1, 4096, 4097, 20_000]) {
    const values = Array.from({ length }, () =>
      String.fromCodePoint(97 + random.below(26), random.below(0x10ffff)),
    );
    const work = inOrder(values);
    let step = work.next();
    let steps = 0;
    for (; !step.done; step = work.next()) steps++;
    assert.deepEqual(step.value, [...values].sort());
    assert.equal(steps > 0, length > 4096);
  }
});

/** Enough of everything for pauses in all loops. */
function cluster(): Update[] {
  const label = () => ({ [`l${random.below(5)}`]: `v${random.below(3)}`, app: `a${random.below(4)}` });
  const peer = () => ({
    selector: `l${random.below(5)} == "v${random.below(3)}" || has(t${random.below(3)})`,
  });
  return [
    ...Array.from({ length: 40 }, (_, i) => profile(`p${i}`, { [`t${i % 3}`]: `${random.below(2)}` })),
    ...Array.from({ length: 300 }, (_, i) =>
      endpoint(`ns/e${i}`, [`10.0.${i >> 8}.${i & 255}`], {
        node: i % 5 ? 'far' : 'local',
        labels: label(),
        profiles: [`p${random.below(40)}`],
      }),
    ),
    ...Array.from({ length: 60 }, (_, i) =>
      policy(`q${i}`, {
        selector: `app == "a${random.below(4)}"`,
        order: random.below(3),
        ingress: [rule('allow', { from: peer() })],
      }),
    ),
    node('far', '192.0.2.1'),
  ];
}

function inSync(): CalcGraph {
  const graph = buildGraph({ node: 'local' });
  graph.onStatus('in-sync');
  return graph;
}

function flushed(graph: CalcGraph): DataplaneMessage[] {
  const messages: DataplaneMessage[] = [];
  assert.equal(
    graph.flush((message) => messages.push(message)),
    true,
  );
  return messages;
}

function flushedWithPauses(graph: CalcGraph): DataplaneMessage[] {
  const messages: DataplaneMessage[] = [];
  while (
    !graph.flush(
      (message) => messages.push(message),
      () => random.chance(0.5),
    )
  );
  return messages;
}
