// SPDX-License-Identifier: Apache-2.0
/** What changes between two clusters: which pairs of ends, for which packets, and who decided before and after. */
import type { DecidedBy, Decider } from '../../observe/decider.ts';
import { decidedByText } from '../decider-text.ts';
import type { PacketKind, Reachability } from './reachability.ts';

export interface ReachChange {
  readonly change: 'allowed' | 'denied';
  /** In words; the rule with file and line. */
  readonly before: string;
  readonly after: string;
  readonly decidedBefore: readonly ReachDecider[];
  readonly decidedAfter: readonly ReachDecider[];
  readonly packets: readonly PacketKind[];
  readonly pairs: readonly ReachPair[];
}

/** Whoever decided in that direction: of each pair its own end. */
export type ReachDecider = Pick<Decider, 'direction' | 'by'>;

export interface ReachPair {
  readonly from: string;
  readonly to: string;
}

/** Grouped by who decided; packets that change for the same pairs stand together. The widest change comes first. */
export function reachDiff(
  names: readonly string[],
  packets: readonly PacketKind[],
  before: Reachability,
  after: Reachability,
): readonly ReachChange[] {
  const groups = new ChangeGroups(names.length);
  for (const packet of packets.keys()) {
    for (const source of names.keys()) {
      for (const destination of names.keys()) {
        if (source === destination) continue;
        const was = before.allowed(packet, source, destination);
        if (was === after.allowed(packet, source, destination)) continue;
        const ends = [source, destination] as const;
        groups.add(was ? 'denied' : 'allowed', packet, ends, [
          before.deciders(packet, ...ends),
          after.deciders(packet, ...ends),
        ]);
      }
    }
  }
  return groups.changes(names, packets).sort((a, b) => sizeOf(b) - sizeOf(a));
}

export function sizeOf({ packets, pairs }: ReachChange): number {
  return packets.length * pairs.length;
}

interface Group {
  readonly change: ReachChange['change'];
  readonly before: readonly Decider[];
  readonly after: readonly Decider[];
  /** Packet to pairs, each as one number. */
  readonly pairs: Map<number, number[]>;
}

class ChangeGroups {
  readonly #count: number;
  readonly #groups = new Map<string, Group>();
  readonly #numbers = new Numbering();

  /** @param count - of ends. */
  constructor(count: number) {
    this.#count = count;
  }

  add(
    change: ReachChange['change'],
    packet: number,
    [source, destination]: readonly [number, number],
    [was, is]: readonly [readonly Decider[], readonly Decider[]],
  ): void {
    const before = change === 'allowed' ? was : sameEnds(was, is);
    const after = change === 'allowed' ? sameEnds(is, was) : is;
    const key = `${change} ${this.#numbers.of(before)} ${this.#numbers.of(after)}`;
    const group = this.#groups.get(key) ?? { change, before, after, pairs: new Map() };
    this.#groups.set(key, group);
    const pairs = group.pairs.get(packet);
    const pair = source * this.#count + destination;
    if (pairs) pairs.push(pair);
    else group.pairs.set(packet, [pair]);
  }

  changes(names: readonly string[], packets: readonly PacketKind[]): ReachChange[] {
    const pairOf = (pair: number): ReachPair => ({
      from: names[Math.floor(pair / this.#count)] ?? '',
      to: names[pair % this.#count] ?? '',
    });
    return [...this.#groups.values()].flatMap(({ change, before, after, pairs }) =>
      withSamePairs(pairs).map((same) => ({
        change,
        before: directedText(before),
        after: directedText(after),
        decidedBefore: before.map(({ direction, by }) => ({ direction, by })),
        decidedAfter: after.map(({ direction, by }) => ({ direction, by })),
        packets: same.packets.map((i) => packets[i]).filter((packet) => packet !== undefined),
        pairs: same.pairs.map(pairOf),
      })),
    );
  }
}

/** The allowing side names everyone who allows: of interest are those where the other state denies. */
function sameEnds(allowing: readonly Decider[], denying: readonly Decider[]): readonly Decider[] {
  return allowing.filter(({ endpoint, direction }) =>
    denying.some((each) => each.endpoint === endpoint && each.direction === direction),
  );
}

function directedText(deciders: readonly Decider[]): string {
  const texts = deciders.map(({ direction, by }) => `${direction ?? 'the node'}: ${decidedByText(by)}`);
  return texts.length === 0 ? 'nobody: no policy looks at it' : [...new Set(texts)].join('; ');
}

interface SamePairs {
  readonly packets: number[];
  readonly pairs: readonly number[];
}

function withSamePairs(pairsByPacket: ReadonlyMap<number, readonly number[]>): readonly SamePairs[] {
  const found: SamePairs[] = [];
  for (const [packet, pairs] of pairsByPacket) {
    const same = found.find(
      (each) => each.pairs.length === pairs.length && each.pairs.every((pair, i) => pair === pairs[i]),
    );
    if (same) same.packets.push(packet);
    else found.push({ packets: [packet], pairs });
  }
  return found;
}

/** A short name for what is long to write: deciders are the same objects for many pairs. */
class Numbering {
  readonly #byObject = new WeakMap<DecidedBy, number>();
  readonly #byText = new Map<string, number>();

  of(deciders: readonly Decider[]): string {
    return deciders.map(({ direction, by }) => `${direction} ${this.#numberOf(by)}`).join(',');
  }

  #numberOf(by: DecidedBy): number {
    const known = this.#byObject.get(by);
    if (known !== undefined) return known;
    const text = JSON.stringify(by);
    const number = this.#byText.get(text) ?? this.#byText.size;
    this.#byText.set(text, number);
    this.#byObject.set(by, number);
    return number;
  }
}
