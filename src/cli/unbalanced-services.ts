// SPDX-License-Identifier: Apache-2.0
/** What people should know of the services of a lab. */
import type { Datastore, Stored } from '../contract/datastore.ts';
import type { LabSpec } from '../lab/spec.ts';
import { listAt, textAt } from '../model/json.ts';
import { objectName } from './object-name.ts';
import { plural } from './plural.ts';

/** Of all that are stored. */
export async function unbalancedServices(store: Datastore, spec: LabSpec): Promise<readonly string[]> {
  const { items } = await store.list('Service');
  return [...unbalanced(items, spec), ...items.flatMap(withoutAddress)];
}

function unbalanced(services: readonly Stored[], { dataplane }: LabSpec): readonly string[] {
  if (services.length === 0 || dataplane === 'ebpf') return [];
  const kept = services.length === 1 ? '1 service is kept' : `${plural(services.length, 'service')} are kept`;
  return [
    `${kept} but not balanced: the data plane is ${dataplane}; a lab with --dataplane ebpf balances them`,
  ];
}

/** The lab gives every service an address that asks for one, as long as there are some. */
function withoutAddress({ resource }: Stored): readonly string[] {
  const has =
    textAt(resource, 'spec', 'clusterIP') !== '' || listAt(resource, 'spec', 'clusterIPs').length > 0;
  if (has || textAt(resource, 'spec', 'type') === 'ExternalName') return [];
  return [
    `${objectName(resource)} has no address: every one of the service range is taken; see the lab's log`,
  ];
}
