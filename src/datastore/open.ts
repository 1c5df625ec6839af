// SPDX-License-Identifier: Apache-2.0
/** From a configuration to the store: what each back end takes to load is loaded only where it is used. */
import { existsSync } from 'node:fs';
import type { Datastore } from '../contract/datastore.ts';
import { assertNever, NotFoundError } from '../lib/errors.ts';
import type { DatastoreConfig, StoreNotices } from './config.ts';

export interface OpenOptions extends StoreNotices {
  /**
   * Of an embedded store's file that is not there: `make` it, `refuse` (a command that only reads), or `wait` for it
   * (an agent, to which an empty store would read as "everything was deleted").
   */
  readonly missing: 'make' | 'refuse' | 'wait';
  /** Who is named as the author of what is written. */
  readonly writer?: string;
}

/** @throws {NotFoundError} {UnavailableError} {InvalidError} */
export async function openDatastore(config: DatastoreConfig, options: OpenOptions): Promise<Datastore> {
  switch (config.type) {
    case 'embedded':
      return openEmbedded(config.file, options);
    case 'etcd': {
      const { EtcdStore } = await import('./etcd/store.ts');
      return new EtcdStore(config, options);
    }
    case 'kubernetes': {
      const { openKubernetes } = await import('./kubernetes/store.ts');
      return openKubernetes(config);
    }
    default:
      return assertNever(config);
  }
}

async function openEmbedded(file: string, { missing, writer }: OpenOptions): Promise<Datastore> {
  if (missing === 'wait') {
    const { AttachedStore } = await import('./embedded/attached.ts');
    return new AttachedStore(file);
  }
  if (missing === 'refuse' && !existsSync(file)) throw new NotFoundError(`datastore ${file} does not exist`);
  const { EmbeddedStore } = await import('./embedded/store.ts');
  return new EmbeddedStore(file, writer === undefined ? {} : { writer });
}
