// SPDX-License-Identifier: Apache-2.0
/**
 * BTF: the types of a BPF object. Maps are defined in it, and the kernel wants it to know functions and source lines.
 *
 * @see Documentation/bpf/btf.rst of the kernel, include/uapi/linux/btf.h
 */
import { InvalidError } from '../../lib/errors.ts';

const MAGIC = 0xeb9f;
const headerBytes = 24;
const typeBytes = 12; // struct btf_type
const memberBytes = 12; // struct btf_member, struct btf_var_secinfo

/** BTF_KIND_* by number; null where there is none. */
const kinds = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
] as const;
export type BtfKind = (typeof kinds)[number];

/** Bytes after struct btf_type, for each of `vlen` rows or once. */
const rowBytes: { readonly [K in BtfKind]?: number } = {
  struct: memberBytes,
  union: memberBytes,
  datasec: memberBytes,
  enum64: 12,
  enum: 8,
  func_proto: 8,
};
const tailBytes: { readonly [K in BtfKind]?: number } = { int: 4, array: 12, var: 4, decl_tag: 4 };

/** Kinds that only dress another type. */
const modifiers: readonly BtfKind[] = ['typedef', 'volatile', 'const', 'restrict', 'type_tag'];
const maxDepth = 32; // MAX_RESOLVE_DEPTH, kernel/bpf/btf.c

export interface BtfType {
  readonly id: number;
  readonly kind: BtfKind;
  readonly name: string;
  /** `size` of int, struct, union, enum, datasec and float; the type of the others. */
  readonly sizeOrType: number;
  readonly vlen: number;
  /** Where struct btf_type starts. */
  readonly at: number;
}

export interface BtfMember {
  readonly name: string;
  readonly type: number;
}

export interface BtfVariable {
  readonly name: string;
  readonly type: number;
  /** In its section. */
  readonly offset: number;
  readonly size: number;
}

export class Btf {
  readonly bytes: Uint8Array;
  readonly types: readonly BtfType[];
  readonly #view: DataView;
  readonly #strings: number;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const header = this.#header();
    this.#strings = header.strings;
    this.types = this.#readTypes(header.types, header.typesEnd);
  }

  /** @param bytes - of section `.BTF`; kept, and changed by `setSection`. @throws {InvalidError} {RangeError} where it ends too soon. */
  static parse(bytes: Uint8Array): Btf {
    return new Btf(bytes);
  }

  type(id: number): BtfType {
    const type = this.types[id];
    if (!type) throw new InvalidError(`BTF: got type ${id}, want one of ${this.types.length}`);
    return type;
  }

  /** Without typedefs and qualifiers. */
  resolve(id: number): BtfType {
    let type = this.type(id);
    for (let depth = 0; modifiers.includes(type.kind); depth++) {
      if (depth === maxDepth)
        throw new InvalidError(`BTF: type ${id} leads through more than ${maxDepth} others`);
      type = this.type(type.sizeOrType);
    }
    return type;
  }

  /** Bytes. @throws {InvalidError} for what has none, as void and functions. */
  sizeOf(id: number, depth = 0): number {
    const type = this.resolve(id);
    switch (type.kind) {
      case 'int':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'float':
      case 'datasec':
        return type.sizeOrType;
      case 'ptr':
        return 8;
      case 'array': {
        if (depth === maxDepth) throw new InvalidError(`BTF: arrays nested more than ${maxDepth} deep`);
        const { element, length } = this.array(type);
        return length * this.sizeOf(element, depth + 1);
      }
      default:
        throw new InvalidError(`BTF: got ${type.kind} ${type.name}, want a type with a size`);
    }
  }

  /** struct btf_array: type, index type, number of elements. */
  array(type: BtfType): { readonly element: number; readonly length: number } {
    this.#want(type, 'array');
    const at = type.at + typeBytes;
    return { element: this.#view.getUint32(at, true), length: this.#view.getUint32(at + 8, true) };
  }

  /** Of a struct or union. */
  members(type: BtfType): BtfMember[] {
    if (type.kind !== 'union') this.#want(type, 'struct');
    return this.#rows(type, memberBytes).map((at) => ({
      name: this.string(this.#view.getUint32(at, true)),
      type: this.#view.getUint32(at + 4, true),
    }));
  }

  /** Those of a section, by offset; none when the object has no such section. */
  variables(section: string): BtfVariable[] {
    const datasec = this.types.find((type) => type.kind === 'datasec' && type.name === section);
    if (!datasec) return [];
    return this.#rows(datasec, memberBytes).map((at) => {
      const variable = this.type(this.#view.getUint32(at, true));
      return {
        name: variable.name,
        type: variable.sizeOrType,
        offset: this.#view.getUint32(at + 4, true),
        size: this.#view.getUint32(at + 8, true),
      };
    });
  }

  /**
   * clang leaves a section's size out, and promises no order of its variables; the kernel wants the size, and them by
   * offset (btf_datasec_check_meta).
   */
  setSection(section: BtfType, size: number): void {
    this.#want(section, 'datasec');
    this.#view.setUint32(section.at + 8, size, true);
    const start = section.at + typeBytes;
    const rows = this.#rows(section, memberBytes).map((at) => this.bytes.slice(at, at + memberBytes));
    const offsetOf = (row: Uint8Array) => new DataView(row.buffer).getUint32(4, true);
    for (const [i, row] of rows.sort((a, b) => offsetOf(a) - offsetOf(b)).entries()) {
      this.bytes.set(row, start + i * memberBytes);
    }
  }

  string(offset: number): string {
    const start = this.#strings + offset;
    const end = this.bytes.indexOf(0, start);
    if (end < 0) throw new RangeError(`string at ${offset}`);
    return new TextDecoder().decode(this.bytes.subarray(start, end));
  }

  /** struct btf_header */
  #header(): { readonly types: number; readonly typesEnd: number; readonly strings: number } {
    const magic = this.#view.getUint16(0, true);
    const version = this.#view.getUint8(2);
    if (magic !== MAGIC || version !== 1) {
      throw new InvalidError(
        `BTF: got magic 0x${magic.toString(16)} version ${version}, want 0xeb9f version 1`,
      );
    }
    const length = this.#view.getUint32(4, true);
    if (length < headerBytes) throw new RangeError(`header of ${length} bytes`);
    const types = length + this.#view.getUint32(8, true);
    return {
      types,
      typesEnd: types + this.#view.getUint32(12, true),
      strings: length + this.#view.getUint32(16, true),
    };
  }

  #readTypes(start: number, end: number): BtfType[] {
    const types: BtfType[] = [{ id: 0, kind: 'void', name: 'void', sizeOrType: 0, vlen: 0, at: start }];
    for (let at = start; at < end; ) {
      const info = this.#view.getUint32(at + 4, true);
      const vlen = info & 0xffff;
      const kind = kinds[(info >>> 24) & 0x1f];
      if (kind === undefined || kind === 'void') {
        throw new InvalidError(`BTF: got type ${types.length} of kind ${(info >>> 24) & 0x1f}, want 1 to 19`);
      }
      const name = this.string(this.#view.getUint32(at, true));
      types.push({ id: types.length, kind, name, sizeOrType: this.#view.getUint32(at + 8, true), vlen, at });
      at += typeBytes + (tailBytes[kind] ?? 0) + vlen * (rowBytes[kind] ?? 0);
    }
    return types;
  }

  #rows(type: BtfType, bytes: number): number[] {
    return Array.from({ length: type.vlen }, (_, i) => type.at + typeBytes + i * bytes);
  }

  #want(type: BtfType, kind: BtfKind): void {
    if (type.kind === kind) return;
    throw new InvalidError(`BTF: got ${type.kind} ${type.name}, want a ${kind}`);
  }
}
