// SPDX-License-Identifier: Apache-2.0
/**
 * Whether an answer is the recorded one but for what differs from run to run. Symbols of the recording (`<uid:1>`,
 * `<rv:2>`, `<time>`) are bound to what stands in their place: equal ones to equal texts, revisions in their order.
 */
import type { Json, JsonObject } from '../../src/model/types.ts';

const symbol = /<(uid|rv|continue|suffix|time|ip|port|token|hash|any|age|text|object)(?::(\d+))?>/;
const symbols = new RegExp(symbol.source, 'g');

export class Bindings {
  readonly #names = new Map<string, string>();
  readonly #taken = new Map<string, string>();
  readonly #revisions = new Map<number, number>();

  /** What is wrong with `found` in the place of a symbol, or null. */
  bind(kind: string, number: string | undefined, found: string): string | null {
    if (kind === 'rv') return this.#bindRevision(Number(number), Number(found));
    if (kind !== 'uid' && kind !== 'continue') return null;
    const name = `${kind}:${number}`;
    const known = this.#names.get(name);
    if (known !== undefined) return known === found ? null : `want ${name} = ${known}, got ${found}`;
    const other = this.#taken.get(`${kind} ${found}`);
    if (other !== undefined) return `want something new as ${name}, got ${other} = ${found}`;
    this.#names.set(name, found);
    this.#taken.set(`${kind} ${found}`, name);
    return null;
  }

  #bindRevision(rank: number, found: number): string | null {
    if (!Number.isSafeInteger(found)) return `want a revision, got ${found}`;
    for (const [other, revision] of this.#revisions) {
      if (Math.sign(rank - other) !== Math.sign(found - revision))
        return `want revision ${rank} against ${other} as in the recording, got ${found} against ${revision}`;
    }
    this.#revisions.set(rank, found);
    return null;
  }
}

/** @param isLoose - paths whose revisions are compared by other rules */
export function differences(
  bindings: Bindings,
  wanted: Json | undefined,
  found: Json | undefined,
  isLoose: (path: string) => boolean,
  path = '',
): readonly string[] {
  if (isAge(wanted, path) && isAge(found, path)) return []; // the recording kept one in a watch's Table as it was
  if (typeof wanted === 'string') return textDifferences(bindings, wanted, found, isLoose(path), path);
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found)) return [`${path}: want a list, got ${shown(found)}`];
    if (found.length !== wanted.length)
      return [
        `${path}: want ${wanted.length} items, got ${found.length}: ${shown(found)} for ${shown(wanted)}`,
      ];
    return wanted.flatMap((item, index) =>
      differences(bindings, item, found[index], isLoose, `${path}[${index}]`),
    );
  }
  if (isObject(wanted)) {
    if (!isObject(found)) return [`${path}: want ${shown(wanted)}, got ${shown(found)}`];
    return memberDifferences(bindings, wanted, found, isLoose, path);
  }
  return wanted === found ? [] : [`${path}: want ${shown(wanted)}, got ${shown(found)}`];
}

function isAge(value: Json | undefined, path: string): boolean {
  return typeof value === 'string' && /\.cells\[\d+\]$/.test(path) && /^\d+s$/.test(value);
}

function memberDifferences(
  bindings: Bindings,
  wanted: JsonObject,
  found: JsonObject,
  isLoose: (path: string) => boolean,
  path: string,
): readonly string[] {
  const missing = Object.keys(wanted).filter((name) => !Object.hasOwn(found, name));
  const extra = Object.keys(found).filter((name) => !Object.hasOwn(wanted, name));
  return [
    ...missing.map((name) => `${path}.${name}: missing, want ${shown(wanted[name])}`),
    ...extra.map((name) => `${path}.${name}: want none, got ${shown(found[name])}`),
    ...Object.keys(wanted)
      .filter((name) => Object.hasOwn(found, name))
      .flatMap((name) => differences(bindings, wanted[name], found[name], isLoose, `${path}.${name}`)),
  ];
}

function textDifferences(
  bindings: Bindings,
  wanted: string,
  found: Json | undefined,
  loose: boolean,
  path: string,
): readonly string[] {
  if (!symbol.test(wanted))
    return wanted === found ? [] : [`${path}: want ${shown(wanted)}, got ${shown(found)}`];
  if (typeof found !== 'string' && typeof found !== 'number')
    return [`${path}: want ${wanted}, got ${shown(found)}`];
  const match = patternOf(wanted).exec(String(found));
  if (!match) return [`${path}: want ${wanted}, got ${shown(found)}`];
  const faults = [...wanted.matchAll(symbols)].map(([, kind = '', number], index) =>
    loose && kind === 'rv' ? null : bindings.bind(kind, number, match[index + 1] ?? ''),
  );
  return faults.flatMap((fault) => (fault === null ? [] : [`${path}: ${fault}`]));
}

function patternOf(wanted: string): RegExp {
  const literals = wanted.split(new RegExp(symbols.source.replaceAll(/\((?!\?)/g, '(?:')));
  return new RegExp(`^${literals.map(escaped).join('([^]+?)')}$`);
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
