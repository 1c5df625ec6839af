// SPDX-License-Identifier: Apache-2.0
/**
 * What rules ask of a packet, as instructions. r6: the packet. r0 to r5 are free; a match falls through when it holds and jumps
 * when it does not.
 */
import type { Assembler, MapOperand } from '../../kernel/bpf/asm.ts';
import { addressBytes, type Family } from '../../lib/address.ts';
import type { Cidr } from '../../lib/brand.ts';
import { addressOf, prefixLength } from '../../lib/cidr.ts';
import { UnsupportedError } from '../../lib/errors.ts';
import type { PortRange } from '../../lib/ports.ts';
import type { Match, Side } from '../../rules/chain.ts';

import { packetAt } from './layout.ts';
import { type Lookup, lookupOf } from './lookup.ts';
import { type KeyKind, keyPlace, setPlace, type View } from './stack-keys.ts';

const BPF_FUNC_map_lookup_elem = 1; // include/uapi/linux/bpf.h

export interface MatchOptions {
  readonly family: Family;
  readonly view: View;
  readonly maps: { readonly sets: number; readonly nets: number };
  /** Whether `nets` is to be asked where `sets` has no answer. */
  readonly hasNets: (lookup: Lookup) => boolean;
}

/** As many nets as cost more to ask one by one than to look up. */
export const manyNets = 12;

/** Names labels that nobody else knows. */
type Fresh = () => string;

/** Cheap questions first; all must hold, so their order decides nothing. */
const ranks: readonly Match['kind'][] = ['protocol', 'ports', 'icmp-type', 'icmp-type-code', 'nets'];

export function writeMatches(
  code: Assembler,
  matches: readonly Match[],
  no: string,
  options: MatchOptions,
  fresh: Fresh,
): void {
  const rank = ({ kind }: Match) => (ranks.indexOf(kind) + ranks.length + 1) % (ranks.length + 1);
  for (const match of matches.toSorted((a, b) => rank(a) - rank(b)))
    writeMatch(code, match, no, options, fresh);
}

function writeMatch(code: Assembler, match: Match, no: string, options: MatchOptions, fresh: Fresh): void {
  const lookup = lookupOfMatch(match, options.family);
  if (!lookup) return writeQuestion(code, match, no, options, fresh);
  writeLookup(code, lookup.side, lookup.lookup, options, fresh);
  code.jumpIf('r0', 'negate' in match && match.negate ? '!=' : '==', 0, no);
}

function writeQuestion(code: Assembler, match: Match, no: string, options: MatchOptions, fresh: Fresh): void {
  switch (match.kind) {
    case 'protocol':
      code.load('u8', 'r1', 'r6', packetAt.protocol);
      code.jumpIf32('r1', match.negate ? '==' : '!=', match.protocol, no);
      return;
    case 'ports':
      code.load('u16', 'r1', 'r6', match.side === 'src' ? options.view.srcPort : options.view.dstPort);
      return writeRanges(code, match.ports, match.negate === true, no, fresh);
    case 'icmp-type':
      code.load('u8', 'r1', 'r6', packetAt.icmpType);
      code.jumpIf32('r1', match.negate ? '==' : '!=', match.type, no);
      return;
    case 'icmp-type-code':
      return writeTypeAndCode(code, match, no, fresh);
    case 'nets':
      return writeNets(code, match, no, options, fresh);
    case 'set':
    case 'port-set':
      throw new TypeError(`match ${match.kind} is a lookup`);
    case 'any-set':
    case 'interface':
    case 'interface-prefix':
    case 'connection':
    case 'mark':
      throw new UnsupportedError(
        `cannot compile policy: got match ${match.kind}, which no packet can answer`,
      );
    default:
      return match satisfies never;
  }
}

export interface SideLookup {
  readonly side: Side;
  readonly lookup: Lookup;
}

/** A match is one object as long as its policy stays the same; to name a lookup takes a hash. */
const known: { readonly [F in Family]: WeakMap<Match, SideLookup> } = { 4: new WeakMap(), 6: new WeakMap() };

/** Null: the packet alone is asked. */
export function lookupOfMatch(match: Match, family: Family): SideLookup | null {
  const found = known[family].get(match) ?? newLookup(match, family);
  if (found) known[family].set(match, found);
  return found;
}

function newLookup(match: Match, family: Family): SideLookup | null {
  switch (match.kind) {
    case 'set':
      return { side: match.side, lookup: lookupOf(family, 'address', [{ set: match.set }]) };
    case 'port-set':
      return { side: match.side, lookup: lookupOf(family, 'port', [{ set: match.set }]) };
    case 'nets':
      if (match.nets.length < manyNets) return null;
      return { side: match.side, lookup: lookupOf(family, 'address', [{ nets: match.nets }]) };
    default:
      return null;
  }
}

/** r0: what was found, or 0. */
export function writeLookup(
  code: Assembler,
  side: Side,
  lookup: Lookup,
  { hasNets, maps }: MatchOptions,
  fresh: Fresh,
): void {
  writeCall(code, lookup.of, side, lookup.id, { fd: maps.sets, name: 'sets' });
  if (!hasNets(lookup)) return;
  const found = fresh();
  code.jumpIf('r0', '!=', 0, found);
  writeCall(code, 'net', side, lookup.id, { fd: maps.nets, name: 'nets' });
  code.label(found);
}

function writeCall(code: Assembler, kind: KeyKind, side: Side, id: bigint, map: MapOperand): void {
  code.mov64('r1', id).store('u64', 'r10', setPlace(kind, side), 'r1');
  code.loadMap('r1', map).mov('r2', 'r10').alu('add', 'r2', keyPlace(kind, side));
  code.call(BPF_FUNC_map_lookup_elem, 'map_lookup_elem');
}

function writeRanges(
  code: Assembler,
  ranges: readonly PortRange[],
  negate: boolean,
  no: string,
  fresh: Fresh,
): void {
  const hit = negate ? no : fresh();
  const others = negate ? ranges : ranges.slice(0, -1);
  for (const { first, last } of others) {
    const past = fresh();
    if (first === last) code.jumpIf32('r1', '==', first, hit);
    else code.jumpIf32('r1', '<', first, past).jumpIf32('r1', '<=', last, hit).label(past);
  }
  const end = ranges.at(-1);
  if (negate || !end) return;
  if (end.first === end.last) code.jumpIf32('r1', '!=', end.first, no);
  else code.jumpIf32('r1', '<', end.first, no).jumpIf32('r1', '>', end.last, no);
  code.label(hit);
}

function writeTypeAndCode(
  code: Assembler,
  { type, code: icmpCode, negate }: Extract<Match, { kind: 'icmp-type-code' }>,
  no: string,
  fresh: Fresh,
): void {
  const other = negate ? fresh() : no;
  code.load('u8', 'r1', 'r6', packetAt.icmpType).jumpIf32('r1', '!=', type, other);
  code.load('u8', 'r1', 'r6', packetAt.icmpCode).jumpIf32('r1', negate ? '==' : '!=', icmpCode, no);
  if (negate) code.label(other);
}

function writeNets(
  code: Assembler,
  { nets, side, negate }: Extract<Match, { kind: 'nets' }>,
  no: string,
  { family, view }: MatchOptions,
  fresh: Fresh,
): void {
  const hit = negate ? no : fresh();
  for (const [i, net] of nets.entries()) {
    const isLast = i === nets.length - 1;
    const past = isLast && !negate ? no : fresh();
    for (const { at, mask, value } of wordsOf(net, family)) {
      code.load('u32', 'r1', 'r6', view[side] + at);
      if (mask !== -1) code.alu('and', 'r1', mask);
      code.jumpIf32('r1', '!=', value, past);
    }
    if (past !== no) code.jump(hit).label(past);
  }
  if (!negate) code.label(hit);
}

interface MaskedWord {
  readonly at: number;
  readonly mask: number;
  readonly value: number;
}

/** The 32-bit words of an address that a net fixes, as a little-endian load sees them. */
function wordsOf(net: Cidr, family: Family): MaskedWord[] {
  const bytes = addressBytes(addressOf(net));
  const length = prefixLength(net);
  const start = family === 4 ? 12 : 0; // ::ffff:a.b.c.d
  const words: MaskedWord[] = [];
  for (let i = 0; i * 32 < length; i++) {
    const bits = Math.min(32, length - i * 32);
    const mask = littleEndian(bits === 32 ? 0xffffffff : ~(0xffffffff >>> bits));
    const value = new DataView(bytes.buffer, bytes.byteOffset).getInt32(i * 4, true);
    words.push({ at: start + i * 4, mask, value });
  }
  return words;
}

function littleEndian(word: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setInt32(0, word | 0, false);
  return view.getInt32(0, true);
}

/** At most so many instructions. */
export function costOfMatches(
  matches: readonly Match[],
  options: Pick<MatchOptions, 'family' | 'hasNets'>,
): number {
  return matches.reduce((sum, match) => sum + costOfMatch(match, options), 0);
}

const callCost = 8;

export function costOfLookup(lookup: Lookup, hasNets: MatchOptions['hasNets']): number {
  return hasNets(lookup) ? 2 * callCost + 1 : callCost;
}

function costOfMatch(match: Match, { family, hasNets }: Pick<MatchOptions, 'family' | 'hasNets'>): number {
  const lookup = lookupOfMatch(match, family)?.lookup;
  if (lookup) return costOfLookup(lookup, hasNets) + 1;
  switch (match.kind) {
    case 'ports':
      return 2 + 2 * match.ports.length;
    case 'nets':
      return 1 + match.nets.length * (family === 4 ? 4 : 13);
    default:
      return 4;
  }
}

/** How often the maps are asked. */
export function lookupsOfMatches(matches: readonly Match[], family: Family): number {
  return matches.filter((match) => lookupOfMatch(match, family) !== null).length;
}

/** Conditional jumps, of which the verifier follows 8,192 in a row. */
export function jumpsOfMatches(matches: readonly Match[], family: Family): number {
  return matches.reduce((sum, match) => {
    if (lookupOfMatch(match, family)) return sum + 2;
    if (match.kind === 'ports') return sum + 2 * match.ports.length;
    if (match.kind === 'nets') return sum + match.nets.length * (family === 4 ? 1 : 4);
    return sum + 2;
  }, 0);
}
