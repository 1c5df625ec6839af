// SPDX-License-Identifier: Apache-2.0
/** Which fields differ between two values, a line for each: `spec.order: 10 -> 20`. */
import { sameValue } from '../calc/same-value.ts';

const longest = 60;

export function changedFields(before: unknown, after: unknown, path = ''): readonly string[] {
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
