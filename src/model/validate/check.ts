// SPDX-License-Identifier: Apache-2.0
/**
 * A small vocabulary in which the shape of every kind is written: each word is a check that reports all it finds.
 *
 * Invariants: a check never throws, never stops at the first fault, and reads own members only. null is absent, as it
 *             is for Go's JSON decoder; an empty list is not.
 * Next:       rule.ts and policy.ts write shapes with it, resource.ts runs them.
 */
import type { Fault } from '../../lib/errors.ts';
import { isObject } from '../json.ts';

/** Where faults go. */
export type Report = (path: string, message: string) => void;
export type Check = (value: unknown, path: string, report: Report) => void;

export function collect(check: Check, value: unknown, path = ''): Fault[] {
  const faults: Fault[] = [];
  check(value, path, (at, message) => faults.push({ path: at, message }));
  return faults;
}

export interface ObjectOptions {
  readonly required?: readonly string[];
  /** Other members are let through unread: Kubernetes objects hold much that is not ours. */
  readonly open?: boolean;
}

export function object(members: { readonly [name: string]: Check }, options: ObjectOptions = {}): Check {
  return (value, path, report) => {
    if (!isObject(value)) return report(path, `got ${shown(value)}, want an object`);
    for (const [name, child] of Object.entries(value)) {
      if (child === null || child === undefined) continue;
      const check = Object.hasOwn(members, name) ? members[name] : undefined;
      if (check) check(child, childPath(path, name), report);
      else if (!options.open) report(childPath(path, name), unknownField(name, Object.keys(members)));
    }
    for (const name of options.required ?? []) {
      if (!Object.hasOwn(value, name) || value[name] === null || value[name] === undefined) {
        report(childPath(path, name), 'got nothing, want a value: the field is required');
      }
    }
  };
}

export function list(item: Check, options: { max?: number; unique?: boolean } = {}): Check {
  return (value, path, report) => {
    if (!Array.isArray(value)) return report(path, `got ${shown(value)}, want a list`);
    const max = options.max ?? Number.POSITIVE_INFINITY;
    if (value.length > max) return report(path, `got ${value.length} items, want at most ${max}`);
    const seen = new Set<unknown>();
    for (const [i, child] of value.entries()) {
      if (options.unique && seen.has(child))
        report(`${path}[${i}]`, `got ${shown(child)} twice, want it once`);
      seen.add(child);
      item(child, `${path}[${i}]`, report);
    }
  };
}

/** An object with any keys. */
export function map(key: (key: string) => string | null, item: Check): Check {
  return (value, path, report) => {
    if (!isObject(value)) return report(path, `got ${shown(value)}, want an object`);
    for (const [name, child] of Object.entries(value)) {
      const fault = key(name);
      if (fault) report(childPath(path, name), `got key ${shown(name)}, ${fault}`);
      item(child, childPath(path, name), report);
    }
  };
}

/** @param want - reads after "want": `a DNS name`. */
export function text(options: { max?: number; pattern?: RegExp; want?: string } = {}): Check {
  const { max = Number.POSITIVE_INFINITY, pattern, want = 'a string' } = options;
  return (value, path, report) => {
    if (typeof value !== 'string')
      return report(path, `got ${shown(value)}, want ${want}${quoteHint(value)}`);
    if (value.length > max) return report(path, `got ${value.length} characters, want at most ${max}`);
    if (pattern && !pattern.test(value)) report(path, `got ${shown(value)}, want ${want}`);
  };
}

export const flag: Check = (value, path, report) => {
  if (typeof value !== 'boolean') report(path, `got ${shown(value)}, want true or false`);
};

export function integer(min: number, max: number): Check {
  return (value, path, report) => {
    if (!isIntegerBetween(value, min, max))
      report(path, `got ${shown(value)}, want an integer from ${min} to ${max}`);
  };
}

export const finite: Check = (value, path, report) => {
  if (typeof value !== 'number' || !Number.isFinite(value))
    report(path, `got ${shown(value)}, want a number`);
};

export function oneOf(...choices: readonly (string | number)[]): Check {
  return (value, path, report) => {
    if (choices.some((choice) => choice === value)) return;
    const words = choices.map((choice) => (choice === '' ? '""' : String(choice)));
    const near = typeof value === 'string' ? nearest(value, words) : null;
    report(path, `got ${shown(value)}, want ${listed(words)}${near ? `; did you mean ${near}?` : ''}`);
  };
}

export const anything: Check = () => {};

/** @param verdict - what is wrong with the value, as `got …, want …`; null if nothing is. */
export function judged(verdict: (value: unknown) => string | null): Check {
  return (value, path, report) => {
    const fault = verdict(value);
    if (fault) report(path, fault);
  };
}

export function every(...checks: readonly Check[]): Check {
  return (value, path, report) => {
    for (const check of checks) check(value, path, report);
  };
}

export function childPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

export function isIntegerBetween(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

/** A value as messages show it: JSON, shortened. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return 'an object';
  if (value === undefined || value === null) return 'nothing';
  const json = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value);
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

export function quoteHint(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? ' (put it in quotes)' : '';
}

function listed(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join('') : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

export function unknownField(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  if (near) return `unknown field ${shown(name)}; did you mean ${shown(near)}?`;
  return `unknown field ${shown(name)}${known.length <= 12 ? `, want ${listed([...known].sort())}` : ''}`;
}

/** The choice within two edits of what was written, case aside; null if none or the text is long. */
export function nearest(written: string, choices: readonly string[]): string | null {
  if (written.length > 64) return null;
  const ranked = choices
    .map((choice) => ({ choice, edits: editDistance(written.toLowerCase(), choice.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best && best.edits <= Math.min(2, Math.floor(best.choice.length / 2)) ? best.choice : null;
}

/** Levenshtein's, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
