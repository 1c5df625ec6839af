// SPDX-License-Identifier: Apache-2.0
/**
 * An assembler for eBPF instructions, with labels and notes.
 *
 * Jumps reach 32,767 instructions. A 64-bit load counts as two, also in a verifier's log and in a listing.
 */
import { disassemble } from './disassemble.ts';
import {
  ALU32,
  ALU64,
  type Arithmetic,
  arithmetic,
  CALL,
  type Condition,
  conditions,
  EXIT,
  encode,
  type Instruction,
  instructionBytes,
  JMP,
  JMP32,
  LD_IMM64,
  LDX_MEM,
  type ListedInstruction,
  NEG,
  PSEUDO_MAP_FD,
  PSEUDO_MAP_VALUE,
  type Register,
  type Size,
  SOURCE_REGISTER,
  ST_MEM,
  STX_ATOMIC,
  STX_MEM,
  sizes,
  slotsOf,
  TO_BIG_ENDIAN,
} from './instruction.ts';

type Operand = Register | number;

/** A map as an instruction names it. */
export interface MapOperand {
  /** Its descriptor in the process that loads the program. */
  readonly fd: number;
  /** For the listing. */
  readonly name: string;
}

export class Assembler {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  /** Each from an instruction on, in that order. */
  readonly #notes: { readonly from: number; readonly text: string }[] = [];
  #length = 0;

  /** In instructions, as the kernel counts them: where the next one will stand. */
  get length(): number {
    return this.#length;
  }

  /** The next instruction is where jumps to `name` land. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new TypeError(`label ${name} is set twice`);
    this.#labels.set(name, this.#length);
    return this;
  }

  /** Says of all following instructions, up to the next note, what they are for. Empty ends it. */
  note(text: string): this {
    this.#notes.push({ from: this.#length, text });
    return this;
  }

  /** 64-bit arithmetic, `dst = dst OP operand`; an immediate is sign-extended. */
  alu(operation: Arithmetic, dst: Register, operand: Operand): this {
    return this.#emit(ALU64 | arithmetic[operation], dst, operand);
  }

  /** On the lower half; the upper one becomes 0. */
  alu32(operation: Arithmetic, dst: Register, operand: Operand): this {
    return this.#emit(ALU32 | arithmetic[operation], dst, operand);
  }

  mov(dst: Register, operand: Operand): this {
    return this.alu('mov', dst, operand);
  }

  neg(dst: Register): this {
    return this.#push({ opcode: ALU64 | NEG, dst: number(dst), src: 0, offset: 0, immediate: 0 });
  }

  /** Host order to network order or back, of the lower bits; those above become 0. */
  bigEndian(dst: Register, bits: 16 | 32 | 64): this {
    return this.#push({ opcode: TO_BIG_ENDIAN, dst: number(dst), src: 0, offset: 0, immediate: bits });
  }

  /** Any 64 bits, signed or unsigned. */
  mov64(dst: Register, value: bigint): this {
    if (value >= 1n << 64n || value < -(1n << 63n)) throw new RangeError(`immediate ${value}: want 64 bits`);
    return this.#wide(dst, 0, Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn));
  }

  /** The map itself, for helpers that take one. */
  loadMap(dst: Register, map: MapOperand): this {
    return this.#wide(dst, PSEUDO_MAP_FD, map.fd, 0, map.name);
  }

  /** Address of a byte in the one value of an array. */
  loadMapValue(dst: Register, map: MapOperand, offset: number): this {
    return this.#wide(dst, PSEUDO_MAP_VALUE, map.fd, offset, map.name);
  }

  /** `dst = *(size *)(base + offset)` */
  load(size: Size, dst: Register, base: Register, offset: number): this {
    return this.#memory(LDX_MEM | sizes[size], number(dst), number(base), offset, 0);
  }

  /** `*(size *)(base + offset) = src` */
  store(size: Size, base: Register, offset: number, src: Register): this {
    return this.#memory(STX_MEM | sizes[size], number(base), number(src), offset, 0);
  }

  /** `*(size *)(base + offset) = value`, sign-extended for u64. */
  storeImmediate(size: Size, base: Register, offset: number, value: number): this {
    checkImmediate(value, size !== 'u64');
    return this.#memory(ST_MEM | sizes[size], number(base), 0, offset, value);
  }

  /** `*(size *)(base + offset) += src`, whatever other CPUs do meanwhile. */
  atomicAdd(size: 'u32' | 'u64', base: Register, offset: number, src: Register): this {
    return this.#memory(STX_ATOMIC | sizes[size], number(base), number(src), offset, 0);
  }

  jump(target: string): this {
    return this.#emit(JMP, 'r0', 0, target);
  }

  /** Compares 64 bits, unsigned; `&` asks for a common bit. */
  jumpIf(dst: Register, condition: Condition, operand: Operand, target: string): this {
    return this.#emit(JMP | conditions[condition], dst, operand, target);
  }

  /** Compares the low 32 bits, unsigned. */
  jumpIf32(dst: Register, condition: Condition, operand: Operand, target: string): this {
    return this.#emit(JMP32 | conditions[condition], dst, operand, target);
  }

  /**
   * Clobbers r1 to r5, returns in r0.
   *
   * @param helper - its number in include/uapi/linux/bpf.h. @param name - for the listing.
   */
  call(helper: number, name?: string): this {
    return this.#push({
      opcode: CALL,
      dst: 0,
      src: 0,
      offset: 0,
      immediate: helper,
      ...(name !== undefined && { name }),
    });
  }

  exit(): this {
    return this.#push({ opcode: EXIT, dst: 0, src: 0, offset: 0, immediate: 0 });
  }

  /** @throws {RangeError} when a jump is too long. @throws {TypeError} when its label is not set, or behind the end. */
  assemble(): Uint8Array {
    const bytes = new Uint8Array(this.#length * instructionBytes);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const instruction of this.#instructions) {
      encode(view, at * instructionBytes, instruction, this.#offsetOf(instruction, at));
      at += slotsOf(instruction);
    }
    return bytes;
  }

  /** Every instruction as people read it. */
  listing(): ListedInstruction[] {
    const labels = Map.groupBy(this.#labels.keys(), (name) => this.#labels.get(name));
    let index = 0;
    let note = 0;
    return this.#instructions.map((instruction) => {
      while ((this.#notes[note]?.from ?? Number.POSITIVE_INFINITY) <= index) note++;
      const line = {
        index,
        text: disassemble(instruction),
        note: this.#notes[note - 1]?.text ?? '',
        label: labels.get(index)?.join(', ') ?? '',
      };
      index += slotsOf(instruction);
      return line;
    });
  }

  #offsetOf(instruction: Instruction, at: number): number {
    if (instruction.target === undefined) return instruction.offset;
    const target = this.#labels.get(instruction.target);
    if (target === undefined) throw new TypeError(`label ${instruction.target} is not set`);
    if (target === this.#length)
      throw new TypeError(`label ${instruction.target} is set behind the last instruction`);
    const distance = target - at - 1;
    if (distance > 0x7fff || distance < -0x8000) {
      throw new RangeError(`jump to ${instruction.target}: got ${distance}, want -32768 to 32767`);
    }
    return distance;
  }

  #emit(opcode: number, dst: Register, operand: Operand, target?: string): this {
    const isRegister = typeof operand === 'string';
    const isHalf = (opcode & 0x07) === JMP32 || (opcode & 0x07) === ALU32;
    if (!isRegister) checkImmediate(operand, isHalf);
    return this.#push({
      opcode: isRegister ? opcode | SOURCE_REGISTER : opcode,
      dst: number(dst),
      src: isRegister ? number(operand) : 0,
      offset: 0,
      immediate: isRegister ? 0 : operand,
      ...(target !== undefined && { target }),
    });
  }

  #memory(opcode: number, dst: number, src: number, offset: number, immediate: number): this {
    if (!Number.isInteger(offset) || offset > 0x7fff || offset < -0x8000) {
      throw new RangeError(`offset ${offset}: want -32768 to 32767`);
    }
    return this.#push({ opcode, dst, src, offset, immediate });
  }

  #wide(dst: Register, src: number, immediate: number, high: number, name?: string): this {
    return this.#push({
      opcode: LD_IMM64,
      dst: number(dst),
      src,
      offset: 0,
      immediate,
      high,
      ...(name !== undefined && { name }),
    });
  }

  #push(instruction: Instruction): this {
    this.#instructions.push(instruction);
    this.#length += slotsOf(instruction);
    return this;
  }
}

/** Where 64 bits are used, a number from 2^31 on would be read as negative: there it must be loaded by `mov64`. */
function checkImmediate(value: number, mayBeUnsigned: boolean): void {
  const highest = mayBeUnsigned ? 0xffffffff : 0x7fffffff;
  if (Number.isInteger(value) && value <= highest && value >= -0x80000000) return;
  throw new RangeError(`immediate ${value}: want a whole number from -2147483648 to ${highest}`);
}

function number(register: Register): number {
  return Number(register.slice(1));
}
