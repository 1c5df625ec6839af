// SPDX-License-Identifier: Apache-2.0
/**
 * The rows of one lookup, kept up to date as its sources win and lose members: of each member the first source that holds it,
 * be it by itself or in a wider network. `nets` is asked only where `sets` has no answer, and answers with the longest prefix
 * alone, so every row must know what covers it.
 */
import type { Lookup } from './lookup.ts';
import {
  type AddressBytes,
  addressBits,
  addressKey,
  masked,
  memberFamily,
  type NetMember,
  netKey,
  netMember,
  portKey,
} from './set-member.ts';

export interface RowSink {
  /** @param value - null: no row. */
  set(table: 'sets' | 'nets', key: string, value: number | null): void;
}

interface Row extends NetMember {
  /** Sources that hold just this member, ascending. */
  holders: readonly number[];
}

/** More than so many changed networks, and every row is looked at once. */
const fewNets = 8;

export class LookupRows {
  readonly #lookup: Lookup;
  readonly #sink: RowSink;
  /** By address; then by length in bits. */
  readonly #rows = new Map<number, Map<AddressBytes, Row>>();
  /** Members of a lookup of ports: each a row by itself. */
  readonly #ports = new Set<string>();
  readonly #changed = new Set<Row>();
  #changedNets: Row[] = [];
  #size = 0;

  constructor(lookup: Lookup, sink: RowSink) {
    this.#lookup = lookup;
    this.#sink = sink;
  }

  get size(): number {
    return this.#size + this.#ports.size;
  }

  /** @param source - its index. @param holds - whether it won the member or lost it. */
  change(source: number, member: string, holds: boolean): void {
    if (this.#lookup.of === 'port') return this.#changePort(member, holds);
    if (memberFamily('net', member) !== this.#lookup.family) return;
    const row = this.#row(netMember(member));
    const others = row.holders.filter((each) => each !== source);
    row.holders = holds ? [...others, source].sort((a, b) => a - b) : others;
    this.#changed.add(row);
    if (row.length < addressBits) this.#changedNets.push(row);
  }

  /** Says to the sink what became of every row since the last time. */
  flush(): void {
    const nets = this.#lookup.sources.length > 1 ? this.#changedNets : []; // members of one set never overlap
    if (nets.length > fewNets) for (const row of this.#all()) this.#changed.add(row);
    else for (const net of nets) this.#addCovered(net);
    for (const row of this.#changed) this.#tell(row);
    this.#changed.clear();
    this.#changedNets = [];
  }

  /** Says to the sink that no row is left. */
  clear(): void {
    for (const member of this.#ports) this.#changePort(member, false);
    for (const row of this.#all()) row.holders = [];
    for (const row of this.#all()) this.#tell(row);
  }

  *#all(): Generator<Row> {
    for (const rows of this.#rows.values()) yield* rows.values();
  }

  #row(member: NetMember): Row {
    const sameLength = this.#rows.get(member.length) ?? new Map<AddressBytes, Row>();
    this.#rows.set(member.length, sameLength);
    const row = sameLength.get(member.address) ?? { ...member, holders: [] };
    if (!sameLength.has(member.address)) this.#size++;
    sameLength.set(member.address, row);
    return row;
  }

  #addCovered(net: Row): void {
    for (const [length, rows] of this.#rows) {
      if (length <= net.length) continue;
      for (const row of rows.values())
        if (masked(row.address, net.length) === net.address) this.#changed.add(row);
    }
  }

  #tell(row: Row): void {
    const { address, length, holders } = row;
    const isHost = length === addressBits;
    const key = isHost ? addressKey(this.#lookup.id, address) : netKey(this.#lookup.id, address, length);
    if (holders.length === 0) this.#forget(row);
    this.#sink.set(isHost ? 'sets' : 'nets', key, holders.length === 0 ? null : this.#firstHolder(row) + 1);
  }

  #forget({ address, length }: Row): void {
    const sameLength = this.#rows.get(length);
    if (sameLength?.delete(address)) this.#size--;
    if (sameLength?.size === 0) this.#rows.delete(length);
  }

  #firstHolder({ address, length }: Row): number {
    let first = Number.POSITIVE_INFINITY;
    for (const [wider, rows] of this.#rows) {
      if (wider > length) continue;
      const [holder] = rows.get(masked(address, wider))?.holders ?? [];
      if (holder !== undefined && holder < first) first = holder;
    }
    return first;
  }

  #changePort(member: string, holds: boolean): void {
    if (memberFamily('ip-port', member) !== this.#lookup.family) return;
    if (holds) this.#ports.add(member);
    else this.#ports.delete(member);
    this.#sink.set('sets', portKey(this.#lookup.id, member), holds ? 1 : null);
  }
}
