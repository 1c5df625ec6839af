// SPDX-License-Identifier: Apache-2.0
/**
 * Door of BPF objects: files that `clang -target bpf -O2 -g -mcpu=v3 -c` wrote.
 *
 * Takes in:   the file; when loading, maps to share, sizes, constants.
 * Gives out:  what is in it; then descriptors of loaded programs and of maps.
 * Invariants: no relocation against the kernel's own types (CO-RE), no externs: the same object for every kernel from 6.1.
 *             Constants of `.rodata` are set and frozen before the verifier looks, so that it prunes by them.
 * Next:       elf.ts and btf.ts read, linker.ts joins functions, map-definitions.ts finds maps, load.ts asks the kernel.
 */
import { InvalidError, NotFoundError } from '../../lib/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { Btf } from './btf.ts';
import { type BtfExt, parseBtfExt } from './btf-ext.ts';
import { type Elf, type ElfSymbol, parseElf, type Section, STT_FUNC } from './elf.ts';
import { instructionBytes } from './instruction.ts';
import { isData, type LinkedProgram, linkProgram, type MapReference } from './linker.ts';
import { cText, loadBtf, loadProgram, type ProgramBtf } from './load.ts';
import { BpfMap, type MapBtf } from './map.ts';
import { type MapDefinition, mapDefinitions } from './map-definitions.ts';
import { type MapSpec, type MapType, mapDifferences, mapFlags } from './map-spec.ts';
import { type ProgramType, programTypeOf } from './program-types.ts';

/** Source register of a 64-bit load, include/uapi/linux/bpf.h. */
const BPF_PSEUDO_MAP_FD = 1;
const BPF_PSEUDO_MAP_VALUE = 2;
/** Types whose keys and values the kernel lets be described. */
const describable: readonly MapType[] = ['HASH', 'ARRAY', 'LRU_HASH'];

export interface ObjectProgram {
  /** The function's. */
  readonly name: string;
  readonly section: string;
  readonly type: ProgramType;
}

/** A variable in `.rodata` that can be set before loading: `const volatile` in C. */
export interface ObjectConstant {
  readonly name: string;
  readonly section: string;
  readonly offset: number;
  readonly size: number;
}

/** Bytes for what is no number, as an address. */
export type ConstantValue = number | bigint | Uint8Array;

export interface LoadOptions {
  /** Used instead of new ones, by name in C (`.rodata`, `.data` and `.bss` are names too). They stay the caller's. */
  readonly maps?: ReadonlyMap<string, BpfMap>;
  /** In place of `max_entries`, by map. */
  readonly maxEntries?: { readonly [map: string]: number };
  /** By name. What is absent keeps the value it has in C. */
  readonly constants?: { readonly [name: string]: ConstantValue };
  /** By name. @defaultValue all */
  readonly programs?: readonly string[];
}

/** @param bytes - of the file; read, never changed. @throws {InvalidError} {UnsupportedError} */
export function parseObject(bytes: Uint8Array): BpfObject {
  try {
    return new BpfObject(parseElf(bytes));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidError(`cannot read BPF object: it points outside of itself`, [], { cause: error });
  }
}

export class BpfObject {
  readonly programs: readonly ObjectProgram[];
  readonly maps: readonly { readonly name: string; readonly spec: MapSpec }[];
  readonly constants: readonly ObjectConstant[];
  readonly #elf: Elf;
  readonly #btf: Btf;
  readonly #ext: BtfExt;
  readonly #definitions: readonly MapDefinition[];
  readonly #entries: ReadonlyMap<string, ElfSymbol>;
  readonly #license: string;

  constructor(elf: Elf) {
    this.#elf = elf;
    this.#btf = readBtf(elf);
    this.#ext = readBtfExt(elf, this.#btf);
    this.#definitions = mapDefinitions(this.#btf);
    this.#license = cText(sectionBytes(elf, 'license', 'char LICENSE[] SEC("license")'));
    this.#entries = new Map(entrySymbols(elf).map((symbol) => [symbol.name, symbol]));
    this.maps = this.#definitions;
    this.constants = constantsOf(elf, this.#btf);
    this.programs = [...this.#entries.values()].map((symbol) => {
      const section = symbol.section?.name ?? '';
      return { name: symbol.name, section, type: programTypeOf(section) };
    });
    for (const symbol of this.#entries.values()) this.#checkLinks(symbol);
  }

  /** @throws {VerifierError} {KernelError} {InvalidError} for names that the object does not have, and maps of another shape. */
  load(options: LoadOptions = {}): LoadedObject {
    const wanted = options.programs ?? [...this.#entries.keys()];
    this.#checkNames(options, wanted);
    using stack = new DisposableStack();
    using btf = loadBtf(this.#btf.bytes);
    const maps = new Map([...this.#createMaps(options, btf, stack), ...this.#createData(options, stack)]);
    const programs = new Map<string, Fd>();
    for (const program of this.programs) {
      if (!wanted.includes(program.name)) continue;
      programs.set(program.name, stack.use(this.#loadProgram(program, maps, btf)));
    }
    return new LoadedObject(programs, maps, stack.move());
  }

  /** So that what cannot be linked is known before anything is loaded. */
  #checkLinks(entry: ElfSymbol): void {
    for (const reference of linkProgram(this.#elf, entry).references) this.#mapName(reference);
  }

  #checkNames(options: LoadOptions, programs: readonly string[]): void {
    const maps = [
      ...this.#definitions.map(({ name }) => name),
      ...this.#dataSections().map(({ name }) => name),
    ];
    const constants = this.constants.map(({ name }) => name);
    checkKnown('program', programs, [...this.#entries.keys()]);
    checkKnown('map', [...Object.keys(options.maxEntries ?? {})], maps);
    checkKnown('constant', Object.keys(options.constants ?? {}), constants);
  }

  *#createMaps(options: LoadOptions, btf: Fd, stack: DisposableStack): Generator<[string, BpfMap]> {
    for (const definition of this.#definitions) {
      const { name } = definition;
      const maxEntries = options.maxEntries?.[name];
      const spec = maxEntries === undefined ? definition.spec : { ...definition.spec, maxEntries };
      const given = options.maps?.get(name);
      if (given)
        checkShape(given, maxEntries === undefined ? { ...spec, maxEntries: given.info.maxEntries } : spec);
      yield [name, given ?? stack.use(BpfMap.create(spec, mapBtf(definition, btf)))];
    }
  }

  *#createData(options: LoadOptions, stack: DisposableStack): Generator<[string, BpfMap]> {
    for (const section of this.#dataSections()) {
      const spec = dataSpec(section);
      const given = options.maps?.get(section.name);
      if (given) checkShape(given, spec);
      else yield [section.name, stack.use(this.#dataMap(spec, section, options))];
      if (given) yield [section.name, given];
    }
  }

  #dataMap(spec: MapSpec, section: Section, options: LoadOptions): BpfMap {
    const bytes = section.bytes.slice();
    for (const constant of this.constants) {
      const value = options.constants?.[constant.name];
      if (value !== undefined && constant.section === section.name) setConstant(bytes, constant, value);
    }
    const map = BpfMap.create(spec);
    try {
      map.set(new Uint8Array(4), bytes);
      if (isReadOnly(section)) map.freeze();
      return map;
    } catch (error) {
      map.close();
      throw error;
    }
  }

  #dataSections(): Section[] {
    return this.#elf.sections.filter((section) => isData(section.name) && section.bytes.length > 0);
  }

  #loadProgram(program: ObjectProgram, maps: ReadonlyMap<string, BpfMap>, btf: Fd): Fd {
    const entry = this.#entries.get(program.name);
    if (!entry) throw new NotFoundError(`program ${program.name}: the object does not have it`);
    const linked = linkProgram(this.#elf, entry);
    const view = new DataView(linked.instructions.buffer);
    for (const reference of linked.references) this.#putDescriptor(view, reference, maps);
    return loadProgram({
      name: program.name,
      type: program.type,
      instructions: linked.instructions,
      license: this.#license,
      btf: { fd: btf, ...programInfo(linked, this.#ext) },
    });
  }

  #putDescriptor(view: DataView, reference: MapReference, maps: ReadonlyMap<string, BpfMap>): void {
    const name = this.#mapName(reference);
    const map = maps.get(name);
    if (!map) throw new NotFoundError(`map ${name}: the object does not have it`);
    const isValue = reference.section !== '.maps';
    const start = reference.at * instructionBytes;
    const source = isValue ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
    view.setUint8(start + 1, (view.getUint8(start + 1) & 0xf) | (source << 4));
    view.setInt32(start + 4, map.fd.number, true);
    view.setInt32(start + 12, isValue ? reference.offset : 0, true); // the second half of the 64-bit load
  }

  #mapName({ section, offset }: MapReference): string {
    if (section !== '.maps') return section;
    const definition = this.#definitions.find((candidate) => candidate.offset === offset);
    if (definition) return definition.name;
    throw new InvalidError(`section .maps: got a use of offset ${offset}, want the start of a map`);
  }
}

/** Owns its programs, and those maps that were not given to it. */
export class LoadedObject implements Disposable {
  readonly #programs: ReadonlyMap<string, Fd>;
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #stack: DisposableStack;

  constructor(programs: ReadonlyMap<string, Fd>, maps: ReadonlyMap<string, BpfMap>, stack: DisposableStack) {
    this.#programs = programs;
    this.#maps = maps;
    this.#stack = stack;
  }

  /** @throws {NotFoundError} when it is not of this object, or was not asked for. */
  program(name: string): Fd {
    return known(this.#programs, 'program', name);
  }

  /** @throws {NotFoundError} */
  map(name: string): BpfMap {
    return known(this.#maps, 'map', name);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function known<T>(things: ReadonlyMap<string, T>, what: string, name: string): T {
  const thing = things.get(name);
  if (thing) return thing;
  throw new NotFoundError(`${what} ${name}: not loaded: want one of ${[...things.keys()].join(', ')}`);
}

function checkKnown(what: string, names: readonly string[], among: readonly string[]): void {
  const strange = names.filter((name) => !among.includes(name));
  if (strange.length === 0) return;
  throw new InvalidError(`${what} ${strange.join(', ')}: want one of ${among.join(', ') || 'none'}`);
}

function checkShape(map: BpfMap, wanted: MapSpec): void {
  const differences = mapDifferences(map.info, wanted);
  if (differences.length === 0) return;
  throw new InvalidError(`map ${wanted.name}: the one given differs: ${differences.join('; ')}`);
}

/** Every function outside `.text` is a program. @throws {InvalidError} */
function entrySymbols(elf: Elf): ElfSymbol[] {
  for (const { name, isCode, bytes } of elf.sections)
    if (isCode && bytes.length > 0 && name !== '.text') programTypeOf(name);
  return elf.symbols.filter(
    ({ type, section }) =>
      type === STT_FUNC && section !== null && section.isCode && section.name !== '.text',
  );
}

/** With variables at their places and sections with their sizes, as the kernel wants it. */
function readBtf(elf: Elf): Btf {
  const section = elf.sections.find(({ name }) => name === '.BTF');
  const bytes = sectionBytes(elf, '.BTF', 'clang -g').slice();
  const view = new DataView(bytes.buffer);
  for (const { offset, symbol } of section ? elf.relocationsOf(section) : []) {
    view.setUint32(offset, view.getUint32(offset, true) + symbol.value, true); // R_BPF_64_ABS32 and R_BPF_64_NODYLD32 alike
  }
  const btf = Btf.parse(bytes);
  for (const type of btf.types) {
    if (type.kind !== 'datasec') continue;
    const size = elf.sections.find(({ name }) => name === type.name)?.bytes.length;
    if (size === undefined)
      throw new InvalidError(`section ${type.name}: want no extern variables or functions`);
    btf.setSection(type, size);
  }
  return btf;
}

/** clang leaves it out where there are no functions. */
function readBtfExt(elf: Elf, btf: Btf): BtfExt {
  const section = elf.sections.find(({ name }) => name === '.BTF.ext');
  return section ? parseBtfExt(section.bytes, btf) : { functions: new Map(), lines: new Map() };
}

function sectionBytes(elf: Elf, name: string, want: string): Uint8Array {
  const section = elf.sections.find((candidate) => candidate.name === name);
  if (section) return section.bytes;
  throw new InvalidError(`cannot read BPF object: got no section ${name}, want ${want}`);
}

function isReadOnly(section: Section): boolean {
  return section.name.startsWith('.rodata');
}

function constantsOf(elf: Elf, btf: Btf): ObjectConstant[] {
  return elf.sections
    .filter(isReadOnly)
    .flatMap((section) =>
      btf
        .variables(section.name)
        .map(({ name, offset, size }) => ({ name, section: section.name, offset, size })),
    );
}

function dataSpec(section: Section): MapSpec {
  const flags = isReadOnly(section) ? mapFlags.readOnlyForPrograms : 0;
  return {
    name: section.name,
    type: 'ARRAY',
    keySize: 4,
    valueSize: section.bytes.length,
    maxEntries: 1,
    flags,
  };
}

function mapBtf({ spec, keyType, valueType }: MapDefinition, fd: Fd): MapBtf | undefined {
  if (keyType === null || valueType === null || !describable.includes(spec.type)) return undefined;
  return { fd, key: keyType, value: valueType };
}

/** @throws {RangeError} when it does not fit. */
function setConstant(bytes: Uint8Array, constant: ObjectConstant, value: ConstantValue): void {
  const { name, offset, size } = constant;
  if (value instanceof Uint8Array) {
    if (value.length !== size)
      throw new RangeError(`constant ${name}: got ${value.length} bytes, want ${size}`);
    bytes.set(value, offset);
    return;
  }
  const number = BigInt(value);
  const bits = size * 8;
  if (size > 8 || number >= 1n << BigInt(bits) || number < -(1n << BigInt(bits - 1))) {
    throw new RangeError(`constant ${name}: got ${number}, want a number of ${bits} bits`);
  }
  const word = new Uint8Array(BigInt64Array.of(BigInt.asIntN(64, number)).buffer);
  bytes.set(word.subarray(0, size), offset);
}

/** struct bpf_func_info and struct bpf_line_info: offsets in instructions of the linked whole. */
function programInfo(linked: LinkedProgram, ext: BtfExt): Omit<ProgramBtf, 'fd'> {
  const functions: number[] = [];
  const lines: number[] = [];
  for (const { symbol, section, at } of linked.functions) {
    const within = ({ offset }: { offset: number }) =>
      offset >= symbol.value && offset < symbol.value + symbol.size;
    const place = (offset: number) => at + (offset - symbol.value) / instructionBytes;
    for (const row of ext.functions.get(section.name)?.filter(within) ?? []) {
      functions.push(place(row.offset), row.type);
    }
    for (const row of ext.lines.get(section.name)?.filter(within) ?? []) {
      lines.push(place(row.offset), row.file, row.text, row.position);
    }
  }
  return { functions: words(functions), lines: words(lines) };
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
