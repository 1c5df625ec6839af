// SPDX-License-Identifier: Apache-2.0
/**
 * One eBPF instruction: how it is encoded, and how it reads.
 *
 * @see RFC 9669, BPF Instruction Set Architecture
 */

/** Written `r0` to `r10`, so that a number is always an immediate value. */
export type Register = `r${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;

export const sizes = { u8: 0x10, u16: 0x08, u32: 0x00, u64: 0x18 } as const; // section 5
export type Size = keyof typeof sizes;

export const arithmetic = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  mod: 0x90,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
} as const; // section 4.1
export type Arithmetic = keyof typeof arithmetic;

export const conditions = {
  '==': 0x10,
  '>': 0x20,
  '>=': 0x30,
  '&': 0x40,
  '!=': 0x50,
  '<': 0xa0,
  '<=': 0xb0,
} as const; // section 4.3; unsigned
export type Condition = keyof typeof conditions;

/** Classes (section 3.1), joined with the mode where a class has but one here. */
export const LD_IMM64 = 0x18;
export const LDX_MEM = 0x61;
export const ST_MEM = 0x62;
export const STX_MEM = 0x63;
export const STX_ATOMIC = 0xc3;
export const ALU32 = 0x04;
export const ALU64 = 0x07;
export const JMP = 0x05;
export const JMP32 = 0x06;
export const CALL = 0x85;
export const EXIT = 0x95;
export const NEG = 0x80;
export const TO_BIG_ENDIAN = 0xdc;
export const SOURCE_REGISTER = 0x08;

/** Source registers of LD_IMM64, section 5.4. */
export const PSEUDO_MAP_FD = 1;
export const PSEUDO_MAP_VALUE = 2;

export const instructionBytes = 8;

export interface Instruction {
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly immediate: number;
  /** Label that `offset` is to lead to. */
  readonly target?: string;
  /** What it means, where numbers do not say it: a map, a helper. */
  readonly name?: string;
  /** Of LD_IMM64, which takes the place of two: the upper half of its value. */
  readonly high?: number;
}

/** One instruction for people. */
export interface ListedInstruction {
  readonly index: number;
  readonly text: string;
  /** What `note` said of it; empty if nothing. */
  readonly note: string;
  /** Labels that stand before it, with commas between; empty if none. */
  readonly label: string;
}

/** Places that it takes: the kernel counts them in jumps and in its log. */
export function slotsOf(instruction: Instruction): number {
  return instruction.high === undefined ? 1 : 2;
}

/** @param offset - as resolved from its target. */
export function encode(view: DataView, at: number, instruction: Instruction, offset: number): void {
  view.setUint8(at, instruction.opcode);
  view.setUint8(at + 1, instruction.dst | (instruction.src << 4));
  view.setInt16(at + 2, offset, true);
  view.setInt32(at + 4, instruction.immediate | 0, true);
  if (instruction.high !== undefined) view.setInt32(at + 12, instruction.high | 0, true);
}
