// SPDX-License-Identifier: Apache-2.0
/** A map whose every row is ours, for the reconciler: keys as hexadecimal text, values as bytes. */
import type { BpfMap, MapEntry } from '../../kernel/bpf/map.ts';
import { type KernelTable, Reconciler } from '../../reconcile/reconciler.ts';

export type MapRows = Reconciler<string, Uint8Array>;

/** @param name - for reports. @param told - what stands for the key in a report; the hexadecimal text where it says nothing. */
export function reconciled(map: BpfMap, name: string): MapRows {
  return new Reconciler(new MapTable(map, name));
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
}

/** What is wanted is exactly this. */
export function want(rows: MapRows, wanted: Iterable<MapEntry>): void {
  const gone = new Set(rows.desired().keys());
  for (const [key, value] of wanted) {
    const text = keyText(key);
    gone.delete(text);
    rows.setDesired(text, value);
  }
  for (const text of gone) rows.deleteDesired(text);
}

class MapTable implements KernelTable<string, Uint8Array> {
  readonly name: string;
  readonly #map: BpfMap;

  constructor(map: BpfMap, name: string) {
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
    const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
    const refused = this.#map.setMany(upserts.map(([key, value]) => [bytes(key), value] as const));
    const stuck = this.#map.deleteMany(deletes.map(bytes));
    return new Map([...refused, ...stuck].map(({ key, error }) => [keyText(key), error]));
  }

  same(a: Uint8Array, b: Uint8Array): boolean {
    return Buffer.compare(a, b) === 0;
  }
}
