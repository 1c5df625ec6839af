// SPDX-License-Identifier: Apache-2.0
/**
 * Why a thousand policies cost a packet what one costs: a list of rules or policies is cut by protocol and destination
 * port, and a packet visits only the cell that its port falls in, where the few items stand that could match it.
 *
 * The order of items decides verdicts, so only a run of neighbours is cut: what lies between two runs is walked. Items
 * that can do nothing but allow commute, so within a run of them the uncuttable ones may wait until after the cut.
 *
 * Compare chain after chain, as others do it: on the path measured in docs/benchmarks.md a new connection then costs
 * several times the plain path at 1,000 policies, here the same as at one.
 */
import type { PortRange } from '../lib/ports.ts';
import type { Cell, Chain, Step } from './chain.ts';
import { type Merge, mergeSets } from './merge.ts';
import { chainName } from './names.ts';

/** The packets that an item could match: `any`, or these protocol and destination port ranges. */
export type Footprint = 'any' | readonly { readonly protocol: number; readonly ports: PortRange }[];

export interface Item {
  /** Stable over updates of what the item does; names the cells. */
  readonly id: string;
  readonly footprint: Footprint;
  /** It can allow or do nothing: no deny, pass or log. */
  readonly commutes: boolean;
  readonly steps: readonly Step[];
  /** The same where the packet's protocol and destination port are known to lie in the footprint. */
  readonly cellSteps: readonly Step[];
}

/** Fewer neighbours than this are cheaper to walk than to look up. */
const minimumRun = 4;
/** An item with more ranges than this would be copied into too many cells. */
const maximumRanges = 64;
/** Copies per item that nested ranges may cost; past it the run is walked. */
const maximumCopies = 8;

/**
 * @param scope - what names the cells' chains; unique to the list.
 * @param merge - what neighbours become that stand in one chain.
 * @returns the steps that do what walking `items` in order does, and the cells' chains that they need.
 */
export function classify(
  scope: readonly string[],
  items: readonly Item[],
  merge: Merge = mergeSets,
): { steps: Step[]; chains: Chain[] } {
  const steps: Step[] = [];
  const chains: Chain[] = [];
  for (const run of runsOf(items)) {
    const cut = cutRun([...scope, String(steps.length)], run.narrow, merge);
    const narrow = cut?.steps ?? merge(run.narrow.flatMap((item) => item.steps));
    const wide = merge(run.wide.flatMap((item) => item.steps));
    for (const step of [...narrow, ...wide]) steps.push(step);
    for (const chain of cut?.chains ?? []) chains.push(chain);
  }
  return { steps, chains };
}

interface Run {
  /** Walked, or cut; before `wide`. */
  readonly narrow: Item[];
  readonly wide: Item[];
}

function runsOf(items: readonly Item[]): readonly Run[] {
  const runs: Run[] = [];
  let run: Run = { narrow: [], wide: [] };
  for (const item of items) {
    if (!fits(run, item)) {
      runs.push(run);
      run = { narrow: [], wide: [] };
    }
    (isNarrow(item) ? run.narrow : run.wide).push(item);
  }
  return [...runs, run];
}

/** A narrow item may overtake the wide ones before it only if neither it nor they can do anything but allow. */
function fits(run: Run, item: Item): boolean {
  if (!isNarrow(item) || run.wide.length === 0) return true;
  return item.commutes && run.wide.every((other) => other.commutes);
}

function isNarrow(item: Item): boolean {
  return item.footprint !== 'any' && item.footprint.length <= maximumRanges;
}

/** Null when it would not pay, which is known before all of it is made. */
function cutRun(
  scope: readonly string[],
  items: readonly Item[],
  merge: Merge,
): { steps: Step[]; chains: Chain[] } | null {
  if (items.length < minimumRun) return null;
  const pieces = items.flatMap(piecesOf);
  const protocols = [...new Set(pieces.map((piece) => piece.protocol))].sort((a, b) => a - b);
  const cut: CutCell[] = [];
  let copies = maximumCopies * items.length;
  for (const protocol of protocols) {
    for (const cell of elementaryCells(pieces.filter((piece) => piece.protocol === protocol))) {
      copies -= cell.items.length;
      if (copies < 0) return null;
      cut.push({ ...cell, protocol });
    }
  }
  return buildCells(scope, cut, merge);
}

interface Piece {
  readonly item: Item;
  /** Of the item in the run. */
  readonly at: number;
  readonly protocol: number;
  readonly ports: PortRange;
}

/** Disjoint for each protocol, so that an item covers a port once. Those that only touch stay apart: single ports hash. */
function piecesOf(item: Item, at: number): readonly Piece[] {
  const pieces: Piece[] = [];
  const footprint = item.footprint === 'any' ? [] : item.footprint;
  for (const { protocol, ports } of footprint.toSorted(byProtocolAndPort)) {
    const top = pieces.at(-1);
    if (top?.protocol === protocol && ports.first <= top.ports.last) {
      const last = Math.max(top.ports.last, ports.last);
      pieces[pieces.length - 1] = { ...top, ports: { first: top.ports.first, last } };
    } else pieces.push({ item, at, protocol, ports });
  }
  return pieces;
}

type Reach = Exclude<Footprint, 'any'>[number];

function byProtocolAndPort(a: Reach, b: Reach): number {
  return a.protocol - b.protocol || a.ports.first - b.ports.first;
}

interface CutCell {
  readonly protocol: number;
  readonly ports: PortRange;
  readonly items: readonly Item[];
}

function buildCells(
  scope: readonly string[],
  cut: readonly CutCell[],
  merge: Merge,
): { steps: Step[]; chains: Chain[] } {
  const chains = new Map<string, Chain>();
  const cells = cut.map(({ protocol, ports, items }): Cell => {
    const name = chainName('c', '', [...scope, ...items.map((item) => item.id)]);
    chains.set(name, { name, steps: merge(items.flatMap((item) => item.cellSteps)) });
    return { protocol, ports, chain: name };
  });
  if (cells.length === 0) return { steps: [], chains: [] };
  const name = chainName('m', '', [
    ...scope,
    ...cells.flatMap((cell) => [cell.protocol, cell.ports.first].map(String)),
  ]);
  return { steps: [{ kind: 'classify', name, cells }], chains: [...chains.values()] };
}

/** Disjoint ranges on which the list of covering items is constant; in one sweep over the borders. */
function* elementaryCells(
  pieces: readonly Piece[],
): Generator<{ readonly ports: PortRange; readonly items: readonly Item[] }> {
  const borders = [...new Set(pieces.flatMap(({ ports }) => [ports.first, ports.last + 1]))].sort(
    (a, b) => a - b,
  );
  const starts = groupBy(pieces, (piece) => piece.ports.first);
  let open: readonly Piece[] = [];
  for (const [i, border] of borders.entries()) {
    open = [...open.filter((piece) => piece.ports.last >= border), ...(starts.get(border) ?? [])];
    const next = borders[i + 1];
    if (next === undefined || open.length === 0) continue;
    // in the order in which the list has its items
    const items = open.toSorted((a, b) => a.at - b.at).map((piece) => piece.item);
    yield { ports: { first: border, last: next - 1 }, items };
  }
}

function groupBy<T>(values: readonly T[], key: (value: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group) group.push(value);
    else groups.set(key(value), [value]);
  }
  return groups;
}
