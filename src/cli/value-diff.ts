// SPDX-License-Identifier: Apache-2.0
/** Which fields differ between two values, a line for each: `spec.order: 10 -> 20`. */
import { sameValue } from '../calc/same-value.ts';
import { originAnnotation, type Resource } from '../model/types.ts';

const longest = 60;

/** Of two versions of an object: what its author could have changed. */
export function changesBetween(before: Resource, after: Resource): readonly string[] {
  return changedFields(authored(before), authored(after));
}

/** Where a manifest was read is no change of what it says; nor is what the store gives and counts. */
function authored({ metadata, ...resource }: Resource): object {
  const {
    uid: _,
    creationTimestamp: __,
    resourceVersion: ___,
    generation: ____,
    annotations,
    ...others
  } = metadata;
  const { [originAnnotation]: _____, ...kept } = annotations ?? {};
  return { ...resource, metadata: { ...others, annotations: kept } };
}

function changedFields(before: unknown, after: unknown, path = ''): readonly string[] {
  if (sameValue(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) =>
      changedFields(before[name], after[name], path === '' ? name : `${path}.${name}`),
    );
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((item, i) => changedFields(item, after[i], `${path}[${i}]`));
  return [`${path}: ${shown(before)} -> ${shown(after)}`];
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === undefined) return '(none)';
  const text = JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}
