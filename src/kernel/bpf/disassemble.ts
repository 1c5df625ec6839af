// SPDX-License-Identifier: Apache-2.0
/** Instructions as text, in the notation of the verifier and of llvm-objdump. Knows what the assembler emits. */

import type { Instruction } from './instruction.ts';
import * as code from './instruction.ts';

const operators: { readonly [O in code.Arithmetic]: string } = {
  add: '+=',
  sub: '-=',
  mul: '*=',
  div: '/=',
  or: '|=',
  and: '&=',
  lsh: '<<=',
  rsh: '>>=',
  mod: '%=',
  xor: '^=',
  mov: '=',
  arsh: 's>>=',
};
const operatorOf = new Map(
  Object.entries(code.arithmetic).map(([name, bits]) => [bits as number, operators[name as code.Arithmetic]]),
);
const conditionOf = new Map(Object.entries(code.conditions).map(([name, bits]) => [bits as number, name]));
const sizeOf = new Map(Object.entries(code.sizes).map(([name, bits]) => [bits as number, name]));

export function disassemble(instruction: Instruction): string {
  const { opcode, dst, src, immediate } = instruction;
  if (opcode === code.EXIT) return 'exit';
  if (opcode === code.CALL) return `call ${instruction.name ?? immediate}`;
  if (opcode === code.LD_IMM64) return `r${dst} = ${wide(instruction)}`;
  if (opcode === code.TO_BIG_ENDIAN) return `r${dst} = be${immediate} r${dst}`;
  switch (opcode & 0x07) {
    case code.LDX_MEM & 0x07:
      return `r${dst} = ${memory(instruction, src)}`;
    case code.ST_MEM & 0x07:
      return `${memory(instruction, dst)} = ${immediate}`;
    case code.STX_MEM & 0x07:
      if ((opcode & 0xe0) === (code.STX_ATOMIC & 0xe0)) return `lock ${memory(instruction, dst)} += r${src}`;
      return `${memory(instruction, dst)} = r${src}`;
    case code.JMP:
    case code.JMP32:
      return jump(instruction);
    default:
      return calculation(instruction);
  }
}

function jump(instruction: Instruction): string {
  const condition = conditionOf.get(instruction.opcode & 0xf0);
  if (condition === undefined) return `goto ${instruction.target}`;
  const register = registerOf(instruction.opcode, code.JMP32);
  const left = `${register}${instruction.dst}`;
  return `if ${left} ${condition} ${operand(instruction, register)} goto ${instruction.target}`;
}

function calculation(instruction: Instruction): string {
  const register = registerOf(instruction.opcode, code.ALU32);
  const left = `${register}${instruction.dst}`;
  if ((instruction.opcode & 0xf0) === code.NEG) return `${left} = -${left}`;
  return `${left} ${operatorOf.get(instruction.opcode & 0xf0)} ${operand(instruction, register)}`;
}

/** `w` names the lower half. */
function registerOf(opcode: number, half: number): 'r' | 'w' {
  return (opcode & 0x07) === half ? 'w' : 'r';
}

function operand(instruction: Instruction, register: 'r' | 'w'): string {
  if ((instruction.opcode & code.SOURCE_REGISTER) !== 0) return `${register}${instruction.src}`;
  return register === 'w' ? `0x${(instruction.immediate >>> 0).toString(16)}` : `${instruction.immediate}`;
}

function memory({ opcode, offset }: Instruction, base: number): string {
  return `*(${sizeOf.get(opcode & 0x18)} *)(r${base} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)})`;
}

function wide({ src, immediate, high = 0, name }: Instruction): string {
  if (src === code.PSEUDO_MAP_FD) return `map ${name}`;
  if (src === code.PSEUDO_MAP_VALUE) return `value of map ${name} + ${high}`;
  const value = (BigInt(high >>> 0) << 32n) | BigInt(immediate >>> 0);
  return `0x${value.toString(16)} ll`;
}
