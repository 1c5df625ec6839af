// SPDX-License-Identifier: Apache-2.0
/**
 * A graph that is too much for one program is cut into several that call each other by tail calls. All edges lead forwards, so
 * a packet meets each part at most once. Ends belong to no part: each writes those that it needs.
 */
import type { Family } from '../../lib/address.ts';
import { UnsupportedError } from '../../lib/errors.ts';
import {
  costOfLookup,
  costOfMatches,
  jumpsOfMatches,
  lookupsOfMatches,
  type MatchOptions,
} from './compile-matches.ts';
import { inOrder, type Node, successorsOf } from './policy-graph.ts';
import { prepareCost } from './stack-keys.ts';

export interface PartLimits {
  /** Instructions of one program; jumps reach 32,767. */
  readonly instructions: number;
  /** Conditional jumps of one program. */
  readonly jumps: number;
  /**
   * Lookups of one program, where that does not make it too deep: the kernel writes each of them into the program by itself
   * and copies all of it every time (bpf_patch_insn_data), so that a thousand in one take seven times as long to load as in
   * four.
   */
  readonly lookups: number;
  /** Parts that one packet may pass through: of its 33 tail calls (MAX_TAIL_CALL_CNT) others want some. */
  readonly depth: number;
}

/** The verifier follows at most 8,192 jumps in a row (BPF_COMPLEXITY_LIMIT_JMP_SEQ). */
export const usualLimits: PartLimits = { instructions: 24_000, jumps: 7_500, lookups: 256, depth: 20 };

export interface Part {
  /** Every node before those that it leads to; no ends. */
  readonly nodes: readonly Node[];
  /** Where the part before leads to, by number; of the first part: where the packet comes in. */
  readonly entries: readonly Node[];
}

/** Entry, ends and the tail calls between parts. */
const frameCost = 64 + 6 * prepareCost;
/** To write down where the next part goes on, or a copy of an end. */
const crossingCost = 3;
/** To tell by a number from which node the part goes on. */
const entryCost = 2;

type CostOptions = Pick<MatchOptions, 'family' | 'hasNets'>;

/** @throws {UnsupportedError} when a packet might pass through more parts than there are tail calls. */
export function cutIntoParts(root: Node, limits: PartLimits, options: CostOptions): readonly Part[] {
  const nodes = inOrder(root).filter((node) => node.kind !== 'end');
  for (let { lookups } = limits; ; lookups *= 2) {
    const { parts, depth } = linked(root, cutNodes(nodes, { ...limits, lookups }, options));
    if (depth <= limits.depth) return parts;
    if (lookups >= limits.instructions) throw tooDeep(depth, limits);
  }
}

function linked(root: Node, cut: readonly (readonly Node[])[]): { parts: readonly Part[]; depth: number } {
  const partOf = new Map(cut.flatMap((nodes, part) => nodes.map((node) => [node, part] as const)));
  const entries = cut.map(() => new Set<Node>());
  entries[0]?.add(root);
  const depths = cut.map(() => 1);
  for (const [part, nodes] of cut.entries()) {
    for (const next of nodes.flatMap(successorsOf)) {
      const to = partOf.get(next) ?? part;
      if (to === part || next.kind === 'end') continue;
      entries[to]?.add(next);
      depths[to] = Math.max(depths[to] ?? 1, (depths[part] ?? 1) + 1);
    }
  }
  return {
    parts: cut.map((nodes, part) => ({ nodes, entries: [...(entries[part] ?? [])] })),
    depth: Math.max(...depths),
  };
}

function tooDeep(depth: number, limits: PartLimits): UnsupportedError {
  return new UnsupportedError(
    `cannot compile policy: got ${depth} programs of ${limits.instructions} instructions one behind the other, want at most ` +
      `${limits.depth} (a packet has 33 tail calls): use fewer rules, or rules that differ in ports or selectors alone`,
  );
}

function cutNodes(nodes: readonly Node[], limits: PartLimits, options: CostOptions): Node[][] {
  const whole = {
    instructions: limits.instructions - frameCost,
    jumps: limits.jumps,
    lookups: limits.lookups,
  };
  let part: Node[] = [];
  let left = { ...whole };
  const parts = [part];
  for (const node of nodes) {
    const cost = costOfNode(node, options);
    const jumps = jumpsOf(node, options.family);
    const lookups = lookupsOf(node, options.family);
    checkNode(cost, limits);
    if (part.length > 0 && (cost > left.instructions || jumps > left.jumps || lookups > left.lookups)) {
      part = [];
      parts.push(part);
      left = { ...whole };
    }
    part.push(node);
    left.instructions -= cost;
    left.jumps -= jumps;
    left.lookups -= lookups;
  }
  return parts;
}

function checkNode(cost: number, limits: PartLimits): void {
  if (cost <= limits.instructions - frameCost) return;
  throw new UnsupportedError(
    `cannot compile policy: got a rule of ${cost} instructions, want at most ${limits.instructions - frameCost}`,
  );
}

function lookupsOf(node: Node, family: Family): number {
  if (node.kind === 'test') return lookupsOfMatches(node.matches, family);
  return node.kind === 'decide' ? 1 : 0;
}

function jumpsOf(node: Node, family: Family): number {
  if (node.kind === 'test') return jumpsOfMatches(node.matches, family);
  return node.kind === 'choose' ? 0 : 2; // of a search as many are in a row as it is deep
}

/** At most so many instructions, wherever its successors are. */
function costOfNode(node: Node, options: CostOptions): number {
  const crossings = successorsOf(node).length * (crossingCost + entryCost) + 1;
  switch (node.kind) {
    case 'end':
      return 3;
    case 'test':
      return costOfMatches(node.matches, options) + crossings;
    case 'test-flag':
    case 'choose':
      return 2 + crossings;
    case 'read-port':
      return 4 + crossings;
    case 'log':
      return 11 + crossings;
    case 'decide':
      return costOfLookup(node.lookup, options.hasNets) + 2 + crossings;
    default:
      return node satisfies never;
  }
}
