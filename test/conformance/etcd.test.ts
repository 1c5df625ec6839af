// SPDX-License-Identifier: Apache-2.0
import { after, before } from 'node:test';
import { EtcdCluster } from '../support/etcd.ts';
import { type DatastoreRig, datastoreConformance } from './datastore.ts';

let single: EtcdCluster;
before(async () => {
  single = await EtcdCluster.start();
});
after(() => single[Symbol.asyncDispose]());

/** Empty again, on the same server. */
async function rigOn(cluster: EtcdCluster): Promise<DatastoreRig> {
  cluster.etcdctl('del', '--prefix', '/calico/');
  const store = cluster.open();
  return {
    store,
    reopen: async () => cluster.open(),
    compact: () => cluster.compact(),
    restart: () => cluster.restart(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

datastoreConformance('etcd', () => rigOn(single));
