// SPDX-License-Identifier: Apache-2.0
/** Gives Services their addresses and ports, once: the lab is the only one that does, so no two get the same. */
import type { Datastore, Stored } from '../contract/datastore.ts';
import { allocated, Taken } from './allocation.ts';
import type { PodsLog } from './pods.ts';
import { writeBack } from './write-back.ts';

export class Services {
  readonly #store: Datastore;
  readonly #log: PodsLog;

  constructor(store: Datastore, log: PodsLog) {
    this.#store = store;
    this.#log = log;
  }

  async converge(services: readonly Stored[]): Promise<void> {
    const taken = new Taken(services.map(({ resource }) => resource));
    for (const stored of services) {
      const given = allocated(stored.resource, taken);
      if (typeof given === 'string') {
        this.#log.warn(
          { service: `${stored.key.namespace}/${stored.key.name}`, reason: given },
          'no allocation',
        );
      } else if (given) await writeBack(this.#store, stored, given);
    }
  }
}
