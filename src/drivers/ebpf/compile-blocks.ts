// SPDX-License-Identifier: Apache-2.0
/**
 * One part of a policy as instructions.
 *
 *     r6  the packet                r8  found by a Decide, or the name of the rule that ends
 *     r7  the program's context     r9  protocol and destination port, for searches
 *
 * Every jump leads forwards and every instruction is led to: the verifier takes no other.
 */
import { Assembler } from '../../kernel/bpf/asm.ts';
import type { Side } from '../../rules/chain.ts';

import {
  lookupOfMatch,
  type MatchOptions,
  type SideLookup,
  writeLookup,
  writeMatches,
} from './compile-matches.ts';
import type { Part } from './compile-parts.ts';
import { maximumLogs, maximumStages, packetAt, programIndex } from './layout.ts';
import { ruleId } from './names.ts';
import type { Choose, Decide, End, Log, Node, Outcome, TestFlag } from './policy-graph.ts';
import { type KeyKind, packetKeyPlace, prepareKey } from './stack-keys.ts';

const BPF_FUNC_map_lookup_elem = 1; // include/uapi/linux/bpf.h
const BPF_FUNC_tail_call = 12;

export interface PartOptions extends Omit<MatchOptions, 'maps'> {
  readonly maps: MatchOptions['maps'] & { readonly packet: number; readonly programs: number };
  /** What a packet that cannot be judged gets: TCX_DROP, or XDP_DROP. */
  readonly refusal: number;
  /** Bits of packet.flags that Allow sets. */
  readonly allowFlags: number;
  /** Where in `programs` each part of the policy stands. */
  readonly slots: readonly number[];
}

export function writePart(parts: readonly Part[], number: number, options: PartOptions): Assembler {
  return new PartWriter(parts, number, options).write();
}

class PartWriter {
  readonly #code = new Assembler();
  readonly #parts: readonly Part[];
  readonly #part: Part;
  readonly #isFirst: boolean;
  readonly #options: PartOptions;
  readonly #own: ReadonlySet<Node>;
  /** What jumps lead to that is not of this part, found while it is written. */
  readonly #elsewhere = new Set<Node>();
  readonly #nextParts = new Set<number>();
  readonly #outcomes = new Set<Outcome>();
  #labels = 0;

  constructor(parts: readonly Part[], number: number, options: PartOptions) {
    const part = parts[number];
    if (!part) throw new RangeError(`no part ${number}`);
    this.#parts = parts;
    this.#part = part;
    this.#isFirst = number === 0;
    this.#options = options;
    this.#own = new Set(part.nodes);
  }

  write(): Assembler {
    const { nodes } = this.#part;
    this.#enter();
    for (const [i, node] of nodes.entries()) {
      this.#code.label(labelOf(node)).note(noteOf(node));
      this.#node(node, nodes[i + 1]);
    }
    this.#leave();
    return this.#code;
  }

  #enter(): void {
    const code = this.#code.note('entry').mov('r7', 'r1');
    code.mov('r1', 0).store('u32', 'r10', packetKeyPlace, 'r1');
    code
      .loadMap('r1', { fd: this.#options.maps.packet, name: 'packet' })
      .mov('r2', 'r10')
      .alu('add', 'r2', packetKeyPlace);
    code.call(BPF_FUNC_map_lookup_elem, 'map_lookup_elem').jumpIf('r0', '==', 0, 'refuse').mov('r6', 'r0');
    for (const [kind, side] of this.#keys()) prepareKey(code, kind, side, this.#options.view);
    if (this.#isFirst) code.mov('r8', 0);
    else code.load('u32', 'r8', 'r6', packetAt.scratch);
    const { entries } = this.#part;
    if (entries.some((node) => node.kind === 'choose')) this.#readPort();
    if (entries.length > 1) code.load('u32', 'r1', 'r6', packetAt.resume);
    this.#dispatch(0, entries.length);
  }

  /** Where the part before said to go on. */
  #dispatch(from: number, to: number): void {
    const middle = (from + to) >>> 1;
    const entry = this.#part.entries[middle];
    if (!entry) throw new RangeError('a part without entry');
    if (to - from === 1) return this.#goOn(entry, this.#part.nodes[0]);
    const upper = this.#fresh();
    this.#code.jumpIf32('r1', '>=', middle, upper);
    this.#dispatchHalf(from, middle);
    this.#code.label(upper);
    this.#dispatchHalf(middle, to);
  }

  /** Behind it stands another entry's way: it must jump. */
  #dispatchHalf(from: number, to: number): void {
    const entry = this.#part.entries[from];
    if (entry && to - from === 1) this.#code.jump(labelOf(entry));
    else this.#dispatch(from, to);
  }

  #keys(): [KeyKind, Side][] {
    const found = new Map<string, [KeyKind, Side]>();
    for (const { side, lookup } of this.#part.nodes.flatMap((node) => this.#lookupsOf(node))) {
      const kinds: KeyKind[] = this.#options.hasNets(lookup) ? [lookup.of, 'net'] : [lookup.of];
      for (const kind of kinds) found.set(`${kind} ${side}`, [kind, side]);
    }
    return [...found.values()];
  }

  #lookupsOf(node: Node): SideLookup[] {
    return lookupsOf(node, this.#options);
  }

  #node(node: Node, next: Node | undefined): void {
    switch (node.kind) {
      case 'end':
        return this.#end(node);
      case 'test':
        writeMatches(this.#code, node.matches, this.#to(node.no), this.#options, () => this.#fresh());
        return this.#goOn(node.yes, next);
      case 'test-flag':
        return this.#testFlag(node, next);
      case 'log':
        return this.#log(node, next);
      case 'read-port':
        this.#readPort();
        return this.#goOn(node.next, next);
      case 'choose':
        return this.#choose(node, next);
      case 'decide':
        return this.#decide(node, next);
      default:
        return node satisfies never;
    }
  }

  #testFlag({ flag, yes, no }: TestFlag, next: Node | undefined): void {
    this.#code.load('u32', 'r1', 'r6', packetAt.flags).jumpIf32('r1', '&', flag, this.#to(yes));
    this.#goOn(no, next);
  }

  #log({ comment, next: after }: Log, next: Node | undefined): void {
    const code = this.#code.load('u32', 'r1', 'r6', packetAt.logCount);
    this.#element('u64', 'r1', maximumLogs);
    code.mov64('r3', ruleId(comment)).store('u64', 'r2', packetAt.logs, 'r3');
    code.alu('add', 'r1', 1).store('u32', 'r6', packetAt.logCount, 'r1');
    this.#goOn(after, next);
  }

  #readPort(): void {
    this.#code.load('u8', 'r9', 'r6', packetAt.protocol).alu('lsh', 'r9', 16);
    this.#code.load('u16', 'r1', 'r6', this.#options.view.dstPort).alu('or', 'r9', 'r1');
  }

  #choose({ on, at, below, above }: Choose, next: Node | undefined): void {
    this.#code.jumpIf(on === 'port' ? 'r9' : 'r8', '>=', at, this.#to(above));
    this.#goOn(below, next);
  }

  #decide({ side, lookup, found, missing }: Decide, next: Node | undefined): void {
    writeLookup(this.#code, side, lookup, this.#options, () => this.#fresh());
    this.#code.jumpIf('r0', '==', 0, this.#to(missing)).load('u32', 'r8', 'r0', 0);
    this.#goOn(found, next);
  }

  #end({ outcome, comment }: End): void {
    this.#outcomes.add(outcome);
    this.#code.note(comment ?? 'an earlier stage decided');
    if (comment === null) this.#code.mov('r8', 0);
    else this.#code.mov64('r8', ruleId(comment));
    this.#code.jump(outcome);
  }

  /** Falls through, jumps, or ends at once. */
  #goOn(to: Node, next: Node | undefined): void {
    if (to.kind === 'end' && !this.#elsewhere.has(to)) this.#end(to);
    else if (to !== next) this.#code.jump(this.#to(to));
  }

  /** The label that leads to a node, wherever it is. */
  #to(node: Node): string {
    if (!this.#own.has(node)) this.#elsewhere.add(node);
    return labelOf(node);
  }

  #leave(): void {
    for (const node of this.#elsewhere) {
      this.#code.label(labelOf(node));
      if (node.kind === 'end') this.#end(node);
      else this.#cross(node);
    }
    this.#code.note('end');
    for (const part of this.#nextParts) this.#callPart(part);
    this.#decided();
    this.#denied();
    this.#code
      .label('call')
      .mov('r1', 'r7')
      .loadMap('r2', { fd: this.#options.maps.programs, name: 'programs' });
    this.#code.call(BPF_FUNC_tail_call, 'tail_call');
    this.#code.label('refuse').mov('r0', this.#options.refusal).exit();
  }

  #cross(node: Node): void {
    const number = this.#parts.findIndex(({ entries }, i) => i > 0 && entries.includes(node));
    const entry = this.#parts[number]?.entries.indexOf(node);
    if (entry === undefined) throw new TypeError(`node ${node.id} is in no part`);
    this.#nextParts.add(number);
    this.#code.note('to the next part').mov('r1', entry).jump(`part${number}`);
  }

  #callPart(number: number): void {
    const slot = this.#options.slots[number];
    if (slot === undefined) throw new RangeError(`part ${number} has no slot`);
    this.#code.label(`part${number}`).store('u32', 'r6', packetAt.resume, 'r1');
    this.#code.store('u32', 'r6', packetAt.scratch, 'r8').mov('r3', slot).jump('call');
  }

  /** The next stage: writes down by which rule this one ended. */
  #decided(): void {
    if (!this.#outcomes.has('allow') && !this.#outcomes.has('undecided')) return;
    if (this.#outcomes.has('allow')) this.#allowed();
    if (this.#outcomes.has('undecided')) this.#code.label('undecided');
    this.#writeRule();
    this.#code.alu('add', 'r1', 1).store('u32', 'r6', packetAt.next, 'r1');
    this.#element('u32', 'r1', maximumStages);
    this.#code.load('u32', 'r3', 'r2', packetAt.stages).jump('call');
  }

  #allowed(): void {
    const { allowFlags } = this.#options;
    this.#code.label('allow');
    if (allowFlags === 0) return;
    this.#code.load('u32', 'r1', 'r6', packetAt.flags).alu('or', 'r1', allowFlags);
    this.#code.store('u32', 'r6', packetAt.flags, 'r1');
  }

  #denied(): void {
    if (!this.#outcomes.has('deny')) return;
    this.#code.label('deny');
    this.#writeRule();
    this.#code.mov('r3', programIndex.drop);
  }

  /** r1: the stage. */
  #writeRule(): void {
    this.#code.load('u32', 'r1', 'r6', packetAt.next);
    this.#element('u64', 'r1', maximumStages);
    this.#code.store('u64', 'r2', packetAt.rules, 'r8');
  }

  /** r2: the packet, moved on to the element of an array of so many (a power of two) that `index` names. */
  #element(size: 'u32' | 'u64', index: 'r1', count: number): void {
    this.#code
      .mov('r2', index)
      .alu('and', 'r2', count - 1)
      .alu('lsh', 'r2', size === 'u64' ? 3 : 2);
    this.#code.alu('add', 'r2', 'r6');
  }

  #fresh(): string {
    return `.${this.#labels++}`;
  }
}

/** What a node asks of the maps. */
export function lookupsOf(node: Node, { family }: Pick<MatchOptions, 'family'>): SideLookup[] {
  if (node.kind === 'decide') return [{ side: node.side, lookup: node.lookup }];
  if (node.kind !== 'test') return [];
  return node.matches.flatMap((match) => lookupOfMatch(match, family) ?? []);
}

function labelOf(node: Node): string {
  return `n${node.id}`;
}

function noteOf(node: Node): string {
  switch (node.kind) {
    case 'end':
      return node.comment ?? '';
    case 'test':
    case 'log':
    case 'decide':
      return node.comment;
    case 'test-flag':
      return 'an earlier stage decided';
    case 'read-port':
      return 'by protocol and port';
    case 'choose':
      return node.on === 'port' ? 'by protocol and port' : 'which rule of the run';
    default:
      return node satisfies never;
  }
}
