// SPDX-License-Identifier: Apache-2.0
/** Where a lab's store is, of each kind. Apart from what runs the store, so that a command that only reads loads little. */
import type { DatastoreConfig } from '../datastore/config.ts';
import { assertNever } from '../lib/errors.ts';
import type { LabLayout } from './layout.ts';
import type { DatastoreName } from './spec.ts';

/** Servers listen on Unix sockets: the nodes' agents, each in a network of its own, reach them without crossing one. */
export function labDatastore(layout: LabLayout, name: DatastoreName): DatastoreConfig {
  switch (name) {
    case 'embedded':
      return { type: 'embedded', file: layout.datastore };
    case 'etcd':
      return { type: 'etcd', endpoints: [`unix://${layout.etcdSocket}`] };
    case 'kubernetes':
      return { type: 'kubernetes', kubeconfig: [], server: `unix://${layout.apiSocket}` };
    default:
      return assertNever(name);
  }
}
