// SPDX-License-Identifier: Apache-2.0
/**
 * A YAML tree to plain values, as JSON would hold them, and back from a path to the node that it names.
 *
 * Owns:       aliases, merge keys, keys of maps. Invariants: bounded in depth and in number of values, so aliases that
 *             multiply end here; a key may be anything, `__proto__` too; an alias means the nearest anchor before it.
 */
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import type { Fault } from '../../lib/errors.ts';
import { isObject, maxNesting, maxValues, recordOf } from '../json.ts';
import type { Source } from './documents.ts';

/** A member of a map: where its key stands and what it holds. */
export interface Member {
  readonly key: Node;
  readonly value: Node | null;
}

/** Of what was written, in messages. */
const shownLength = 80;

/** Ends the reading of a document whose fault was told. */
class Abandoned extends Error {}

export class TreeReader {
  readonly faults: Fault[] = [];
  readonly #source: Source;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();
  readonly #members = new Map<YAMLMap, Map<string, Member>>();
  /** What an alias leads to again is told once. */
  readonly #told = new Set<Node | null>();
  #values = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** The plain value; undefined when the document is beyond reading. What else is wrong goes to `faults`. */
  read(root: Node | null): unknown {
    try {
      return this.#value(root, 0);
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error;
      return undefined;
    }
  }

  /** What an alias stands for; other nodes are themselves. */
  resolved(node: Node | null): Node | null {
    for (let hops = 0; isAlias(node); hops++) {
      if (hops > maxNesting) return null;
      node = this.#targets.get(node) ?? null;
    }
    return node;
  }

  /** The members of a map that was read, merged ones included, by the keys of its plain value. */
  members(node: Node | null): ReadonlyMap<string, Member> {
    const map = this.resolved(node);
    return (isMap(map) && this.#members.get(map)) || new Map();
  }

  #value(node: Node | null, depth: number): unknown {
    if (depth > maxNesting) this.#abandon(node, `nested too deep: want at most ${maxNesting} levels`);
    if (++this.#values > maxValues) this.#abandon(node, `too large: want at most ${maxValues} values`);
    if (node?.anchor !== undefined && !isAlias(node)) this.#anchors.set(node.anchor, node);
    if (isAlias(node)) return this.#value(this.#target(node), depth + 1);
    if (isMap(node)) return this.#record(node, depth);
    if (isSeq(node)) return node.items.map((item) => this.#value(item as Node | null, depth + 1));
    return isScalar(node) ? this.#scalar(node, node.value) : null;
  }

  #target(alias: Alias): Node | null {
    const target = this.#targets.get(alias) ?? this.#anchors.get(alias.source);
    if (!target) this.#fault(alias, `alias *${alias.source.slice(0, shownLength)} has no anchor before it`);
    else this.#targets.set(alias, target);
    return target ?? null;
  }

  #scalar(node: Node, value: unknown): unknown {
    if (typeof value !== 'number' || Number.isFinite(value)) return value;
    this.#fault(node, `got ${value}, want a number that JSON can hold`);
    return null;
  }

  #record(map: YAMLMap, depth: number): unknown {
    const own = new Map<string, Member>();
    const entries = new Map<string, unknown>();
    const merges: Member[] = [];
    for (const { key, value } of map.items as Pair<Node, Node | null>[]) {
      if (isMergeKey(key)) {
        merges.push({ key, value });
        continue;
      }
      const name = this.#key(key, depth);
      if (name === null) continue;
      if (own.has(name))
        this.#fault(key, `key ${JSON.stringify(name.slice(0, shownLength))} is written twice, want it once`);
      own.set(name, { key, value });
      entries.set(name, this.#value(value, depth + 1));
    }
    this.#members.set(map, own);
    for (const merge of merges) this.#merge(merge, { own, entries, depth });
    return recordOf(entries);
  }

  /** A map's own members win over merged ones, and among these the earlier. @see https://yaml.org/type/merge.html */
  #merge(
    { key, value }: Member,
    into: { own: Map<string, Member>; entries: Map<string, unknown>; depth: number },
  ): void {
    const merged = this.#value(value, into.depth + 1);
    const list = this.resolved(value);
    const sources = isSeq(list) ? (list.items as (Node | null)[]) : [value];
    for (const [i, plain] of (Array.isArray(merged) ? merged : [merged]).entries()) {
      if (!isObject(plain)) {
        this.#fault(key, 'merge key <<: got no map, want a map or a list of maps');
        continue;
      }
      const members = this.members(sources[i] ?? null);
      for (const [name, child] of Object.entries(plain)) {
        if (into.entries.has(name)) continue;
        into.entries.set(name, child);
        into.own.set(name, members.get(name) ?? { key, value });
      }
    }
  }

  /** JSON's keys are text: numbers and booleans become what Go prints for them. */
  #key(node: Node, depth: number): string | null {
    const value = this.#value(node, depth + 1);
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return String(value);
    this.#fault(node, 'got a key that is no text, want a string');
    return null;
  }

  #abandon(node: Node | null, message: string): never {
    this.#fault(node, message);
    throw new Abandoned();
  }

  #fault(node: Node | null, message: string): void {
    if (this.#told.has(node)) return;
    this.#told.add(node);
    this.faults.push(this.#source.fault('', message, startOf(node)));
  }
}

export function startOf(node: Node | null | undefined): number {
  return node?.range?.[0] ?? 0;
}

/** Quoted, it is a key like any other. */
function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}
