// SPDX-License-Identifier: Apache-2.0
/** A map whose every row is ours, for the reconciler: keys as hexadecimal text, values as bytes. */
import type { BpfMap } from '../../kernel/bpf/map.ts';
import { type KernelTable, Reconciler, type TableReport } from '../../reconcile/reconciler.ts';
import { MapAudit, type ReadableMap } from './map-audit.ts';

/** As much of a BpfMap as a table of rows uses. */
export type TableMap = Pick<BpfMap, 'info' | 'entries' | 'setMany' | 'deleteMany'> & ReadableMap;

export class MapRows extends Reconciler<string, Uint8Array> {
  readonly #audit: MapAudit<Uint8Array>;
  readonly #room: { readonly name: string; readonly maxEntries: number };

  /** @param name - for reports. */
  constructor(map: TableMap, name: string) {
    super(new MapTable(map, name));
    this.#room = map.info;
    const actual = () => this.actual();
    this.#audit = new MapAudit({ map, actual, textOf: keyText, keyOf, same: sameBytes });
  }

  /** What did not fit is told with how much does, and how much would be wanted. */
  override apply(): TableReport {
    const report = super.apply();
    const { name, maxEntries } = this.#room;
    const want = this.desired().size;
    if (report.failed.length === 0 || want <= maxEntries) return report;
    const room = `map ${name} has room for ${maxEntries} rows, want ${want}`;
    return { ...report, failed: report.failed.map((f) => ({ ...f, message: `${f.message}; ${room}` })) };
  }

  /** Someone else wrote there, as far as a look at the next portion tells. */
  differs(): boolean {
    return this.#audit.differs();
  }
}

export function reconciled(map: TableMap, name: string): MapRows {
  return new MapRows(map, name);
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
}

class MapTable implements KernelTable<string, Uint8Array> {
  readonly name: string;
  readonly #map: TableMap;

  constructor(map: TableMap, name: string) {
    this.#map = map;
    this.name = name;
  }

  isOurs(): boolean {
    return true; // nobody else has business in it
  }

  *list(): Iterable<readonly [string, Uint8Array]> {
    for (const [key, value] of this.#map.entries()) yield [keyText(key), value];
  }

  /** What goes makes room for what comes only afterwards: a row that moved is never missing meanwhile. */
  commit(
    upserts: readonly (readonly [string, Uint8Array])[],
    deletes: readonly string[],
  ): ReadonlyMap<string, Error> {
    const refused = this.#map.setMany(upserts.map(([key, value]) => [keyOf(key), value] as const));
    const stuck = this.#map.deleteMany(deletes.map(keyOf));
    return new Map([...refused, ...stuck].map(({ key, error }) => [keyText(key), error]));
  }

  same(a: Uint8Array, b: Uint8Array): boolean {
    return sameBytes(a, b);
  }
}

function keyOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
