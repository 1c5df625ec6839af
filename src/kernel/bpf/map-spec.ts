// SPDX-License-Identifier: Apache-2.0
/** What a map is made of: types, sizes, flags. include/uapi/linux/bpf.h */
import { UnsupportedError } from '../../lib/errors.ts';

/** enum bpf_map_type: those that Muslin uses. */
export const mapTypes = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  RINGBUF: 27,
} as const;
export type MapType = keyof typeof mapTypes;

/** BPF_F_*, for `flags`. */
export const mapFlags = {
  /** Memory is taken entry by entry. LPM_TRIE wants it. */
  noPrealloc: 0x1,
  /** An LRU list for each CPU: faster, and evicts before the map is full. */
  noCommonLru: 0x2,
  /** Programs only read it. */
  readOnlyForPrograms: 0x80,
} as const;

export interface MapSpec {
  /** A-Z, a-z, 0-9, '_' and '.'. The kernel keeps 15 characters of it, for people to read. */
  readonly name: string;
  readonly type: MapType;
  /** Bytes; 0 for RINGBUF. */
  readonly keySize: number;
  /** Bytes, for per-CPU types those of one CPU; 0 for RINGBUF. */
  readonly valueSize: number;
  /** For RINGBUF its bytes: a power of two, and a multiple of the page size. */
  readonly maxEntries: number;
  readonly flags: number;
}

const typeNames = new Map(
  Object.entries(mapTypes).map(([name, number]) => [number as number, name as MapType]),
);
export const objectNameBytes = 16; // BPF_OBJ_NAME_LEN, with the final NUL

/** @throws {UnsupportedError} */
export function mapTypeOf(number: number, what: string): MapType {
  const type = typeNames.get(number);
  if (type === undefined) {
    throw new UnsupportedError(
      `${what}: got map type ${number}, want one of ${Object.keys(mapTypes).join(', ')}`,
    );
  }
  return type;
}

export function isPerCpu(type: MapType): boolean {
  return type === 'PERCPU_HASH' || type === 'PERCPU_ARRAY' || type === 'LRU_PERCPU_HASH';
}

/** Where `found` is not as `wanted`, each as `maxEntries: got 10, want 20`; a name is no difference. */
export function mapDifferences(found: MapSpec, wanted: MapSpec): string[] {
  const fields = ['type', 'keySize', 'valueSize', 'maxEntries', 'flags'] as const;
  return fields
    .filter((field) => found[field] !== wanted[field])
    .map((field) => `${field}: got ${found[field]}, want ${wanted[field]}`);
}

/** @throws {TypeError} when the kernel would not take it. */
export function objectName(name: string): string {
  if (!/^[A-Za-z0-9_.]+$/.test(name))
    throw new TypeError(`name ${JSON.stringify(name)}: want A-Z, a-z, 0-9, _ and .`);
  return name.slice(0, objectNameBytes - 1);
}
