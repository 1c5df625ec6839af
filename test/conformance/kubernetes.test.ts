// SPDX-License-Identifier: Apache-2.0
import { TestCluster } from '../support/kubernetes.ts';
import { type DatastoreRig, datastoreConformance } from './datastore.ts';

async function makeRig(): Promise<DatastoreRig> {
  const cluster = await TestCluster.start();
  const store = cluster.open();
  return {
    store,
    reopen: async () => cluster.open(),
    compact: async () => cluster.server.store.compact(),
    restart: async () => {
      await cluster.down();
      await cluster.up();
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

datastoreConformance('kubernetes', makeRig);
