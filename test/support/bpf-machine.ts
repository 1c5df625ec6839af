// SPDX-License-Identifier: Apache-2.0
/**
 * Runs eBPF instructions without a kernel: as much of RFC 9669 as generated policy has, with maps as objects. Stricter than
 * the kernel where that is cheap: what was never written must not be read, memory ends where it ends.
 */
const LOOKUP = 1;
const TAIL_CALL = 12;
const stackBytes = 512;
const low32 = 0xffff_ffffn;
const all64 = 0xffff_ffff_ffff_ffffn;

export interface LookedUp {
  /** The value itself, which the program may write; null: no such row. */
  lookup(key: Uint8Array): Uint8Array | null;
  readonly keyBytes: number;
}

interface Programs {
  /** Null: nothing is there, and the tail call fails. */
  readonly programs: (slot: number) => Uint8Array | 'stop' | null;
}

export interface Run {
  /** What the program returned; null: it went to a slot that ends the run. */
  readonly returned: number | null;
  readonly slot: number | null;
  readonly steps: number;
  readonly tailCalls: number;
  readonly lookups: number;
}

export type MachineMap = LookedUp | Programs;
type Values = (bigint | null)[];

export class BpfMachine {
  readonly #maps: ReadonlyMap<number, MachineMap>;
  #regions: Uint8Array[] = [];
  #registers: Values = [];
  #steps = 0;
  #tailCalls = 0;
  #lookups = 0;

  /** @param maps - by descriptor. */
  constructor(maps: ReadonlyMap<number, MachineMap>) {
    this.#maps = maps;
  }

  run(program: Uint8Array): Run {
    this.#steps = 0;
    this.#tailCalls = 0;
    this.#lookups = 0;
    for (let at: Uint8Array = program; ; ) {
      const end = this.#execute(at);
      if (end instanceof Uint8Array) at = end;
      else return { ...end, steps: this.#steps, tailCalls: this.#tailCalls, lookups: this.#lookups };
    }
  }

  #execute(program: Uint8Array): Uint8Array | { returned: number | null; slot: number | null } {
    const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
    this.#regions = [new Uint8Array(stackBytes)];
    this.#registers = new Array<bigint | null>(11).fill(null);
    this.#registers[1] = 0xc0ffeen; // the context, which policy never reads
    this.#registers[10] = pointer(0, stackBytes);
    for (let pc = 0; ; pc++) {
      this.#steps++;
      const opcode = view.getUint8(pc * 8);
      const dst = view.getUint8(pc * 8 + 1) & 15;
      const src = view.getUint8(pc * 8 + 1) >> 4;
      const offset = view.getInt16(pc * 8 + 2, true);
      const immediate = view.getInt32(pc * 8 + 4, true);
      if (opcode === 0x95) return { returned: Number(this.#get(0) & low32), slot: null };
      if (opcode === 0x85) {
        const next = this.#call(immediate);
        if (next === 'stop') return { returned: null, slot: Number(this.#get(3)) };
        if (next) return next;
      } else if (opcode === 0x18) {
        const high = view.getUint32(pc * 8 + 12, true);
        this.#registers[dst] = ((BigInt(high) << 32n) | BigInt(immediate >>> 0)) & all64;
        pc++;
      } else if ((opcode & 7) === 1) this.#registers[dst] = this.#load(opcode, this.#get(src), offset);
      else if ((opcode & 7) === 3) this.#store(opcode, this.#get(dst), offset, this.#get(src));
      else if ((opcode & 7) === 2)
        this.#store(opcode, this.#get(dst), offset, BigInt.asUintN(64, BigInt(immediate)));
      else if ((opcode & 7) === 7) {
        const operand = opcode & 8 ? this.#get(src) : BigInt.asUintN(64, BigInt(immediate));
        this.#registers[dst] = calculate(
          opcode & 0xf0,
          (opcode & 0xf0) === 0xb0 ? 0n : this.#get(dst),
          operand,
        );
      } else if ((opcode & 7) === 5 || (opcode & 7) === 6) {
        const mask = (opcode & 7) === 6 ? low32 : all64;
        const operand = opcode & 8 ? this.#get(src) : BigInt.asUintN(64, BigInt(immediate));
        const condition = opcode & 0xf0;
        if (condition === 0 || holds(condition, this.#get(dst) & mask, operand & mask)) pc += offset;
      } else throw new Error(`opcode 0x${opcode.toString(16)} at ${pc}`);
    }
  }

  #call(helper: number): Uint8Array | 'stop' | null {
    if (helper === LOOKUP) this.#registers[0] = this.#lookup();
    else if (helper === TAIL_CALL) {
      const map = this.#maps.get(Number(this.#get(2)));
      if (!map || !('programs' in map)) throw new Error('tail call without a program array');
      if (this.#get(1) !== 0xc0ffeen) throw new Error('tail call without context');
      this.#tailCalls++;
      const next = this.#tailCalls > 33 ? null : map.programs(Number(this.#get(3)));
      if (next) return next;
    } else throw new Error(`helper ${helper}`);
    for (const register of [1, 2, 3, 4, 5]) this.#registers[register] = null;
    return null;
  }

  #lookup(): bigint {
    this.#lookups++;
    const map = this.#maps.get(Number(this.#get(1)));
    if (!map || !('lookup' in map)) throw new Error(`lookup in no map: ${this.#get(1)}`);
    const { region, at } = this.#place(this.#get(2), map.keyBytes);
    const value = map.lookup(region.slice(at, at + map.keyBytes));
    if (!value) return 0n;
    const known = this.#regions.indexOf(value);
    return pointer(known < 0 ? this.#regions.push(value) - 1 : known, 0);
  }

  #get(register: number): bigint {
    const value = this.#registers[register];
    if (value === null || value === undefined) throw new Error(`r${register} is read before it was written`);
    return value;
  }

  #load(opcode: number, base: bigint, offset: number): bigint {
    const size = sizeOf(opcode);
    const { region, at } = this.#place(base + BigInt(offset), size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(region[at + i] ?? 0);
    return value;
  }

  #store(opcode: number, base: bigint, offset: number, value: bigint): void {
    const size = sizeOf(opcode);
    const { region, at } = this.#place(base + BigInt(offset), size);
    for (let i = 0; i < size; i++) region[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }

  #place(address: bigint, size: number): { region: Uint8Array; at: number } {
    const region = this.#regions[Number(address >> 32n) - 1];
    const at = Number(address & low32);
    if (!region || at < 0 || at + size > region.length) throw new Error(`access to ${address.toString(16)}`);
    if (size <= 8 && at % size !== 0) throw new Error(`misaligned access to ${address.toString(16)}`);
    return { region, at };
  }
}

function pointer(region: number, offset: number): bigint {
  return (BigInt(region + 1) << 32n) | BigInt(offset);
}

function sizeOf(opcode: number): number {
  return ({ 16: 1, 8: 2, 0: 4, 24: 8 } as const)[opcode & 0x18] ?? 0;
}

function calculate(operation: number, a: bigint, b: bigint): bigint {
  switch (operation) {
    case 0x00:
      return (a + b) & all64;
    case 0x40:
      return a | b;
    case 0x50:
      return a & b;
    case 0x60:
      return (a << (b & 63n)) & all64;
    case 0xb0:
      return b;
    default:
      throw new Error(`operation 0x${operation.toString(16)}`);
  }
}

function holds(condition: number, a: bigint, b: bigint): boolean {
  switch (condition) {
    case 0x10:
      return a === b;
    case 0x20:
      return a > b;
    case 0x30:
      return a >= b;
    case 0x40:
      return (a & b) !== 0n;
    case 0x50:
      return a !== b;
    case 0xa0:
      return a < b;
    case 0xb0:
      return a <= b;
    default:
      throw new Error(`condition 0x${condition.toString(16)}`);
  }
}
