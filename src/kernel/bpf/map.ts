// SPDX-License-Identifier: Apache-2.0
/**
 * A map of the kernel, over raw bytes.
 *
 * Takes in:   keys and values as the program's C sees them. Those of a per-CPU map are one value for each possible CPU,
 *             each rounded up to 8 bytes (`valueBytes` in all); `perCpu` and `forEveryCpu` take them apart and make them.
 *             The values of a program array are descriptors when written and program ids when read.
 * Gives out:  copies. A full hash map refuses a new key with E2BIG; ENOSPC means that an LPM_TRIE is full.
 * Invariants: many keys go in batches (BPF_MAP_UPDATE_BATCH and its like), which are not atomic: where one is refused part-way,
 *             the kernel says how far it came, that key is tried alone for its own error, and the next batch starts behind it.
 * Next:       map-spec.ts for types and flags, pin.ts for how it outlives us.
 */
import { KernelError } from '../../lib/errors.ts';
import { EAGAIN, EEXIST, ENOENT, ENOSPC, ENOTSUPP } from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import { kernelError } from '../sys/linux.ts';
import { sys } from '../sys/open.ts';
import * as call from './call.ts';
import { possibleCpus } from './cpus.ts';
import { cText } from './load.ts';
import { isPerCpu, type MapSpec, mapTypeOf, mapTypes, objectName, objectNameBytes } from './map-spec.ts';
import { openPinOf, pin } from './pin.ts';

/** Enough that the call costs nothing beside its entries, and that no batch holds the loop for milliseconds. */
const batchBytes = 1 << 18;
const batchEntries = 4096;
const maximumTries = 5;
const mapInfoBytes = 88; // struct bpf_map_info up to map_extra
const elementBytes = 32; // union bpf_attr of the BPF_MAP_*_ELEM commands
const writeFlags = { any: 0, noexist: 1, exist: 2 } as const; // BPF_ANY, BPF_NOEXIST, BPF_EXIST

export interface MapInfo extends MapSpec {
  readonly id: number;
}

export interface MapFailure {
  readonly key: Uint8Array;
  readonly error: KernelError;
}

/** Types of the key and of the value in a loaded BTF object: wanted by spin locks and timers, and by people who look. */
export interface MapBtf {
  readonly fd: Fd;
  readonly key: number;
  readonly value: number;
}

export type MapEntry = readonly [key: Uint8Array, value: Uint8Array];

export class BpfMap implements Disposable {
  readonly fd: Fd;
  readonly info: MapInfo;
  /** Bytes of what `get` gives and `set` takes. */
  readonly valueBytes: number;
  /** Of the single calls: filled and used within one call, never across a callback. */
  readonly #key: Uint8Array;
  readonly #value: Uint8Array;
  readonly #next: Uint8Array;
  readonly #attributeBytes = new Uint8Array(new ArrayBuffer(elementBytes));
  readonly #attributes = new DataView(this.#attributeBytes.buffer);
  readonly #batchEntries: number;
  #hasBatches = true;

  private constructor(fd: Fd) {
    this.fd = fd;
    this.info = readInfo(fd);
    const { type, keySize, valueSize } = this.info;
    this.valueBytes = isPerCpu(type) ? align8(valueSize) * possibleCpus() : valueSize;
    this.#key = new Uint8Array(new ArrayBuffer(Math.max(keySize, 8)));
    this.#next = new Uint8Array(new ArrayBuffer(Math.max(keySize, 8)));
    this.#value = new Uint8Array(new ArrayBuffer(Math.max(this.valueBytes, 8)));
    this.#attributes.setBigUint64(8, sys.addressOf(this.#key), true);
    const fits = Math.floor(batchBytes / (keySize + this.valueBytes));
    this.#batchEntries = Math.min(Math.max(fits, 1), batchEntries);
  }

  /** @throws {KernelError} EINVAL for sizes or flags that the type does not take. */
  static create(spec: MapSpec, btf?: MapBtf): BpfMap {
    const { type, keySize, valueSize, maxEntries, flags } = spec;
    const operation = `create map ${spec.name} (${type}, key ${keySize}, value ${valueSize}, entries ${maxEntries}, flags ${flags})`;
    return BpfMap.ofFd(
      call.bpfFd(operation, call.BPF_MAP_CREATE, [
        { at: 0, u32: mapTypes[type] },
        { at: 4, u32: keySize },
        { at: 8, u32: valueSize },
        { at: 12, u32: maxEntries },
        { at: 16, u32: flags },
        { at: 28, bytes: new TextEncoder().encode(objectName(spec.name)) },
        ...btfFields(btf),
      ]),
    );
  }

  /** Null when nothing is pinned there. @throws {InvalidError} when it is no map. */
  static openPin(path: string): BpfMap | null {
    const fd = openPinOf('map', path);
    return fd && BpfMap.ofFd(fd);
  }

  /** Null when it is gone. */
  static openId(id: number): BpfMap | null {
    try {
      return BpfMap.ofFd(call.bpfFd(`open map ${id}`, call.BPF_MAP_GET_FD_BY_ID, [{ at: 0, u32: id }]));
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENOENT) return null;
      throw error;
    }
  }

  /** Takes the descriptor over, also when it throws. */
  static ofFd(fd: Fd): BpfMap {
    try {
      return new BpfMap(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** @throws {KernelError} EEXIST */
  pin(path: string): void {
    pin(this.fd, path);
  }

  /** From now on nobody writes it by bpf(2); the verifier takes the values of a read-only array for constants. */
  freeze(): void {
    call.bpf(`freeze map ${this.info.name}`, call.BPF_MAP_FREEZE, [{ at: 0, u32: this.fd.number }]);
  }

  /** Null when it is not there. */
  get(key: Uint8Array): Uint8Array | null {
    this.#useKey(key);
    return this.#element('read', call.BPF_MAP_LOOKUP_ELEM, this.#value) ? this.#copyValue() : null;
  }

  /**
   * @returns false when the key was there and `noexist` was wanted, or was not and `exist` was.
   * @throws {KernelError} E2BIG or ENOSPC when the map is full.
   */
  set(key: Uint8Array, value: Uint8Array, when: keyof typeof writeFlags = 'any'): boolean {
    this.#useKey(key);
    this.#useValue(value);
    try {
      return this.#element('write', call.BPF_MAP_UPDATE_ELEM, this.#value, writeFlags[when]);
    } catch (error) {
      if (error instanceof KernelError && error.errno === EEXIST && when === 'noexist') return false;
      throw error;
    }
  }

  /** @returns false when it was gone already. */
  delete(key: Uint8Array): boolean {
    this.#useKey(key);
    return this.#element('delete from', call.BPF_MAP_DELETE_ELEM, null);
  }

  /** A slot of a program array. A tail call into an empty one falls through. */
  setProgram(index: number, program: Fd): void {
    this.set(u32(index), u32(program.number));
  }

  /** Null when the slot is empty. */
  programId(index: number): number | null {
    const value = this.get(u32(index));
    return value && new DataView(value.buffer).getUint32(0, true);
  }

  /** Adds or changes each. @returns those refused, for instance because the map is full. */
  setMany(entries: Iterable<MapEntry>): MapFailure[] {
    return this.#inBatches(entries, call.BPF_MAP_UPDATE_BATCH, (key, value) => void this.set(key, value));
  }

  /** Absent counts as deleted. @returns those refused. */
  deleteMany(keys: Iterable<Uint8Array>): MapFailure[] {
    const entries = Iterator.from(keys).map((key): MapEntry => [key, noValue]);
    return this.#inBatches(entries, call.BPF_MAP_DELETE_BATCH, (key) => void this.delete(key));
  }

  /**
   * What is there; of what changes meanwhile some may be missing, but no key comes twice from a map of a hash type. Each pair is
   * a view of its batch: keep what you need of it, not thousands of pairs.
   */
  *entries(): Generator<MapEntry> {
    for (const chunk of this.chunks()) yield* chunk;
  }

  /** The same in portions of about so many, each read when it is asked for. */
  *chunks(size: number = this.#batchEntries): Generator<readonly MapEntry[]> {
    const cursor = new Uint8Array(new ArrayBuffer(Math.max(this.info.keySize, 8)));
    let capacity = Math.min(size, this.#batchEntries);
    for (let first = true; this.#hasBatches; ) {
      const batch = this.#readBatch(cursor, first, capacity);
      if (batch.errno === ENOTSUPP) this.#hasBatches = false;
      else if (batch.errno === ENOSPC)
        capacity *= 2; // one hash bucket holds more than that
      else {
        yield batch.entries;
        first = false;
        if (batch.errno === ENOENT) return;
      }
    }
    for (const entry of this.#walk()) yield [entry];
  }

  /** One slice for each possible CPU. */
  perCpu(value: Uint8Array): Uint8Array[] {
    const stride = align8(this.info.valueSize);
    return Array.from({ length: this.valueBytes / stride }, (_, cpu) =>
      value.subarray(cpu * stride, cpu * stride + this.info.valueSize),
    );
  }

  /** The same for each possible CPU, as `set` wants it. */
  forEveryCpu(value: Uint8Array): Uint8Array {
    const all = new Uint8Array(this.valueBytes);
    for (const slice of this.perCpu(all)) slice.set(value);
    return all;
  }

  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** For types without batches: key by key, and those that went meanwhile left out. */
  *#walk(): Generator<MapEntry> {
    for (let key = this.#nextKey(null); key; key = this.#nextKey(key)) {
      const value = this.get(key);
      if (value) yield [key, value];
    }
  }

  #nextKey(after: Uint8Array | null): Uint8Array | null {
    if (after) this.#key.set(after);
    this.#attributes.setBigUint64(8, after ? sys.addressOf(this.#key) : 0n, true);
    try {
      const found = this.#element('list', call.BPF_MAP_GET_NEXT_KEY, this.#next);
      return found ? this.#next.slice(0, this.info.keySize) : null;
    } finally {
      this.#attributes.setBigUint64(8, sys.addressOf(this.#key), true);
    }
  }

  /** `entries` is read only where the kernel filled it: ENOENT is its word for the end. */
  #readBatch(cursor: Uint8Array, first: boolean, capacity: number): { errno: number; entries: MapEntry[] } {
    const { keySize } = this.info;
    const keys = new Uint8Array(new ArrayBuffer(keySize * capacity));
    const values = new Uint8Array(new ArrayBuffer(this.valueBytes * capacity));
    const { errno, attributes } = call.tryBpf(call.BPF_MAP_LOOKUP_BATCH, [
      ...(first ? [] : [{ at: 0, pointer: cursor }]),
      { at: 8, pointer: cursor },
      { at: 16, pointer: keys },
      { at: 24, pointer: values },
      { at: 32, u32: capacity },
      { at: 36, u32: this.fd.number },
    ]);
    if (errno !== 0 && errno !== ENOENT && errno !== ENOSPC && errno !== ENOTSUPP) {
      throw kernelError(`list map ${this.info.name}`, errno);
    }
    const count = errno === 0 || errno === ENOENT ? attributes.getUint32(32, true) : 0;
    const entries = Array.from(
      { length: count },
      (_, i): MapEntry => [
        keys.subarray(i * keySize, (i + 1) * keySize),
        values.subarray(i * this.valueBytes, (i + 1) * this.valueBytes),
      ],
    );
    return { errno, entries };
  }

  #inBatches(
    entries: Iterable<MapEntry>,
    command: number,
    single: (key: Uint8Array, value: Uint8Array) => void,
  ): MapFailure[] {
    const failures: MapFailure[] = [];
    const { keySize } = this.info;
    const keys = new Uint8Array(new ArrayBuffer(keySize * this.#batchEntries));
    const values = new Uint8Array(new ArrayBuffer(this.valueBytes * this.#batchEntries));
    const hasValues = command === call.BPF_MAP_UPDATE_BATCH;
    const one = (i: number): void => {
      const key = keys.slice(i * keySize, (i + 1) * keySize);
      try {
        single(key, values.subarray(i * this.valueBytes, (i + 1) * this.valueBytes));
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        failures.push({ key, error });
      }
    };
    let count = 0;
    const flush = (): void => {
      for (let from = 0; from < count; ) {
        from += this.#writeBatch(command, keys, hasValues ? values : null, from, count);
        if (from < count) one(from++);
      }
      count = 0;
    };
    for (const [key, value] of entries) {
      this.#checkKey(key);
      if (hasValues) this.#checkValue(value);
      keys.set(key, count * keySize);
      if (hasValues) values.set(value, count * this.valueBytes);
      if (++count === this.#batchEntries) flush();
    }
    flush();
    return failures;
  }

  /** @returns how many of `from` to `to` were taken. */
  #writeBatch(
    command: number,
    keys: Uint8Array,
    values: Uint8Array | null,
    from: number,
    to: number,
  ): number {
    if (!this.#hasBatches) return 0;
    const { errno, attributes } = call.tryBpf(command, [
      { at: 16, pointer: keys.subarray(from * this.info.keySize) },
      ...(values ? [{ at: 24, pointer: values.subarray(from * this.valueBytes) }] : []),
      { at: 32, u32: to - from },
      { at: 36, u32: this.fd.number },
    ]);
    if (errno === 0) return to - from;
    if (errno === ENOTSUPP) this.#hasBatches = false;
    const taken = attributes.getUint32(32, true);
    return taken === to - from ? 0 : taken; // unchanged where it was refused before the first
  }

  /** @returns false for ENOENT. */
  #element(verb: string, command: number, value: Uint8Array | null, flags = 0): boolean {
    this.#attributes.setUint32(0, this.fd.number, true); // throws when it was closed
    this.#attributes.setBigUint64(16, value ? sys.addressOf(value) : 0n, true);
    this.#attributes.setBigUint64(24, BigInt(flags), true);
    let result = sys.bpf(command, this.#attributeBytes);
    // node:ffi reads errno by a call of its own, and the collector may have waited in between: no such command says EAGAIN
    for (let tries = 1; result === -EAGAIN && tries < maximumTries; tries++)
      result = sys.bpf(command, this.#attributeBytes);
    if (result >= 0) return true;
    if (result === -ENOENT) return false;
    throw kernelError(`${verb} map ${this.info.name}`, -result);
  }

  #copyValue(): Uint8Array {
    return this.#value.slice(0, this.valueBytes);
  }

  #useKey(key: Uint8Array): void {
    this.#checkKey(key);
    this.#key.set(key);
  }

  #useValue(value: Uint8Array): void {
    this.#checkValue(value);
    this.#value.set(value);
  }

  #checkKey(key: Uint8Array): void {
    if (key.length === this.info.keySize) return;
    throw new RangeError(`key of map ${this.info.name}: got ${key.length} bytes, want ${this.info.keySize}`);
  }

  #checkValue(value: Uint8Array): void {
    if (value.length === this.valueBytes) return;
    throw new RangeError(
      `value of map ${this.info.name}: got ${value.length} bytes, want ${this.valueBytes}`,
    );
  }
}

const noValue = new Uint8Array(0);

function readInfo(fd: Fd): MapInfo {
  const info = call.objectInfo('read map', fd, mapInfoBytes);
  const name = cText(new Uint8Array(info.buffer, 24, objectNameBytes));
  return {
    name,
    id: info.getUint32(4, true),
    type: mapTypeOf(info.getUint32(0, true), `map ${name}`),
    keySize: info.getUint32(8, true),
    valueSize: info.getUint32(12, true),
    maxEntries: info.getUint32(16, true),
    flags: info.getUint32(20, true),
  };
}

function btfFields(btf: MapBtf | undefined): call.Field[] {
  if (!btf) return [];
  return [
    { at: 48, u32: btf.fd.number },
    { at: 52, u32: btf.key },
    { at: 56, u32: btf.value },
  ];
}

function align8(length: number): number {
  return (length + 7) & ~7;
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
