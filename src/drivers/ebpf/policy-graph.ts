// SPDX-License-Identifier: Apache-2.0
/**
 * A policy as a graph of decisions, between chains and instructions: each node asks one thing and knows where each answer
 * leads. There are no calls and no returns in it: what follows a chain is written into it (continuation-passing style).
 *
 * Invariants: nodes are made after those that they lead to, so ids fall along every path: descending ids are an order in
 *             which all jumps go forwards. Nodes that ask the same and lead to the same are one node.
 */
import type { Match, Side } from '../../rules/chain.ts';
import type { Lookup } from './lookup.ts';

export type Outcome = 'allow' | 'deny' | 'undecided';

/** The stage is done. `comment` names the rule that said so; null: none did. */
export interface End {
  readonly kind: 'end';
  readonly id: number;
  readonly outcome: Outcome;
  readonly comment: string | null;
}

/** Whether all matches hold. Never empty. */
export interface Test {
  readonly kind: 'test';
  readonly id: number;
  readonly matches: readonly Match[];
  readonly comment: string;
  readonly yes: Node;
  readonly no: Node;
}

export interface Log {
  readonly kind: 'log';
  readonly id: number;
  readonly comment: string;
  readonly prefix: string;
  readonly next: Node;
}

/** Protocol and destination port become one number for the steps of a binary search that follow. */
export interface ReadPort {
  readonly kind: 'read-port';
  readonly id: number;
  readonly next: Node;
}

/** One step of a binary search, in what ReadPort read (`port`) or a Decide found (`run`). */
export interface Choose {
  readonly kind: 'choose';
  readonly id: number;
  readonly on: 'port' | 'run';
  readonly at: number;
  /** Less than `at`. */
  readonly below: Node;
  readonly above: Node;
}

/** Which of a run of rules is the first whose source holds the address. */
export interface Decide {
  readonly kind: 'decide';
  readonly id: number;
  readonly side: Side;
  readonly lookup: Lookup;
  /** The rules of the run, first to last. */
  readonly comment: string;
  readonly found: Node;
  readonly missing: Node;
}

/** Whether the packet carries one of these flags. */
export interface TestFlag {
  readonly kind: 'test-flag';
  readonly id: number;
  readonly flag: number;
  readonly yes: Node;
  readonly no: Node;
}

export type Node = End | Test | Log | ReadPort | Choose | Decide | TestFlag;

/** From here on up to the next interval's start, the search leads to `node`. */
export interface Interval {
  readonly start: number;
  readonly node: Node;
}

export class PolicyGraph {
  readonly #nodes = new Map<string, Node>();
  readonly #matchIds = new WeakMap<Match, number>();
  #matchCount = 0;

  end(outcome: Outcome, comment: string | null): Node {
    return this.#node(`end ${outcome} ${comment}`, (id) => ({ kind: 'end', id, outcome, comment }));
  }

  /** Nothing to ask, or nothing to win by asking, makes no node. */
  test(matches: readonly Match[], comment: string, yes: Node, no: Node): Node {
    if (matches.length === 0 || yes === no) return yes;
    const known = matches.map((match) => this.#matchId(match)).join(',');
    return this.#node(`test ${known} ${yes.id} ${no.id}`, (id) => ({
      kind: 'test',
      id,
      matches,
      comment,
      yes,
      no,
    }));
  }

  log(comment: string, prefix: string, next: Node): Node {
    return this.#node(`log ${next.id} ${comment}`, (id) => ({ kind: 'log', id, comment, prefix, next }));
  }

  testFlag(flag: number, yes: Node, no: Node): Node {
    return this.#node(`flag ${flag} ${yes.id} ${no.id}`, (id) => ({ kind: 'test-flag', id, flag, yes, no }));
  }

  decide(side: Side, lookup: Lookup, comment: string, found: Node, missing: Node): Node {
    const key = `decide ${side} ${lookup.id} ${found.id} ${missing.id}`;
    return this.#node(key, (id) => ({ kind: 'decide', id, side, lookup, comment, found, missing }));
  }

  /** @param intervals - by start, the first from 0. */
  searchPort(intervals: readonly Interval[]): Node {
    const next = this.search('port', intervals);
    return next.kind === 'choose' ? this.readPort(next) : next;
  }

  readPort(next: Node): Node {
    return this.#node(`read ${next.id}`, (id) => ({ kind: 'read-port', id, next }));
  }

  choose(on: Choose['on'], at: number, below: Node, above: Node): Node {
    if (below === above) return below;
    const key = `choose ${on} ${at} ${below.id} ${above.id}`;
    return this.#node(key, (id) => ({ kind: 'choose', id, on, at, below, above }));
  }

  /** Without what reads the number. */
  search(on: Choose['on'], intervals: readonly Interval[]): Node {
    const distinct = intervals.filter(({ node }, i) => node !== intervals[i - 1]?.node);
    return this.#tree(on, distinct, 0, distinct.length);
  }

  #tree(on: Choose['on'], intervals: readonly Interval[], from: number, to: number): Node {
    const middle = (from + to) >>> 1;
    const half = intervals[middle];
    if (!half) throw new RangeError('a search among nothing');
    if (to - from === 1) return half.node;
    const above = this.#tree(on, intervals, middle, to);
    return this.choose(on, half.start, this.#tree(on, intervals, from, middle), above);
  }

  #matchId(match: Match): number {
    const known = this.#matchIds.get(match);
    if (known !== undefined) return known;
    this.#matchIds.set(match, this.#matchCount);
    return this.#matchCount++;
  }

  #node(key: string, make: (id: number) => Node): Node {
    const known = this.#nodes.get(key);
    if (known) return known;
    const node = make(this.#nodes.size);
    this.#nodes.set(key, node);
    return node;
  }
}

export function successorsOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'end':
      return [];
    case 'test':
    case 'test-flag':
      return [node.yes, node.no];
    case 'log':
    case 'read-port':
      return [node.next];
    case 'choose':
      return [node.below, node.above];
    case 'decide':
      return [node.found, node.missing];
    default:
      return node satisfies never;
  }
}

/** All that `root` leads to, itself first; every node before those that it leads to. */
export function inOrder(root: Node): readonly Node[] {
  const seen = new Set<Node>([root]);
  for (const node of seen) for (const next of successorsOf(node)) seen.add(next); // a Set is iterated as it grows
  return [...seen].sort((a, b) => b.id - a.id);
}
