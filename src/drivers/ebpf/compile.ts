// SPDX-License-Identifier: Apache-2.0
/**
 * Door of the policy compiler: one list of policies, seen from one place, becomes programs of eBPF instructions.
 *
 *     chains of src/rules -> compile-chains.ts -> a graph of decisions -> decision-runs.ts -> compile-parts.ts (how many
 *     programs) -> compile-blocks.ts, compile-matches.ts -> instructions
 *
 * Takes in:   the chain tree that nftables renders too, so that what a policy means is said once.
 * Gives out:  parts to be assembled once the maps and the slots are known, the lookups that they make, names of rules.
 * Invariants: a function of its inputs; every way through a program ends in a tail call or, where that fails, in a drop.
 *             What a packet costs grows with the logarithm of the rules that differ in ports or sets alone.
 * Next:       policies.ts loads programs and keeps them; ip-sets.ts fills the maps that they ask.
 */
import type { Direction } from '../../contract/dataplane.ts';
import type { Assembler } from '../../kernel/bpf/asm.ts';
import type { ListedInstruction } from '../../kernel/bpf/instruction.ts';
import type { Family } from '../../lib/address.ts';
import type { IpSetId } from '../../lib/brand.ts';
import type { Chain, Step } from '../../rules/chain.ts';
import { lookupsOf, type PartOptions, writePart } from './compile-blocks.ts';
import { ChainCompiler } from './compile-chains.ts';
import { cutIntoParts, type Part, type PartLimits, usualLimits } from './compile-parts.ts';
import { joinRuns } from './decision-runs.ts';
import { packetAt, packetFlags } from './layout.ts';
import type { Lookup } from './lookup.ts';
import { ruleId } from './names.ts';
import { inOrder, type Node, PolicyGraph } from './policy-graph.ts';
import type { View } from './stack-keys.ts';

/** From where a policy sees the packet, and what its verdict is about. */
export type Point = 'workload' | 'normal' | 'untracked' | 'pre-dnat' | 'forward';

export interface PolicySource {
  readonly family: Family;
  readonly point: Point;
  readonly direction: Direction;
  /** Where packets come in; they lead to `chains`. */
  readonly steps: readonly Step[];
  readonly chains: Iterable<Chain>;
  /** Whether any source of the lookup holds a network of its family. @throws {InvalidError} for a set that was not sent. */
  readonly hasNets: (lookup: Lookup) => boolean;
  /** Sets of which there should be no second copy. */
  readonly isLarge: (set: IpSetId) => boolean;
  readonly limits?: PartLimits;
}

/** What programs are made for when they are loaded. */
export interface Binding {
  /** Descriptors. */
  readonly maps: PartOptions['maps'];
  readonly slots: readonly number[];
  readonly hook?: 'classifier' | 'xdp';
}

export interface RuleName {
  readonly comment: string;
  /** Of Log rules: what they write first. */
  readonly prefix?: string;
}

/** A run of instructions and the rule that they are for. */
export interface ListedBlock {
  readonly rule: string;
  readonly instructions: readonly string[];
}

const refusals = { classifier: 2 /* TCX_DROP */, xdp: 1 /* XDP_DROP */ } as const;

const now: View = {
  src: packetAt.src,
  dst: packetAt.dst,
  srcPort: packetAt.srcPort,
  dstPort: packetAt.dstPort,
};
const asItArrived: View = { ...now, dst: packetAt.arrivedDst, dstPort: packetAt.arrivedDstPort };

/** @throws {UnsupportedError} for what no program can do. @throws {InvalidError} for a set that was not sent. */
export function compilePolicy(source: PolicySource): CompiledPolicy {
  const { family, point, direction } = source;
  const chains = new PolicyGraph();
  const isHost = point !== 'workload';
  const end = chains.end(isHost ? 'undecided' : 'deny', `nothing decided ${direction}`);
  const policy = new ChainCompiler(chains, source.chains).compile(source.steps, end);
  const graph = new PolicyGraph();
  const joined = joinRuns(policy, graph, family, source.isLarge);
  const root = asksFlags(source)
    ? graph.testFlag(acceptedFlag(direction), graph.end('undecided', null), joined)
    : joined;
  return new CompiledPolicy(source, root);
}

export class CompiledPolicy {
  readonly parts: readonly Part[];
  readonly lookups: ReadonlyMap<bigint, Lookup>;
  readonly rules: ReadonlyMap<bigint, RuleName>;
  readonly #options: Omit<PartOptions, 'maps' | 'slots' | 'refusal'>;

  constructor(source: PolicySource, root: Node) {
    const { family, limits = usualLimits } = source;
    const nodes = inOrder(root);
    this.lookups = new Map(
      nodes.flatMap((node) => lookupsOf(node, source)).map(({ lookup }) => [lookup.id, lookup]),
    );
    this.rules = new Map(nodes.flatMap(rulesOf));
    const withNets = new Set([...this.lookups.values()].filter(source.hasNets).map(({ id }) => id));
    const hasNets = ({ id }: Lookup) => withNets.has(id);
    const isEarly = source.point === 'untracked' || source.point === 'pre-dnat';
    const isIngress = source.direction === 'ingress';
    const view = isEarly && isIngress ? asItArrived : now;
    this.#options = { family, hasNets, view, allowFlags: allowFlags(source) };
    this.parts = cutIntoParts(root, limits, this.#options);
  }

  /** Of each part, in order. */
  assemble(binding: Binding): readonly Uint8Array[] {
    return this.parts.map((_, part) => this.#write(part, binding).assemble());
  }

  /** Each instruction beside the rule that it is for. */
  listing(binding: Binding): readonly ListedBlock[] {
    return this.parts.flatMap((_, part) => blocksOf(this.lines(part, binding)));
  }

  /** Instruction by instruction, `index` as the verifier counts. */
  lines(part: number, binding: Binding): readonly ListedInstruction[] {
    return this.#write(part, binding).listing();
  }

  #write(part: number, { maps, slots, hook = 'classifier' }: Binding): Assembler {
    return writePart(this.parts, part, { ...this.#options, maps, slots, refusal: refusals[hook] });
  }
}

/** What untracked or pre-DNAT policy let in, no later host policy of the same direction looks at. */
function asksFlags({ point }: PolicySource): boolean {
  return point !== 'workload' && point !== 'untracked';
}

function acceptedFlag(direction: Direction): number {
  return direction === 'ingress' ? packetFlags.hostAcceptedIn : packetFlags.hostAcceptedOut;
}

function allowFlags({ point, direction }: PolicySource): number {
  if (point === 'untracked') return acceptedFlag(direction) | packetFlags.untracked;
  return point === 'pre-dnat' ? acceptedFlag(direction) : 0;
}

function rulesOf(node: Node): [bigint, RuleName][] {
  if (node.kind === 'log') return [[ruleId(node.comment), { comment: node.comment, prefix: node.prefix }]];
  if (node.kind !== 'end' || node.comment === null) return [];
  return [[ruleId(node.comment), { comment: node.comment }]];
}

function blocksOf(lines: readonly ListedInstruction[]): ListedBlock[] {
  const blocks: { rule: string; instructions: string[] }[] = [];
  for (const { note, label, text } of lines) {
    const line = label === '' ? text : `${label}: ${text}`;
    const last = blocks.at(-1);
    if (last?.rule === note) last.instructions.push(line);
    else blocks.push({ rule: note, instructions: [line] });
  }
  return blocks;
}
