// SPDX-License-Identifier: Apache-2.0
/** A Kubernetes API that comes back with another past: restored from an older copy, or with nothing in it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { HeldDeletion } from '../../src/datastore/mass-deletion.ts';
import { tier } from '../conformance/datastore.ts';
import { KubernetesScene } from '../support/kubernetes-scene.ts';

suite('the history of a Kubernetes API', { concurrency: true, timeout: 120_000 }, () => {
  test('restored from an older copy: resource versions go back, and it is believed after a while', async () => {
    await using scene = await KubernetesScene.open();
    const { cluster } = scene;
    cluster.backUp();
    await delay(1000);
    await scene.churn[Symbol.asyncDispose]();
    const before = cluster.server.store.revision;
    await cluster.down();
    cluster.restore();
    await cluster.up();
    assert.ok(cluster.server.store.revision < before);
    await scene.settled(30_000);
  });

  test('restored, and written past its old revision before anybody looks: what was older in it counts', async () => {
    await using scene = await KubernetesScene.open({ syncer: { auditMs: 500 } });
    const { cluster } = scene;
    cluster.backUp();
    await delay(500);
    await scene.churn[Symbol.asyncDispose]();
    await scene.cache.settled(scene.writer, scene.churn.lasting);
    const before = cluster.server.store.revision;
    const kubeconfig = cluster.server.adminKubeconfig();
    cluster.writeKubeconfig(kubeconfig.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    await cluster.down();
    cluster.restore();
    await cluster.up();
    const names = Array.from({ length: 300 }, (_, i) => `after-${i}`);
    await Promise.all(names.map((name) => scene.writer.create({ kind: 'Tier', name }, tier(name, 1))));
    assert.ok(cluster.server.store.revision > before);
    cluster.writeKubeconfig();
    await scene.settled(30_000);
  });

  test('wiped: nothing is told absent until somebody confirms', async () => {
    let held: readonly HeldDeletion[] = [];
    const onHeld = (now: readonly HeldDeletion[]) => {
      held = now;
    };
    await using scene = await KubernetesScene.open({ syncer: { auditMs: 500, onHeld } });
    const { cluster, cache, writer } = scene;
    await scene.churn[Symbol.asyncDispose]();
    await cache.settled(writer, scene.churn.lasting);
    const removed = cache.removed.size;
    await cluster.down();
    cluster.wipe();
    await cluster.up();
    await cluster.installDefinitions();
    while (!held.some(({ kind }) => kind === 'GlobalNetworkSet')) await delay(20);
    await delay(1500);
    const sets = [...cache.removed].slice(removed).filter((path) => path.startsWith('GlobalNetworkSet/'));
    assert.deepEqual(sets, [], 'over several audits');
    cache.confirmDeletions();
    await cache.settled(writer, []);
    assert.deepEqual(held, []);
  });
});
