// SPDX-License-Identifier: Apache-2.0
/** Walks a chain tree as a packet filter would: what rules/ means, without any kernel. */
import { familyOf } from '../../src/lib/address.ts';
import { cidrContains, hostCidr } from '../../src/lib/cidr.ts';
import { assertNever } from '../../src/lib/errors.ts';
import { inRanges } from '../../src/lib/ports.ts';
import type { DataplaneState } from '../../src/observe/dataplane-state.ts';
import type { Packet } from '../../src/observe/packet-match.ts';
import type { Action, Chain, ChainRule, MarkName, Match, Side } from '../../src/rules/chain.ts';

type Verdict = 'accept' | 'drop';
type Outcome = Verdict | 'end';

/** Chains that end a walk, with what they mean to it: `x-allowed` and the like. */
export type Exits = ReadonlyMap<string, Verdict>;

/** By which links a packet comes and goes, and what connection tracking says of it. */
export interface Way {
  readonly in?: string;
  readonly out?: string;
  readonly connection?: 'established' | 'invalid';
  /** What each dispatch map says of an interface: `d-from cali1` -> a chain. */
  readonly dispatch: ReadonlyMap<string, string>;
  /** That the packet carries already. */
  readonly marks?: readonly MarkName[];
}

export class ChainMachine {
  readonly #chains: ReadonlyMap<string, Chain>;
  readonly #exits: Exits;
  readonly #state: DataplaneState;
  readonly #way: Way | null;
  /** Rules that were looked at: the cost that a packet pays. */
  steps = 0;

  /** @param way - null: chains that ask about interfaces are an error, and every packet is the first of a valid flow. */
  constructor(chains: readonly Chain[], exits: Exits, state: DataplaneState, way: Way | null = null) {
    this.#chains = new Map(chains.map((chain) => [chain.name, chain]));
    this.#exits = exits;
    this.#state = state;
    this.#way = way;
  }

  run(first: string, packet: Packet): Outcome {
    return this.#walk(first, packet, new Set(this.#way?.marks), 0);
  }

  #walk(name: string, packet: Packet, marks: Set<MarkName>, depth: number): Outcome {
    const exit = this.#exits.get(name);
    if (exit) return exit;
    const chain = this.#chains.get(name);
    if (!chain) throw new Error(`no chain ${name}`);
    if (depth > 15) throw new Error('jumps nested deeper than nftables allows (NFT_JUMP_STACK_SIZE 16)');
    for (const step of chain.steps) {
      this.steps++;
      if (step.kind === 'classify') {
        const port = packet.dstPort ?? -1;
        const cell = step.cells.find(
          ({ protocol, ports }) => protocol === packet.protocol && inRanges(port, [ports]),
        );
        const outcome = cell ? this.#walk(cell.chain, packet, marks, depth + 1) : 'end';
        if (outcome !== 'end') return outcome;
        continue;
      }
      const outcome = this.#rule(step, packet, marks, depth);
      if (outcome === 'return') return 'end';
      if (outcome !== null) return outcome;
    }
    return 'end';
  }

  /** Null: go on with the next step. */
  #rule(rule: ChainRule, packet: Packet, marks: Set<MarkName>, depth: number): Outcome | 'return' | null {
    if (!rule.match.every((match) => this.#matches(match, packet, marks))) return null;
    return this.#act(rule.action, packet, marks, depth);
  }

  #act(action: Action, packet: Packet, marks: Set<MarkName>, depth: number): Outcome | 'return' | null {
    switch (action.kind) {
      case 'accept':
      case 'drop':
      case 'return':
        return action.kind;
      case 'goto': {
        const outcome = this.#walk(action.chain, packet, marks, depth + 1); // the kernel's limit counts gotos too
        return outcome === 'end' ? 'return' : outcome;
      }
      case 'jump': {
        const outcome = this.#walk(action.chain, packet, marks, depth + 1);
        return outcome === 'end' ? null : outcome;
      }
      case 'log':
      case 'untrack':
        return null;
      case 'set-mark':
        marks.add(action.mark);
        return null;
      case 'clear-mark':
        marks.delete(action.mark);
        return null;
      case 'dispatch': {
        const chain = this.#here.dispatch.get(`${action.map} ${this.#link(action.side)}`);
        if (chain === undefined) return null;
        return this.#act({ kind: 'goto', chain }, packet, marks, depth);
      }
      default:
        return assertNever(action);
    }
  }

  get #here(): Way {
    if (!this.#way) throw new Error('no interfaces here');
    return this.#way;
  }

  #link(side: Side): string {
    return (side === 'src' ? this.#here.in : this.#here.out) ?? '';
  }

  #matches(match: Match, packet: Packet, marks: ReadonlySet<MarkName>): boolean {
    const negate = 'negate' in match && match.negate === true;
    return this.#holds(match, packet, marks) !== negate;
  }

  #holds(match: Match, packet: Packet, marks: ReadonlySet<MarkName>): boolean {
    switch (match.kind) {
      case 'protocol':
        return packet.protocol === match.protocol;
      case 'nets':
        return match.nets.some((net) => cidrContains(net, hostCidr(addressOf(packet, match.side))));
      case 'set':
        return this.#state.ipSet(match.set).hasAddress(addressOf(packet, match.side));
      case 'any-set':
        return match.sets.some((set) => this.#state.ipSet(set).hasAddress(addressOf(packet, match.side)));
      case 'ports':
        return inRanges(portOf(packet, match.side), match.ports);
      case 'port-set': {
        const port = portOf(packet, match.side);
        return (
          port >= 0 &&
          this.#state.ipSet(match.set).hasPort(addressOf(packet, match.side), packet.protocol, port)
        );
      }
      case 'icmp-type':
        return packet.icmpType === match.type;
      case 'icmp-type-code':
        return packet.icmpType === match.type && packet.icmpCode === match.code;
      case 'mark':
        return marks.has(match.mark);
      case 'connection':
        return this.#way?.connection === match.state;
      case 'interface':
        return this.#link(match.side) === match.name;
      case 'interface-prefix':
        return this.#link(match.side).startsWith(match.prefix);
      default:
        return assertNever(match);
    }
  }
}

function addressOf(packet: Packet, side: Side): Packet['src'] {
  const address = side === 'src' ? packet.src : packet.dst;
  if (familyOf(address) !== packet.ipVersion) throw new Error('packet of two families');
  return address;
}

function portOf(packet: Packet, side: Side): number {
  return (side === 'src' ? packet.srcPort : packet.dstPort) ?? -1;
}
