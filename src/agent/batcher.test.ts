// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { globalPolicy, namespace } from '../../test/support/resources.ts';
import { service } from '../../test/support/services.ts';
import { buildGraph, type CalcGraph } from '../calc/graph.ts';
import type { Datastore, Stored } from '../contract/datastore.ts';
import { StoreSyncer } from '../datastore/syncer.ts';
import type { Revision } from '../lib/brand.ts';
import { RevisionGoneError } from '../lib/errors.ts';
import { keyOf } from '../model/kinds.ts';
import type { Resource } from '../model/types.ts';
import { ServiceGraph } from '../services/graph.ts';
import { Batcher } from './batcher.ts';

const revision = '7' as Revision;
const stored = (resource: Resource): Stored => ({ key: keyOf(resource), resource, revision });
const denying = (name: string) =>
  stored(globalPolicy(name, { selector: 'all()', types: ['Ingress'], ingress: [{ action: 'Deny' }] }));
const host = stored({
  apiVersion: 'projectcalico.org/v3',
  kind: 'HostEndpoint',
  metadata: { name: 'h' },
  spec: { node: 'n1', interfaceName: 'eth0', profiles: ['projectcalico-default-allow'] },
});
const namespaces = Array.from({ length: 1000 }, (_, i) => stored(namespace(`n-${i}`)));

/** A store that was away, and what it holds now, in this order. */
function storeOf(lists: Stored[][]): Pick<Datastore, 'snapshot' | 'watch'> {
  return {
    snapshot: async () => ({ items: lists.shift() ?? assert.fail('nothing more to list'), revision }),
    watch: async function* (_, signal) {
      for (let turn = 0; turn < 5; turn++) await nextTurn();
      if (lists.length > 0) throw new RevisionGoneError('compacted');
      yield [{ type: 'bookmark', revision }];
      if (signal.aborted) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
}

test('what changed while the store was away comes at once: nothing is open between two policies', async () => {
  const stop = new AbortController();
  const lists: string[] = [];
  let list = '';
  const batcher = new Batcher(
    buildGraph({ node: 'n1' }),
    (message) => {
      if (message.kind !== 'host-endpoint-update') return;
      list = message.endpoint.tiers.flatMap((tier) => tier.ingress).join();
    },
    {
      onStatus: () => {},
      onFlush: () => {
        if (list !== lists.at(-1)) lists.push(list);
        if (list.endsWith('b')) stop.abort();
      },
    },
  );
  const store = storeOf([
    [host, denying('a')],
    [host, ...namespaces, denying('b')],
  ]);
  await new StoreSyncer(store as Datastore).run(batcher, stop.signal);
  assert.deepEqual(lists, ['', 'GlobalNetworkPolicy/a', 'GlobalNetworkPolicy/b']);
});

test('a flush that pauses goes on in later turns, and is reported once, with all its messages', async () => {
  const flushed: number[] = [];
  let calls = 0;
  const graph: Pick<CalcGraph, 'onUpdates' | 'onStatus' | 'flush'> = {
    onUpdates: () => {},
    onStatus: () => {},
    flush: (emit, shouldPause) => {
      assert.equal(shouldPause?.(), false, 'a turn begins with time left');
      emit({ kind: 'in-sync' });
      return ++calls === 3;
    },
  };
  const batcher = new Batcher(graph as CalcGraph, () => {}, {
    onStatus: () => {},
    onFlush: (messages) => flushed.push(messages),
  });
  batcher.onUpdates([]);
  batcher.onUpdates([]);
  const callsByTurn: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    await nextTurn();
    callsByTurn.push(calls);
  }
  assert.deepEqual(callsByTurn, [1, 2, 3, 3, 3]);
  assert.deepEqual(flushed, [3]);
});

test('services are told in the same turn, before what the graph says, and counted with it', async () => {
  const said: string[] = [];
  const batcher = new Batcher(
    buildGraph({ node: 'n1' }),
    (message) => said.push(message.kind),
    { onStatus: () => {}, onFlush: (messages) => said.push(`${messages} flushed`) },
    { graph: new ServiceGraph({ node: 'n1' }), emit: (message) => said.push(message.kind) },
  );
  const web = service('shop/web');
  batcher.onResources([{ key: keyOf(web), resource: web }]);
  await nextTurn();
  assert.deepEqual(said.splice(0), ['0 flushed']);
  batcher.onStatus('in-sync');
  await nextTurn();
  assert.deepEqual(said.splice(0), [
    'translation-update',
    'service-update',
    'config-update',
    'in-sync',
    '4 flushed',
  ]);
});

test('a change of which nothing becomes is flushed too: its revision is in force at once', async () => {
  const flushed: number[] = [];
  const batcher = new Batcher(buildGraph({ node: 'n1' }), () => {}, {
    onStatus: () => {},
    onFlush: (messages) => flushed.push(messages),
  });
  batcher.onResources([{ key: keyOf(service('shop/web')), resource: null }]);
  await nextTurn();
  assert.deepEqual(flushed, [0]);
});
