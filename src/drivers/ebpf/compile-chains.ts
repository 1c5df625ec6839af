// SPDX-License-Identifier: Apache-2.0
/**
 * A chain tree as a graph of decisions.
 *
 * Steps are taken last to first, each with what follows it as its continuation. The mark `passed` exists at this time only: a
 * continuation has two ways on, for packets with the mark and for those without, and the second way is made where a rule asks
 * for it. In a classifier's cell protocol and port are known, and what follows from them is not asked again.
 */
import { prefixLength } from '../../lib/cidr.ts';
import { assertNever, UnsupportedError } from '../../lib/errors.ts';
import { inRanges, type PortRange } from '../../lib/ports.ts';
import type { Action, Cell, Chain, Classifier, MarkName, Match, Step } from '../../rules/chain.ts';
import { allowedChain, stageAllowedChain } from '../../rules/policy-chains.ts';
import type { Interval, Node, PolicyGraph } from './policy-graph.ts';

/** What follows. */
interface Way {
  readonly plain: Node;
  /** For packets with the mark; the same as `plain` unless `reads`. */
  readonly passed: () => Node;
  /** Somewhere on it the mark is asked for. */
  readonly reads: boolean;
}

/** What a cell says of the packet. */
interface Known {
  readonly protocol: number;
  readonly ports: PortRange;
}

interface FusedRule {
  readonly kind: 'rule';
  readonly match: readonly Match[];
  readonly action: Action | { readonly kind: 'pass' };
  readonly comment?: string;
}

const allowedChains: ReadonlySet<string> = new Set([
  ...Object.values(allowedChain),
  ...Object.values(stageAllowedChain),
]);

export class ChainCompiler {
  readonly #graph: PolicyGraph;
  readonly #chains: ReadonlyMap<string, Chain>;

  constructor(graph: PolicyGraph, chains: Iterable<Chain>) {
    this.#graph = graph;
    this.#chains = new Map(Iterator.from(chains).map((chain) => [chain.name, chain]));
  }

  /** @param steps - every packet that they leave undecided gets to `end`. */
  compile(steps: readonly Step[], end: Node): Node {
    return this.#steps(steps, { plain: end, passed: () => end, reads: false }, null).plain;
  }

  #chain(name: string, back: Way, known: Known | null): Way {
    const chain = this.#chains.get(name);
    if (!chain) throw new TypeError(`no chain ${name}`);
    return this.#steps(chain.steps, back, known);
  }

  #steps(steps: readonly Step[], back: Way, known: Known | null): Way {
    let next = back;
    for (const step of fused(steps).reverse()) {
      next = step.kind === 'rule' ? this.#rule(step, next, back, known) : this.#classify(step, next, known);
    }
    return next;
  }

  #rule(rule: FusedRule, next: Way, back: Way, known: Known | null): Way {
    const match = remaining(rule.match, known);
    if (!match) return next;
    const then = this.#act(rule, next, back, known);
    const { matches, asksMark } = match;
    const join = (yes: () => Node, no: () => Node) =>
      matches.length === 0 ? yes() : this.#graph.test(matches, rule.comment ?? 'policy', yes(), no());
    const marked = () => join(then.passed, next.passed);
    if (asksMark) return { plain: next.plain, passed: marked, reads: true };
    const plain = join(
      () => then.plain,
      () => next.plain,
    );
    const reads = then.reads || (matches.length > 0 && next.reads);
    return { plain, passed: reads ? marked : () => plain, reads };
  }

  #act({ action, comment }: FusedRule, next: Way, back: Way, known: Known | null): Way {
    switch (action.kind) {
      case 'drop':
        return this.#end('deny', comment);
      case 'accept':
        return this.#end('undecided', comment);
      case 'goto':
        if (allowedChains.has(action.chain)) return this.#end('allow', comment);
        return this.#chain(action.chain, back, known);
      case 'jump':
        return this.#chain(action.chain, next, known);
      case 'return':
        return back;
      case 'pass':
        return always(back.passed());
      case 'log':
        return mapWay(next, (node) => this.#graph.log(named(comment), action.prefix, node));
      case 'set-mark':
        checkMark(action.mark);
        return always(next.passed());
      case 'clear-mark':
        checkMark(action.mark);
        return always(next.plain);
      case 'untrack':
      case 'dispatch':
        throw unsupported(`action ${action.kind}`);
      default:
        return assertNever(action);
    }
  }

  #end(outcome: 'allow' | 'deny' | 'undecided', comment: string | undefined): Way {
    return always(this.#graph.end(outcome, named(comment)));
  }

  #classify({ cells }: Classifier, next: Way, known: Known | null): Way {
    const within = cells.flatMap((cell) => inKnown(cell, known) ?? []);
    const ways = within.map((cell) => ({ cell, way: this.#chain(cell.chain, next, cell) }));
    const search = (of: (way: Way) => Node) => this.#search(ways, of, next, known);
    const plain = search((way) => way.plain);
    const reads = next.reads || ways.some(({ way }) => way.reads);
    return { plain, passed: reads ? () => search((way) => way.passed()) : () => plain, reads };
  }

  #search(
    ways: readonly { readonly cell: Cell; readonly way: Way }[],
    of: (way: Way) => Node,
    next: Way,
    known: Known | null,
  ): Node {
    const only = ways[0];
    if (only && known && covers(only.cell.ports, known.ports)) return of(only.way);
    const rest = of(next);
    const intervals: Interval[] = [{ start: 0, node: rest }];
    for (const { cell, way } of ways.toSorted((a, b) => firstOf(a.cell) - firstOf(b.cell))) {
      intervals.push({ start: firstOf(cell), node: of(way) }, { start: lastOf(cell) + 1, node: rest });
    }
    return this.#graph.searchPort(intervals.filter(({ start }, i) => start !== intervals[i + 1]?.start));
  }
}

/** Protocol above port: what ReadPort reads. */
function firstOf({ protocol, ports }: Cell): number {
  return (protocol << 16) | ports.first;
}

function lastOf({ protocol, ports }: Cell): number {
  return (protocol << 16) | ports.last;
}

/** The part of a cell that a packet of which so much is known can be in. */
function inKnown(cell: Cell, known: Known | null): Cell | null {
  if (!known) return cell;
  const first = Math.max(cell.ports.first, known.ports.first);
  const last = Math.min(cell.ports.last, known.ports.last);
  return cell.protocol === known.protocol && first <= last ? { ...cell, ports: { first, last } } : null;
}

/** Pass is two rules in chains, as a mark outlives the return there; here it is one. */
function fused(steps: readonly Step[]): (FusedRule | Classifier)[] {
  return steps.flatMap((step, i): (FusedRule | Classifier)[] => {
    const before = steps[i - 1];
    const after = steps[i + 1];
    if (before && isPass(before, step)) return [];
    return after && step.kind === 'rule' && isPass(step, after)
      ? [{ ...step, action: { kind: 'pass' } }]
      : [step];
  });
}

function isPass(step: Step, after: Step): boolean {
  if (step.kind !== 'rule' || after.kind !== 'rule' || step.match !== after.match) return false;
  return step.action.kind === 'set-mark' && step.action.mark === 'passed' && after.action.kind === 'return';
}

/** What is still to be asked; null: it cannot match. */
function remaining(
  match: readonly Match[],
  known: Known | null,
): { matches: readonly Match[]; asksMark: boolean } | null {
  const answers = match.map((each) => answerOf(each, known));
  if (answers.includes(false)) return null;
  const asksMark = match.some((each) => each.kind === 'mark');
  return { matches: match.filter((each, i) => each.kind !== 'mark' && answers[i] === null), asksMark };
}

/** Null: the packet must be asked. */
function answerOf(match: Match, known: Known | null): boolean | null {
  switch (match.kind) {
    case 'protocol':
      return known ? (match.protocol === known.protocol) !== (match.negate === true) : null;
    case 'ports':
      return known && match.side === 'dst' ? portAnswer(match, known.ports) : null;
    case 'mark':
      checkMark(match.mark);
      return null;
    case 'any-set':
    case 'interface':
    case 'interface-prefix':
    case 'connection':
      throw unsupported(`match ${match.kind}`);
    case 'nets':
      return match.nets.some((net) => prefixLength(net) === 0) ? match.negate !== true : null;
    case 'set':
    case 'port-set':
    case 'icmp-type':
    case 'icmp-type-code':
      return null;
    default:
      return assertNever(match);
  }
}

function portAnswer({ ports, negate }: Extract<Match, { kind: 'ports' }>, known: PortRange): boolean | null {
  if (ports.some((range) => covers(range, known))) return negate !== true;
  const meets = ports.some((range) => inRanges(range.first, [known]) || inRanges(known.first, [range]));
  return meets ? null : negate === true;
}

function covers(outer: PortRange, inner: PortRange): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

function always(node: Node): Way {
  return { plain: node, passed: () => node, reads: false };
}

function mapWay({ plain, passed, reads }: Way, change: (node: Node) => Node): Way {
  const changed = change(plain);
  return { plain: changed, passed: reads ? () => change(passed()) : () => changed, reads };
}

function checkMark(mark: MarkName): void {
  if (mark !== 'passed') throw unsupported(`mark ${mark}`);
}

function named(comment: string | undefined): string {
  if (comment === undefined) throw new TypeError('a rule that ends or logs wants a comment: it is its name');
  return comment;
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(`cannot compile policy: got ${what}, which no policy of an endpoint has`);
}
