// SPDX-License-Identifier: Apache-2.0
/** Reading requests of the filters: every wrong field is named, with what was found and what is wanted. */
import { InvalidError } from '../../lib/errors.ts';

export interface Fields {
  readonly [key: string]: unknown;
}

/** @throws {InvalidError} */
export function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong(what, value, 'an object');
}

/** @throws {InvalidError} */
export function textAt(fields: Fields, key: string): string {
  const value = own(fields, key);
  if (typeof value === 'string') return value;
  throw wrong(key, value, 'a string');
}

export function listAt(fields: Fields, key: string): readonly unknown[] {
  const value = own(fields, key) ?? [];
  if (Array.isArray(value)) return value;
  throw wrong(key, value, 'a list');
}

/** A map of texts; absent and null count as empty. @throws {InvalidError} */
export function textMapAt(fields: Fields, key: string): { [key: string]: string } {
  const entries = Object.entries(fieldsOf(own(fields, key) ?? {}, key));
  for (const [name, value] of entries)
    if (typeof value !== 'string') throw wrong(`${key}.${name}`, value, 'a string');
  return Object.fromEntries(entries) as { [key: string]: string };
}

/** Not what a prototype has: a request may well name a label `constructor`. */
export function own(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

export function wrong(what: string, got: unknown, want: string): InvalidError {
  const shown = JSON.stringify(got) ?? 'nothing';
  return new InvalidError(
    `${what}: got ${shown.length > 200 ? `${shown.slice(0, 200)}...` : shown}, want ${want}`,
  );
}
