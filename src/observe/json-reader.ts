// SPDX-License-Identifier: Apache-2.0
import { type Fault, InvalidError } from '../lib/errors.ts';

export type JsonRecord = { readonly [key: string]: unknown };

/** Reads fields of unknown JSON and collects every fault, so that its author sees all of them at once. */
export class JsonReader {
  readonly #faults: Fault[] = [];

  /** @returns an empty record where there is none. */
  record(value: unknown, path: string): JsonRecord {
    if (value === undefined) return {};
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonRecord;
    this.fault(path, value, 'an object');
    return {};
  }

  list(value: unknown, path: string): readonly unknown[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.fault(path, value, 'a list');
    return [];
  }

  text(value: unknown, path: string): string {
    if (typeof value === 'string') return value;
    this.fault(path, value, 'text');
    return '';
  }

  integer(value: unknown, path: string, [min, max]: readonly [number, number]): number {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    this.fault(path, value, `a whole number from ${min} to ${max}`);
    return min;
  }

  oneOf<const T extends string | number | boolean>(
    value: unknown,
    path: string,
    allowed: readonly [T, ...T[]],
  ): T {
    const found = allowed.find((candidate) => candidate === value);
    if (found !== undefined) return found;
    this.fault(path, value, allowed.map((candidate) => JSON.stringify(candidate)).join(' or '));
    return allowed[0];
  }

  /** What `parse` makes of it; it answers null for what it cannot read. */
  parsed<T>(value: unknown, path: string, parse: (text: string) => T | null, want: string): T | null {
    const result = typeof value === 'string' ? parse(value) : null;
    if (result === null) this.fault(path, value, want);
    return result;
  }

  /** The field if it is there: `{...reader.optional(...)}` leaves out what was left out. */
  optional<K extends string, T>(from: JsonRecord, key: K, read: (value: unknown) => T): { [P in K]?: T } {
    const fields: { [P in K]?: T } = {};
    if (from[key] !== undefined) fields[key] = read(from[key]);
    return fields;
  }

  /** Fields that nobody reads are slips of the pen. */
  refuseOthers(from: JsonRecord, path: string, known: readonly string[]): void {
    for (const key of Object.keys(from)) {
      if (known.includes(key)) continue;
      const message = `unknown field ${JSON.stringify(key)}, want one of ${known.join(', ')}`;
      this.#faults.push({ path: path === '' ? key : `${path}.${key}`, message });
    }
  }

  fault(path: string, value: unknown, want: string): void {
    this.#faults.push({ path, message: `got ${JSON.stringify(value) ?? 'nothing'}, want ${want}` });
  }

  get faults(): readonly Fault[] {
    return this.#faults;
  }

  /** @throws {InvalidError} when any fault was found. */
  finish(what: string): void {
    if (this.#faults.length === 0) return;
    const list = this.#faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
    throw new InvalidError(`cannot read ${what}: ${list}`, this.#faults);
  }
}
