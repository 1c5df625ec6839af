// SPDX-License-Identifier: Apache-2.0
/** Where in the store the objects of a resource are: all versions of it in one place. */
import type { ServedResource } from './objects/served-resource.ts';

export function collectionOf(group: string, plural: string): string {
  return `${group}/${plural}`;
}

/** Events are one collection that two groups show. */
export function collectionOfResource({ group, plural }: Pick<ServedResource, 'group' | 'plural'>): string {
  return collectionOf(group === 'events.k8s.io' ? '' : group, plural);
}

/** @param namespace - '' for what is in none */
export function keyOf(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
