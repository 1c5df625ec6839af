// SPDX-License-Identifier: Apache-2.0
/** A map of bytes in memory, with the answers of one in the kernel: what does not fit is refused with E2BIG, row by row. */
import type { TableMap } from '../../src/drivers/ebpf/map-table.ts';
import type { MapEntry, MapFailure } from '../../src/kernel/bpf/map.ts';
import { KernelError } from '../../src/lib/errors.ts';

const E2BIG = 7;

export class FakeMap implements TableMap {
  readonly info: TableMap['info'];
  readonly rows: Map<string, Uint8Array> = new Map();
  /** How often it was written to. */
  writes = 0;

  constructor(keySize: number, valueSize: number, maxEntries = 1000) {
    this.info = { name: 'fake', type: 'HASH', keySize, valueSize, maxEntries, flags: 0, id: 1 };
  }

  *entries(): Generator<MapEntry> {
    for (const [key, value] of this.rows) yield [new Uint8Array(Buffer.from(key, 'hex')), value];
  }

  get(key: Uint8Array): Uint8Array | null {
    return this.rows.get(Buffer.from(key).toString('hex')) ?? null;
  }

  *chunks(): Generator<MapEntry[]> {
    yield [...this.entries()];
  }

  setMany(entries: Iterable<MapEntry>): MapFailure[] {
    const failures: MapFailure[] = [];
    for (const [key, value] of entries) {
      const text = Buffer.from(key).toString('hex');
      this.writes++;
      if (this.rows.has(text) || this.rows.size < this.info.maxEntries) this.rows.set(text, value);
      else failures.push({ key, error: new KernelError('write to map fake', E2BIG, 'full') });
    }
    return failures;
  }

  deleteMany(keys: Iterable<Uint8Array>): MapFailure[] {
    for (const key of keys) if (this.rows.delete(Buffer.from(key).toString('hex'))) this.writes++;
    return [];
  }
}
