// SPDX-License-Identifier: Apache-2.0
/**
 * Joins a program of an object with the functions that it calls or passes on, as the kernel wants them: one array of
 * instructions, the entry first, calls and callbacks counted in instructions from where they stand.
 *
 * @see RFC 9669 sections 4.3.1 (program-local functions) and 5.4 (64-bit immediates)
 * @see Documentation/bpf/llvm_reloc.rst of the kernel
 */
import { InvalidError } from '../../lib/errors.ts';
import { type Elf, type ElfSymbol, type Relocation, type Section, STT_FUNC, STT_SECTION } from './elf.ts';
import { instructionBytes } from './instruction.ts';

const R_BPF_NONE = 0;
const R_BPF_64_64 = 1;
const R_BPF_64_32 = 10;
const LD_IMM64 = 0x18;
const CALL = 0x85;
/** Values of an instruction's source register, include/uapi/linux/bpf.h. */
const BPF_PSEUDO_CALL = 1;
const BPF_PSEUDO_FUNC = 4;

/** A function of the object and where it came to stand. */
export interface Placed {
  readonly symbol: ElfSymbol;
  readonly section: Section;
  /** Its first instruction in the whole. */
  readonly at: number;
}

/** An instruction that will hold a map's descriptor. */
export interface MapReference {
  readonly at: number;
  /** A map of `.maps`, or a section of data. */
  readonly section: string;
  /** In that section. */
  readonly offset: number;
}

export interface LinkedProgram {
  readonly instructions: Uint8Array;
  readonly functions: readonly Placed[];
  readonly references: readonly MapReference[];
}

/** Sections of data: each becomes an array with one value. */
export function isData(section: string): boolean {
  return /^\.(rodata|data|bss)(\.|$)/.test(section);
}

/** @throws {InvalidError} */
export function linkProgram(elf: Elf, entry: ElfSymbol): LinkedProgram {
  return new Linker(elf).link(entry);
}

class Linker {
  readonly #elf: Elf;
  readonly #placed: Placed[] = [];
  readonly #references: MapReference[] = [];
  readonly #code: Uint8Array[] = [];
  #length = 0;

  constructor(elf: Elf) {
    this.#elf = elf;
  }

  link(entry: ElfSymbol): LinkedProgram {
    this.#place(entry);
    for (let i = 0; i < this.#placed.length; i++) {
      const placed = this.#placed[i];
      if (placed) this.#relocate(placed, this.#code[i] ?? new Uint8Array()); // may place more
    }
    const instructions = new Uint8Array(this.#length * instructionBytes);
    for (const [i, { at }] of this.#placed.entries()) {
      instructions.set(this.#code[i] ?? [], at * instructionBytes);
    }
    return { instructions, functions: this.#placed, references: this.#references };
  }

  /** @returns its first instruction. */
  #place(symbol: ElfSymbol): number {
    const known = this.#placed.find((placed) => placed.symbol === symbol);
    if (known) return known.at;
    if (!symbol.section) throw new InvalidError(`function ${symbol.name}: it is not defined in the object`);
    const at = this.#length;
    const code = symbol.section.bytes.slice(symbol.value, symbol.value + symbol.size);
    if (code.length !== symbol.size || code.length % instructionBytes !== 0 || code.length === 0) {
      throw new InvalidError(`function ${symbol.name}: got ${symbol.size} bytes, want whole instructions`);
    }
    this.#placed.push({ symbol, section: symbol.section, at });
    this.#code.push(code);
    this.#length += code.length / instructionBytes;
    return at;
  }

  #relocate({ symbol, section, at }: Placed, code: Uint8Array): void {
    const relocations = new Map(this.#elf.relocationsOf(section).map((row) => [row.offset, row]));
    const view = new DataView(code.buffer);
    for (let offset = 0; offset < code.length; offset += instructionBytes) {
      const opcode = view.getUint8(offset);
      const relocation = relocations.get(symbol.value + offset);
      const index = at + offset / instructionBytes;
      const isLocalCall = opcode === CALL && view.getUint8(offset + 1) >> 4 === BPF_PSEUDO_CALL;
      if (isLocalCall) this.#call(view, offset, index, section, symbol.value + offset, relocation);
      else if (relocation && relocation.type !== R_BPF_NONE)
        this.#load(view, offset, index, relocation, symbol);
      if (opcode === LD_IMM64) offset += instructionBytes; // its second half is no instruction
    }
  }

  /** The assembler leaves the distance in instructions, less one, from the symbol; without symbol from the call itself. */
  #call(
    view: DataView,
    offset: number,
    index: number,
    section: Section,
    from: number,
    relocation: Relocation | undefined,
  ): void {
    if (relocation && relocation.type !== R_BPF_64_32) throw unknownKind(relocation, section.name);
    const base = relocation ? relocation.symbol.value : from;
    const start = base + (view.getInt32(offset + 4, true) + 1) * instructionBytes;
    const home = relocation ? definedIn(relocation.symbol) : section;
    const target = this.#place(this.#functionAt(home, start));
    view.setInt32(offset + 4, target - index - 1, true);
  }

  #load(view: DataView, offset: number, index: number, relocation: Relocation, within: ElfSymbol): void {
    const opcode = view.getUint8(offset);
    if (relocation.type !== R_BPF_64_64 || opcode !== LD_IMM64)
      throw unknownKind(relocation, within.name, opcode);
    const { symbol } = relocation;
    const home = definedIn(symbol);
    const place = symbol.value + view.getInt32(offset + 4, true);
    if (home.isCode) this.#callback(view, offset, index, this.#functionAt(home, place));
    else if (home.name === '.maps' || isData(home.name)) {
      this.#references.push({ at: index, section: home.name, offset: place });
    } else {
      throw new InvalidError(
        `${within.name} uses ${symbol.name} of section ${home.name}: want one of .maps, .rodata, .data, .bss or a function`,
      );
    }
  }

  #callback(view: DataView, offset: number, index: number, target: ElfSymbol): void {
    const destination = view.getUint8(offset + 1) & 0xf;
    view.setUint8(offset + 1, destination | (BPF_PSEUDO_FUNC << 4));
    view.setInt32(offset + 4, this.#place(target) - index - 1, true);
  }

  #functionAt(section: Section, offset: number): ElfSymbol {
    const found = this.#elf.symbols.find(
      (symbol) => symbol.type === STT_FUNC && symbol.section === section && symbol.value === offset,
    );
    if (!found)
      throw new InvalidError(
        `section ${section.name}: got no function at ${offset}, want one that is called`,
      );
    return found;
  }
}

function definedIn(symbol: ElfSymbol): Section {
  if (symbol.section) return symbol.section;
  throw new InvalidError(
    `symbol ${symbol.name}: it is not defined in the object: want no extern variables or functions of the kernel`,
  );
}

function unknownKind(relocation: Relocation, within: string, opcode?: number): InvalidError {
  const { type, symbol } = relocation;
  const what = symbol.type === STT_SECTION ? `section ${symbol.name}` : symbol.name;
  const on = opcode === undefined ? '' : ` on instruction 0x${opcode.toString(16)}`;
  return new InvalidError(
    `${within}: got a relocation of kind ${type}${on} against ${what}, want R_BPF_64_64 (1) on a 64-bit load or R_BPF_64_32 (10) on a call`,
  );
}
