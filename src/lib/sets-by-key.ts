// SPDX-License-Identifier: Apache-2.0
/** An index of sets by key; an empty set leaves no trace, or an index of what comes and goes grows for ever. */

export function addTo<K, V>(index: Map<K, Set<V>>, key: K, value: V): void {
  const found = index.get(key);
  if (found) found.add(value);
  else index.set(key, new Set([value]));
}

export function removeFrom<K, V>(index: Map<K, Set<V>>, key: K, value: V): void {
  const found = index.get(key);
  found?.delete(value);
  if (found?.size === 0) index.delete(key);
}
