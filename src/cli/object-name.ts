// SPDX-License-Identifier: Apache-2.0
/** How one object is called in output and on the command line: `namespace/web`, `networkpolicy.projectcalico.org/ns/allow`. */
import { type KindRow, keyOf, kindRow } from '../model/kinds.ts';
import type { Resource, ResourceKey } from '../model/types.ts';

/** `kind[.group]/[namespace/]name`: what `-o name` prints, and what get and delete take. */
export function objectName(resource: Resource): string {
  return nameOfKey(keyOf(resource));
}

export function nameOfKey(key: ResourceKey): string {
  const place = key.namespace === undefined ? '' : `${key.namespace}/`;
  return `${kindName(kindRow(key.kind))}/${place}${key.name}`;
}

/** `networkpolicy.networking.k8s.io`; kinds of Kubernetes' core have no group. */
export function kindName(row: KindRow): string {
  const [group, version] = row.apiVersion.split('/');
  return row.writtenKind.toLowerCase() + (version === undefined ? '' : `.${group}`);
}
