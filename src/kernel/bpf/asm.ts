// SPDX-License-Identifier: Apache-2.0
/**
 * An assembler for eBPF instructions, with labels.
 *
 * Registers are written `r0` to `r10`, so that a number is always an immediate value. Jumps reach 32,767 instructions.
 *
 * @see RFC 9669, BPF Instruction Set Architecture
 */

export type Register = `r${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;
type Operand = Register | number;

const sizes = { u8: 0x10, u16: 0x08, u32: 0x00, u64: 0x18 } as const; // RFC 9669 section 5
const arithmetic = {
  add: 0x00,
  sub: 0x10,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  xor: 0xa0,
  mov: 0xb0,
} as const; // 4.1
const conditions = {
  '==': 0x10,
  '>': 0x20,
  '>=': 0x30,
  '&': 0x40,
  '!=': 0x50,
  '<': 0xa0,
  '<=': 0xb0,
} as const; // 4.3; unsigned

const LDX_MEM = 0x61;
const STX_MEM = 0x63;
const ALU64 = 0x07;
const JMP = 0x05;
const JMP32 = 0x06;
const CALL = 0x85;
const EXIT = 0x95;
const SOURCE_REGISTER = 0x08;

export const instructionBytes = 8;

/** One instruction for people. */
export interface ListedInstruction {
  readonly index: number;
  readonly text: string;
  /** What `note` said of it; empty if nothing. */
  readonly note: string;
  /** Names of the labels that stand before it; empty if none. */
  readonly label: string;
}

interface Instruction {
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly immediate: number;
  /** Label that `offset` is to lead to. */
  readonly target?: string;
}

export class Assembler {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();

  /** The next instruction is where jumps to `name` land. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new TypeError(`label ${name} is set twice`);
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  /** 64-bit arithmetic, `dst = dst OP operand`; an immediate is sign-extended. */
  alu(operation: keyof typeof arithmetic, dst: Register, operand: Operand): this {
    return this.#emit(ALU64 | arithmetic[operation], dst, operand, 0);
  }

  mov(dst: Register, operand: Operand): this {
    return this.alu('mov', dst, operand);
  }

  /** `dst = *(size *)(base + offset)` */
  load(size: keyof typeof sizes, dst: Register, base: Register, offset: number): this {
    return this.#push({
      opcode: LDX_MEM | sizes[size],
      dst: number(dst),
      src: number(base),
      offset,
      immediate: 0,
    });
  }

  /** `*(size *)(base + offset) = src` */
  store(size: keyof typeof sizes, base: Register, offset: number, src: Register): this {
    return this.#push({
      opcode: STX_MEM | sizes[size],
      dst: number(base),
      src: number(src),
      offset,
      immediate: 0,
    });
  }

  jump(target: string): this {
    return this.#emit(JMP, 'r0', 0, 0, target);
  }

  /** Compares 64 bits, unsigned; `&` asks for a common bit. */
  jumpIf(dst: Register, condition: keyof typeof conditions, operand: Operand, target: string): this {
    return this.#emit(JMP | conditions[condition], dst, operand, 0, target);
  }

  /** Compares the low 32 bits, unsigned. */
  jumpIf32(dst: Register, condition: keyof typeof conditions, operand: Operand, target: string): this {
    return this.#emit(JMP32 | conditions[condition], dst, operand, 0, target);
  }

  /** @param helper - its number in include/uapi/linux/bpf.h. Clobbers r1 to r5, returns in r0. */
  call(helper: number): this {
    return this.#push({ opcode: CALL, dst: 0, src: 0, offset: 0, immediate: helper });
  }

  exit(): this {
    return this.#push({ opcode: EXIT, dst: 0, src: 0, offset: 0, immediate: 0 });
  }

  /** @throws {RangeError} when a jump is too long. @throws {TypeError} when its label is not set. */
  assemble(): Uint8Array {
    const bytes = new Uint8Array(this.#instructions.length * instructionBytes);
    const view = new DataView(bytes.buffer);
    for (const [i, instruction] of this.#instructions.entries()) {
      const at = i * instructionBytes;
      view.setUint8(at, instruction.opcode);
      view.setUint8(at + 1, instruction.dst | (instruction.src << 4));
      view.setInt16(at + 2, this.#offsetOf(instruction, i), true);
      view.setInt32(at + 4, instruction.immediate | 0, true);
    }
    return bytes;
  }

  #offsetOf(instruction: Instruction, at: number): number {
    if (instruction.target === undefined) return instruction.offset;
    const target = this.#labels.get(instruction.target);
    if (target === undefined) throw new TypeError(`label ${instruction.target} is not set`);
    const distance = target - at - 1;
    if (distance > 0x7fff)
      throw new RangeError(`jump to ${instruction.target}: got ${distance}, want at most 32767`);
    return distance;
  }

  #emit(opcode: number, dst: Register, operand: Operand, offset: number, target?: string): this {
    const isRegister = typeof operand === 'string';
    return this.#push({
      opcode: isRegister ? opcode | SOURCE_REGISTER : opcode,
      dst: number(dst),
      src: isRegister ? number(operand) : 0,
      offset,
      immediate: isRegister ? 0 : operand,
      ...(target !== undefined && { target }),
    });
  }

  #push(instruction: Instruction): this {
    this.#instructions.push(instruction);
    return this;
  }
}

function number(register: Register): number {
  return Number(register.slice(1));
}
