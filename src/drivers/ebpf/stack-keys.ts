// SPDX-License-Identifier: Apache-2.0
/**
 * Keys of lookups on a program's stack. The packet's part of each key is written once, where the program starts; a lookup only
 * fills in which set it asks.
 */

import type { Assembler } from '../../kernel/bpf/asm.ts';
import type { Side } from '../../rules/chain.ts';

import { netKeyAt, packetAt, setKeyAt } from './layout.ts';

export type KeyKind = 'address' | 'port' | 'net';

/** Where the packet's words stand that policy of a point judges. */
export interface View {
  readonly src: number;
  readonly dst: number;
  readonly srcPort: number;
  readonly dstPort: number;
}

/** Below r10. Keys of nets start at 4 modulo 8, so that the set in them is aligned. */
const places: { readonly [K in KeyKind]: { readonly [S in Side]: number } } = {
  address: { src: -32, dst: -64 },
  port: { src: -96, dst: -128 },
  net: { src: -156, dst: -188 },
};
/** Of the key by which the packet itself is found. */
export const packetKeyPlace = -192;

/** Bits of net_key before the address, and the address. */
const wholeNetKey = 64 + 128;

export function keyPlace(kind: KeyKind, side: Side): number {
  return places[kind][side];
}

/** Where the 64-bit name of the set stands in a key. */
export function setPlace(kind: KeyKind, side: Side): number {
  return keyPlace(kind, side) + (kind === 'net' ? netKeyAt.set : setKeyAt.set);
}

/** Instructions that `prepareKey` writes at most. */
export const prepareCost = 10;

/** All of a key but the set. r6: the packet. */
export function prepareKey(code: Assembler, kind: KeyKind, side: Side, view: View): void {
  const at = keyPlace(kind, side);
  const address = at + (kind === 'net' ? netKeyAt.address : setKeyAt.address);
  for (const half of [0, 8]) {
    code.load('u64', 'r1', 'r6', view[side] + half).store('u64', 'r10', address + half, 'r1');
  }
  if (kind === 'net') {
    code.mov('r1', wholeNetKey).store('u32', 'r10', at + netKeyAt.prefixLength, 'r1');
    return;
  }
  code.mov('r1', 0).store('u64', 'r10', at + setKeyAt.port, 'r1'); // protocol and padding too
  if (kind === 'address') return;
  const port = side === 'src' ? view.srcPort : view.dstPort;
  code.load('u16', 'r1', 'r6', port).store('u16', 'r10', at + setKeyAt.port, 'r1');
  code.load('u8', 'r1', 'r6', packetAt.protocol).store('u8', 'r10', at + setKeyAt.protocol, 'r1');
}
