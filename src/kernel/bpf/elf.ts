// SPDX-License-Identifier: Apache-2.0
/**
 * The ELF files that `clang -target bpf -c` writes: 64 bits, little-endian, relocatable.
 *
 * @see System V Application Binary Interface, gABI 4.1, chapters 4 and 5
 */
import { InvalidError } from '../../lib/errors.ts';

const EM_BPF = 247;
const ET_REL = 1;
const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHT_NOBITS = 8;
const SHT_REL = 9;
const SHF_EXECINSTR = 0x4;
const SHN_UNDEF = 0;
const sectionHeaderBytes = 64;
const symbolBytes = 24;
const relocationBytes = 16;

/** ELF64_ST_TYPE: what code here tells apart. */
export const STT_FUNC = 2;
export const STT_SECTION = 3;

export interface Section {
  readonly index: number;
  readonly name: string;
  readonly isCode: boolean;
  /** Bytes; also of `.bss`, whose `bytes` are zeros that the file does not hold. */
  readonly bytes: Uint8Array;
}

export interface ElfSymbol {
  /** Of a section's own symbol: the section's. */
  readonly name: string;
  readonly type: number;
  /** Null for what is defined elsewhere. */
  readonly section: Section | null;
  /** Offset in its section. */
  readonly value: number;
  readonly size: number;
}

export interface Relocation {
  /** Offset in the section that is relocated. */
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
}

export interface Elf {
  readonly sections: readonly Section[];
  readonly symbols: readonly ElfSymbol[];
  relocationsOf(section: Section): readonly Relocation[];
}

interface Header {
  readonly name: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

/** @throws {InvalidError} naming what it found in place of a BPF object. */
export function parseElf(file: Uint8Array): Elf {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    checkIdentity(view);
    const headers = sectionHeaders(view);
    const sections = namedSections(view, headers);
    const symbols = readSymbols(view, headers, sections);
    const relocations = readRelocations(view, headers, symbols);
    return { sections, symbols, relocationsOf: (section) => relocations.get(section.index) ?? [] };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidError(`ELF file of ${file.length} bytes: it ends before what its headers promise`, [], {
      cause: error,
    });
  }
}

function checkIdentity(view: DataView): void {
  const magic = view.getUint32(0);
  if (magic !== 0x7f454c46) throw invalid(`starts with ${hex(magic)}`, 'an ELF file (0x7f454c46)');
  const kind = `class ${view.getUint8(4)}, byte order ${view.getUint8(5)}`;
  if (view.getUint8(4) !== 2 || view.getUint8(5) !== 1)
    throw invalid(kind, '64 bits (2) and little-endian (1)');
  const machine = view.getUint16(18, true);
  if (machine !== EM_BPF) throw invalid(`machine ${machine}`, `BPF (${EM_BPF})`);
  const type = view.getUint16(16, true);
  if (type !== ET_REL) throw invalid(`file type ${type}`, 'a relocatable object (1), as clang -c writes it');
}

function sectionHeaders(view: DataView): Header[] {
  const start = offset64(view, 40);
  const count = view.getUint16(60, true);
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * sectionHeaderBytes;
    return {
      name: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      flags: view.getUint32(at + 8, true),
      offset: offset64(view, at + 24),
      size: offset64(view, at + 32),
      link: view.getUint32(at + 40, true),
      info: view.getUint32(at + 44, true),
    };
  });
}

function namedSections(view: DataView, headers: readonly Header[]): Section[] {
  const names = at(headers, view.getUint16(62, true), 'section');
  return headers.map((header, index) => ({
    index,
    name: text(view, names, header.name),
    isCode: (header.flags & SHF_EXECINSTR) !== 0,
    bytes: header.type === SHT_NOBITS ? zeros(header.size) : slice(view, header),
  }));
}

function readSymbols(view: DataView, headers: readonly Header[], sections: readonly Section[]): ElfSymbol[] {
  const table = headers.find((header) => header.type === SHT_SYMTAB);
  if (!table) throw invalid('no symbol table', 'an object that was not stripped');
  const names = at(headers, table.link, 'section');
  return Array.from({ length: table.size / symbolBytes }, (_, i) => {
    const start = table.offset + i * symbolBytes;
    const index = view.getUint16(start + 6, true);
    const section = (index === SHN_UNDEF ? null : sections[index]) ?? null; // absolute ones (0xfff1) name source files
    const type = view.getUint8(start + 4) & 0xf;
    return {
      name: type === STT_SECTION && section ? section.name : text(view, names, view.getUint32(start, true)),
      type,
      section,
      value: offset64(view, start + 8),
      size: offset64(view, start + 16),
    };
  });
}

function readRelocations(
  view: DataView,
  headers: readonly Header[],
  symbols: readonly ElfSymbol[],
): Map<number, Relocation[]> {
  const bySection = new Map<number, Relocation[]>();
  for (const header of headers) {
    if (header.type === SHT_RELA)
      throw invalid('relocations with addends (RELA)', 'REL, as clang writes for BPF');
    if (header.type !== SHT_REL) continue;
    const rows = Array.from({ length: header.size / relocationBytes }, (_, i): Relocation => {
      const start = header.offset + i * relocationBytes;
      const symbol = at(symbols, view.getUint32(start + 12, true), 'symbol');
      return { offset: offset64(view, start), type: view.getUint32(start + 8, true), symbol };
    });
    bySection.set(header.info, rows);
  }
  return bySection;
}

function slice(view: DataView, header: Header): Uint8Array {
  if (header.offset + header.size > view.byteLength) throw new RangeError(`section at ${header.offset}`);
  return new Uint8Array(view.buffer, view.byteOffset + header.offset, header.size);
}

/** A header may claim any size; the kernel takes no map value beyond this (KMALLOC_MAX_SIZE). */
function zeros(size: number): Uint8Array {
  if (size > 1 << 22) throw invalid(`a section of ${size} zero bytes`, `at most ${1 << 22}`);
  return new Uint8Array(size);
}

function text(view: DataView, table: Header, offset: number): string {
  const bytes = slice(view, table).subarray(offset);
  return new TextDecoder().decode(bytes.subarray(0, Math.max(bytes.indexOf(0), 0)));
}

/** Offsets beyond 2^53 are no files. */
function offset64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function at<T>(rows: readonly T[], index: number, what: string): T {
  const row = rows[index];
  if (row === undefined) throw invalid(`${what} ${index}`, `one of ${rows.length}`);
  return row;
}

function invalid(got: string, want: string): InvalidError {
  return new InvalidError(`cannot read BPF object: got ${got}, want ${want}`);
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
