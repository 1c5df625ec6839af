// SPDX-License-Identifier: Apache-2.0
/** What every back end says and does with keys alike: how errors name an object, and in which order lists stand. */
import type { ResourceKey } from '../model/types.ts';

/** `Kind [namespace/]name`. */
export function keyText({ kind, namespace, name }: ResourceKey): string {
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`;
}

/** By namespace, then name. */
export function byName(
  { key: a }: { readonly key: ResourceKey },
  { key: b }: { readonly key: ResourceKey },
): number {
  return compare(a.namespace ?? '', b.namespace ?? '') || compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
