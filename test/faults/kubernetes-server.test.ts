// SPDX-License-Identifier: Apache-2.0
/**
 * A Kubernetes API that does not answer, refuses, ends watches, loses and delays events, under a syncer and a writer that
 * does not rest. After each fault the cache holds what a list holds, and nothing that lived all the time was told absent.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesScene } from '../support/kubernetes-scene.ts';
import { Random, seedOfRun } from '../support/random.ts';

suite('a Kubernetes API', { concurrency: true, timeout: 120_000 }, () => {
  test('half-open: connections stay, nothing comes; noticed within 10 s', async () => {
    await using scene = await KubernetesScene.open();
    scene.cluster.server.faults.freeze();
    await scene.noticed();
    scene.cluster.server.faults.thaw();
    await scene.settled();
  });

  test('GOAWAY, and frozen after it: watches go on, and the end of them is noticed', async () => {
    await using scene = await KubernetesScene.open();
    const { length } = scene.cache.statuses;
    await delay(1000);
    scene.cluster.server.faults.goAway();
    await delay(1000);
    assert.equal(scene.cache.statuses.length, length);
    scene.cluster.server.faults.freeze();
    await scene.noticed();
    scene.cluster.server.faults.thaw();
    await scene.settled();
  });

  test('GOAWAY again and again, while watches end and begin: nobody lists again', async () => {
    await using scene = await KubernetesScene.open();
    const { length } = scene.cache.statuses;
    for (let i = 0; i < 20; i++) {
      scene.cluster.server.faults.goAway();
      if (i % 4 === 0) scene.cluster.server.faults.endWatches();
      await delay(50);
    }
    await scene.settled();
    assert.deepEqual(scene.cache.outages, []);
    assert.equal(scene.cache.statuses.length, length);
  });

  test('too busy (429, Retry-After): waited for, and no outage', async () => {
    await using scene = await KubernetesScene.open();
    const { faults } = scene.cluster.server;
    faults.next({ type: 'answer', status: 429, retryAfter: 1 }, { watch: true }, 20);
    faults.endWatches();
    await delay(1500);
    await scene.settled();
    assert.deepEqual(scene.cache.outages, []);
  });

  for (const status of [500, 503, 504] as const)
    test(`answers of ${status}, to requests and watches`, async () => {
      await using scene = await KubernetesScene.open();
      const { faults } = scene.cluster.server;
      for (let i = 0; i < 5; i++) {
        faults.next({ type: 'answer', status }, {}, 10);
        faults.endWatches();
        await delay(200);
      }
      faults.clear();
      await scene.settled();
      assert.ok(scene.cache.outages.length > 0, 'told');
    });

  test('connections reset under requests, and under writes that were done', async () => {
    await using scene = await KubernetesScene.open();
    const { faults } = scene.cluster.server;
    for (const type of ['reset', 'lost-answer'] as const) {
      for (let i = 0; i < 5; i++) {
        faults.next({ type }, { methods: ['POST', 'PUT', 'DELETE'] }, 3);
        faults.next({ type: 'reset' }, { watch: true });
        faults.endWatches();
        await delay(200);
      }
    }
    faults.clear();
    await scene.settled();
  });

  test('watches ended early at random: they go on behind what they told, and nobody lists again', async () => {
    await using scene = await KubernetesScene.open();
    const random = new Random(seedOfRun('kubernetes-watches'));
    const { length } = scene.cache.statuses;
    for (let i = 0; i < 20; i++) {
      scene.cluster.server.faults.endWatches();
      await delay(random.below(200));
    }
    await scene.settled();
    assert.deepEqual(scene.cache.outages, []);
    assert.equal(scene.cache.statuses.length, length);
  });

  test('events lost: the audit finds them', async () => {
    let repaired = 0;
    await using scene = await KubernetesScene.open({
      syncer: {
        auditMs: 300,
        onAudit: (found) => {
          repaired += found;
        },
      },
    });
    scene.cluster.server.faults.events = { type: 'silent' };
    await delay(1500);
    scene.cluster.server.faults.events = { type: 'prompt' };
    await scene.settled();
    assert.ok(repaired > 0);
  });

  test('events half a second late, and audits meanwhile: late, never wrong', async () => {
    await using scene = await KubernetesScene.open({ syncer: { auditMs: 200 } });
    scene.cluster.server.faults.events = { type: 'late', milliseconds: 500 };
    await delay(2500);
    scene.cluster.server.faults.events = { type: 'prompt' };
    await scene.settled();
  });

  test('compacted under the watch: a list, and only the difference', async () => {
    await using scene = await KubernetesScene.open();
    const { length } = scene.cache.statuses;
    scene.cluster.server.store.compact();
    scene.cluster.server.faults.endWatches();
    await delay(1000);
    await scene.settled();
    assert.ok(scene.cache.statuses.length > length, 'it listed again');
  });
});
