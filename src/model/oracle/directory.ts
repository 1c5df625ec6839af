// SPDX-License-Identifier: Apache-2.0
/** What the words of rules refer to: who has an address, what a namespace is labelled, where a service lives. */
import type { Resource } from '../types.ts';
import { labelsIn } from './fields.ts';
import { type Owner, ownersOf } from './owner.ts';
import { type Slice, slicesOf } from './service.ts';

export interface Directory {
  readonly owners: readonly Owner[];
  /** Labels by name of the namespace. */
  readonly namespaces: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly slices: readonly Slice[];
}

export function directoryOf(resources: readonly Resource[]): Directory {
  const namespaces = resources.filter((resource) => resource.kind === 'Namespace');
  return {
    owners: ownersOf(resources),
    namespaces: new Map(namespaces.map(({ metadata }) => [metadata.name, labelsIn(metadata, 'labels')])),
    slices: slicesOf(resources),
  };
}
