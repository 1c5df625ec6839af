// SPDX-License-Identifier: Apache-2.0
/**
 * Why a thousand rules with a set each cost one lookup: neighbours that ask the same of a packet but for the set or the nets
 * that hold its source (or destination) become one question, "which of you is the first that holds it?", whatever each of
 * them does with the answer. The rule that decides is still known, and so is its counter.
 */
import type { Family } from '../../lib/address.ts';
import type { IpSetId } from '../../lib/brand.ts';
import type { Match, Side } from '../../rules/chain.ts';
import { manyNets } from './compile-matches.ts';
import { type LookupSource, lookupOf } from './lookup.ts';
import {
  type Interval,
  inOrder,
  type Node,
  type PolicyGraph,
  successorsOf,
  type Test,
} from './policy-graph.ts';

interface Run {
  readonly tests: readonly Test[];
  readonly side: Side;
  readonly sources: readonly LookupSource[];
  /** What they all ask besides. */
  readonly others: readonly Match[];
}

/**
 * The same graph in `into`, with its runs joined.
 *
 * @param isLarge - sets that stay out of runs: each run has rows of its own for all members of its sources, and one list of
 *   a hundred thousand addresses to be denied may be in the policies of every endpoint.
 */
export function joinRuns(
  root: Node,
  into: PolicyGraph,
  family: Family,
  isLarge: (set: IpSetId) => boolean,
): Node {
  const nodes = inOrder(root);
  const runs = runsIn(nodes, isLarge);
  const copies = new Map<Node, Node>();
  const copyOf = (node: Node): Node => {
    const copy = copies.get(node);
    if (!copy) throw new TypeError(`node ${node.id} is led to before it was made`);
    return copy;
  };
  for (const node of nodes.toReversed()) {
    const run = runs.get(node);
    if (run !== 'inside')
      copies.set(node, run ? joined(run, into, family, copyOf) : copied(node, into, copyOf));
  }
  return copyOf(root);
}

/** Each run at its first test; its others stand inside, where nobody else leads to. */
function runsIn(nodes: readonly Node[], isLarge: (set: IpSetId) => boolean): Map<Node, Run | 'inside'> {
  const leading = new Map<Node, number>();
  for (const node of nodes)
    for (const next of successorsOf(node)) leading.set(next, (leading.get(next) ?? 0) + 1);
  const runs = new Map<Node, Run | 'inside'>();
  for (const node of nodes) {
    const run = node.kind === 'test' && !runs.has(node) ? longestRun(node, leading, isLarge) : null;
    if (!run) continue;
    for (const test of run.tests) runs.set(test, 'inside');
    runs.set(node, run);
  }
  return runs;
}

function longestRun(
  first: Test,
  leading: ReadonlyMap<Node, number>,
  isLarge: (set: IpSetId) => boolean,
): Run | null {
  const mayJoin = ({ source }: Shape) => !('set' in source && isLarge(source.set));
  const runs = shapesOf(first)
    .filter(mayJoin)
    .map((shape) => runOf(first, shape, leading, mayJoin));
  const [best] = runs.filter(pays).sort((a, b) => b.tests.length - a.tests.length);
  return best ?? null;
}

function runOf(
  first: Test,
  shape: Shape,
  leading: ReadonlyMap<Node, number>,
  mayJoin: (shape: Shape) => boolean,
): Run {
  const tests = [first];
  const sources = [shape.source];
  for (let next = first.no; next.kind === 'test' && leading.get(next) === 1; next = next.no) {
    const same = shapesOf(next).find(({ text }) => text === shape.text);
    if (!same || !mayJoin(same)) break;
    tests.push(next);
    sources.push(same.source);
  }
  return { tests, sources, side: shape.side, others: shape.others };
}

function pays({ sources }: Run): boolean {
  if (sources.length < 2) return false;
  const nets = sources.reduce((sum, source) => sum + ('nets' in source ? source.nets.length : 0), 0);
  return sources.filter((source) => 'set' in source).length >= 2 || nets >= manyNets;
}

interface Shape {
  readonly side: Side;
  readonly source: LookupSource;
  readonly others: readonly Match[];
  /** Equal for tests that differ in the source alone. */
  readonly text: string;
}

const shapes = new WeakMap<Test, readonly Shape[]>();

/** One for each match that could be the one in which a run's tests differ. */
function shapesOf(test: Test): readonly Shape[] {
  const known = shapes.get(test);
  if (known) return known;
  const found = test.matches.flatMap((match): Shape[] => {
    const source = sourceOf(match);
    if (!source || !('side' in match)) return [];
    const others = test.matches.filter((other) => other !== match);
    return [{ side: match.side, source, others, text: `${match.side} ${JSON.stringify(others)}` }];
  });
  shapes.set(test, found);
  return found;
}

function sourceOf(match: Match): LookupSource | null {
  if (match.kind === 'set' && !match.negate) return { set: match.set };
  return match.kind === 'nets' && !match.negate ? { nets: match.nets } : null;
}

function joined(run: Run, into: PolicyGraph, family: Family, copyOf: (node: Node) => Node): Node {
  const last = run.tests.at(-1);
  if (!last) throw new TypeError('an empty run');
  const missing = copyOf(last.no);
  // what is found is 1 for the first
  const intervals = run.tests.map((test, i): Interval => ({ start: i + 1, node: copyOf(test.yes) }));
  const found = into.search('run', intervals);
  const comment = commentOf(run.tests);
  const lookup = lookupOf(family, 'address', run.sources);
  return into.test(run.others, comment, into.decide(run.side, lookup, comment, found, missing), missing);
}

function commentOf(tests: readonly Test[]): string {
  const [first, last] = [tests[0]?.comment ?? '', tests.at(-1)?.comment ?? ''];
  return tests.length === 1 ? first : `${tests.length} rules from ${first} to ${last}`;
}

function copied(node: Node, into: PolicyGraph, copyOf: (node: Node) => Node): Node {
  switch (node.kind) {
    case 'end':
      return into.end(node.outcome, node.comment);
    case 'test':
      return into.test(node.matches, node.comment, copyOf(node.yes), copyOf(node.no));
    case 'log':
      return into.log(node.comment, node.prefix, copyOf(node.next));
    case 'test-flag':
      return into.testFlag(node.flag, copyOf(node.yes), copyOf(node.no));
    case 'read-port':
      return into.readPort(copyOf(node.next));
    case 'choose':
      return into.choose(node.on, node.at, copyOf(node.below), copyOf(node.above));
    case 'decide':
      return into.decide(node.side, node.lookup, node.comment, copyOf(node.found), copyOf(node.missing));
    default:
      return node satisfies never;
  }
}
