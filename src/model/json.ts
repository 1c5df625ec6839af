// SPDX-License-Identifier: Apache-2.0
/** Reading JSON of unknown shape, without trusting it: no prototype is read or written, nothing recurses. */
import type { Json, JsonObject } from './types.ts';

/** Nesting of any resource; real ones stay below 20. */
export const maxNesting = 64;
/** Values in one resource, so that aliases that multiply end here. */
export const maxValues = 1_000_000;

export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object's own member; undefined for null too: Go's JSON reads null as absent. */
export function member(value: unknown, name: string): unknown {
  if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
  return value[name] ?? undefined;
}

/** @param path - member names from the outside in. */
export function memberAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(member, value);
}

export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = memberAt(value, ...path);
  return typeof found === 'string' ? found : '';
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = memberAt(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The members that are strings; safe for keys like `__proto__`. */
export function textMapAt(value: unknown, ...path: readonly string[]): Map<string, string> {
  const found = memberAt(value, ...path);
  const entries = isObject(found) ? Object.entries(found) : [];
  return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** A record of its own members only, with any key, even `__proto__`. */
export function recordOf<T>(entries: Iterable<readonly [string, T]>): { [key: string]: T } {
  return Object.fromEntries(entries);
}

/** Why `value` is not JSON of reasonable size, or null. */
export function shapeFault(value: unknown): string | null {
  const stack: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  let count = 0;
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (typeof next.value !== 'object' || next.value === null) {
      if (typeof next.value === 'bigint' || typeof next.value === 'function')
        return `got a ${typeof next.value}, want JSON`;
      continue;
    }
    if (next.depth >= maxNesting) return `nested too deep: want at most ${maxNesting} levels`;
    for (const child of Array.isArray(next.value) ? next.value : Object.values(next.value)) {
      if (++count > maxValues) return `too large: want at most ${maxValues} values`;
      stack.push({ value: child, depth: next.depth + 1 });
    }
  }
  return null;
}

/**
 * A copy that shares nothing with `value`, without null members of objects.
 *
 * @param value - of a shape without fault: this recurses, at most `maxNesting` deep.
 */
export function copyJson(value: unknown): Json {
  if (Array.isArray(value)) return value.map(copyJson);
  if (isObject(value)) return copyObject(value);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

export function copyObject(value: { readonly [key: string]: unknown }): JsonObject {
  const present = Object.entries(value).filter(([, child]) => child !== null && child !== undefined);
  return recordOf(present.map(([key, child]) => [key, copyJson(child)] as const));
}
