// SPDX-License-Identifier: Apache-2.0
/**
 * What the maps `sets` and `nets` should hold, kept up to date from messages, and the difference to what they do hold.
 *
 * Takes in:   IP sets as they are sent, and the lookups that programs make: only what is asked has rows.
 * Gives out:  at apply, rows in batches; who wants the maps bigger when they are full; which sets changed their form.
 * Invariants: a lookup's rows are in the maps before a program that makes it is loaded, and stay while one is (policies.ts
 *             sees to that). A row is replaced in one go, so no packet sees a set without it. New rows come before old ones go.
 */
import type { DataplaneMessage, IpSet } from '../../contract/dataplane.ts';
import type { Family } from '../../lib/address.ts';
import type { Cidr, IpSetId } from '../../lib/brand.ts';
import { isHost } from '../../lib/cidr.ts';
import { InvalidError } from '../../lib/errors.ts';
import { addTo, removeFrom } from '../../lib/sets-by-key.ts';
import { DeltaTable } from '../../reconcile/delta-table.ts';
import { type Lookup, setsOf } from './lookup.ts';
import { LookupRows } from './lookup-rows.ts';
import { MapAudit, type ReadableMap } from './map-audit.ts';
import { memberFamily, setOfKey } from './set-member.ts';

/** As much of a BpfMap as is used here. */
export interface RowMap {
  readonly info: { readonly name: string; readonly maxEntries: number };
  /** @returns those refused. */
  setMany(entries: Iterable<readonly [Uint8Array, Uint8Array]>): readonly RefusedRow[];
  deleteMany(keys: Iterable<Uint8Array>): readonly RefusedRow[];
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

interface RefusedRow {
  readonly key: Uint8Array;
  readonly error: Error;
}

interface HeldSet {
  readonly type: IpSet['type'];
  readonly description: string;
  readonly members: Set<string>;
  /** Members that are networks. */
  readonly nets: { [F in Family]: number };
}

interface HeldLookup {
  readonly lookup: Lookup;
  readonly rows: LookupRows;
  /** Programs that make it. */
  users: number;
}

const tables = ['sets', 'nets'] as const;
type Table = (typeof tables)[number];

/** A full map refuses each new row by itself: no more than this are tried in vain. */
const chunk = 4096;

/** From so many members on a set is asked by itself, so that all programs share its rows. */
const largeSet = 4096;

export class IpSetMaps {
  readonly #sets = new Map<IpSetId, HeldSet>();
  readonly #lookups = new Map<bigint, HeldLookup>();
  readonly #bySet = new Map<IpSetId, Set<HeldLookup>>();
  readonly #delta: { readonly [T in Table]: DeltaTable<string, number> } = {
    sets: new DeltaTable(),
    nets: new DeltaTable(),
  };
  readonly #changed = new Set<HeldLookup>();
  readonly #listeners: ((set: IpSetId) => void)[] = [];
  #failed = new Map<bigint, string>();
  #isStale = true;

  /** Other messages are none of its business. */
  onMessage(message: DataplaneMessage): void {
    if (message.kind === 'ipset-update') this.#replace(message.id, message.set);
    else if (message.kind === 'ipset-delta') this.#change(message.id, message.add, message.remove);
    else if (message.kind === 'ipset-remove') this.#forget(message.id);
  }

  /** Called with each set of which `hasNets` or `isLarge` says something else now: its programs are wrong. */
  onReshaped(listener: (set: IpSetId) => void): void {
    this.#listeners.push(listener);
  }

  /** A program is about to make it: it has rows from the next apply on, until each user dropped it. */
  use(lookup: Lookup): void {
    const held = this.#lookups.get(lookup.id) ?? this.#add(lookup);
    held.users++;
  }

  drop({ id }: Lookup): void {
    const held = this.#lookups.get(id);
    if (held && --held.users === 0) this.#remove(held);
  }

  /**
   * Whether `nets` must be asked as well.
   *
   * @throws {InvalidError} when a set was not sent, or is of another type: a program that asks it is wrong.
   */
  hasNets({ sources, family, of }: Lookup): boolean {
    return sources.some((source) => {
      if ('nets' in source) return source.nets.some((net) => !isHost(net));
      const set = this.#sets.get(source.set);
      const wanted = of === 'address' ? 'net' : 'ip-port';
      if (set?.type === wanted) return set.nets[family] > 0;
      const found = set ? `one of type ${set.type}` : 'none: it was not sent';
      throw new InvalidError(`cannot look up IP set ${source.set}: got ${found}, want one of type ${wanted}`);
    });
  }

  /** So many members that no lookup should hold them a second time. */
  isLarge(id: IpSetId): boolean {
    return (this.#sets.get(id)?.members.size ?? 0) >= largeSet;
  }

  /** Trust nothing read so far. */
  queueResync(): void {
    this.#isStale = true;
  }

  /** @returns how many rows were written or removed. */
  apply(maps: { readonly [T in Table]: RowMap }): number {
    for (const { rows } of this.#changed) rows.flush();
    this.#changed.clear();
    if (this.#isStale) for (const table of tables) this.#readBack(table, maps[table]);
    this.#isStale = false;
    this.#failed = new Map();
    return tables.reduce((sum, table) => sum + this.#commit(table, maps[table]), 0);
  }

  /** Looks at these maps from now on, one portion at a time: whether someone else wrote there. */
  audit(maps: { readonly [T in Table]: ReadableMap }): () => boolean {
    const audits = tables.map((table) => this.#auditOf(this.#delta[table], maps[table]));
    return () => audits.some((audit) => audit.differs());
  }

  /** Lookups that have not all their rows since the last apply, and why. */
  failed(): ReadonlyMap<bigint, string> {
    return this.#failed;
  }

  /** What a set in the maps is, for people. */
  describe(id: bigint): string | null {
    const lookup = this.#lookups.get(id)?.lookup;
    return lookup ? this.#text(lookup) : null;
  }

  /** Every lookup that has rows. */
  *lookups(): Generator<{ readonly lookup: Lookup; readonly rows: number; readonly description: string }> {
    for (const { lookup, rows } of this.#lookups.values())
      yield { lookup, rows: rows.size, description: this.#text(lookup) };
  }

  #replace(id: IpSetId, { type, members, description }: IpSet): void {
    const before = this.#sets.get(id);
    if (before && before.type !== type) this.#forget(id);
    const held = this.#sets.get(id)?.members ?? new Set<string>();
    const nets = this.#sets.get(id)?.nets ?? { 4: 0, 6: 0 };
    this.#sets.set(id, { type, description, members: held, nets });
    const wanted = new Set(members);
    this.#change(
      id,
      members,
      [...held].filter((member) => !wanted.has(member)),
    );
  }

  #change(id: IpSetId, add: readonly string[], remove: readonly string[]): void {
    const set = this.#sets.get(id);
    if (!set) throw new TypeError(`delta of unknown IP set ${id}`);
    const before = formOf(set);
    for (const member of remove) if (set.members.delete(member)) this.#changeMember(id, set, member, false);
    for (const member of add) {
      if (set.members.has(member)) continue;
      set.members.add(member);
      this.#changeMember(id, set, member, true);
    }
    if (formOf(set) === before) return;
    for (const listener of this.#listeners) listener(id);
  }

  #changeMember(id: IpSetId, set: HeldSet, member: string, holds: boolean): void {
    if (set.type === 'net' && !isHost(member as Cidr))
      set.nets[memberFamily(set.type, member)] += holds ? 1 : -1;
    for (const held of this.#bySet.get(id) ?? []) {
      this.#tellSource(held, id, member, holds);
      this.#changed.add(held);
    }
  }

  #tellSource({ lookup, rows }: HeldLookup, id: IpSetId, member: string, holds: boolean): void {
    for (const [i, source] of lookup.sources.entries())
      if ('set' in source && source.set === id) rows.change(i, member, holds);
  }

  #forget(id: IpSetId): void {
    const set = this.#sets.get(id);
    if (!set) return;
    this.#change(id, [], [...set.members]);
    this.#sets.delete(id);
  }

  #add(lookup: Lookup): HeldLookup {
    const rows = new LookupRows(lookup, { set: (table, key, value) => this.#wantRow(table, key, value) });
    const held: HeldLookup = { lookup, rows, users: 0 };
    this.#lookups.set(lookup.id, held);
    for (const id of setsOf(lookup)) addTo(this.#bySet, id, held);
    for (const [i, source] of lookup.sources.entries()) {
      const members = 'nets' in source ? source.nets : (this.#sets.get(source.set)?.members ?? []);
      for (const member of members) rows.change(i, member, true);
    }
    this.#changed.add(held);
    return held;
  }

  #remove(held: HeldLookup): void {
    this.#lookups.delete(held.lookup.id);
    this.#changed.delete(held);
    for (const id of setsOf(held.lookup)) removeFrom(this.#bySet, id, held);
    held.rows.clear();
  }

  #wantRow(table: Table, key: string, value: number | null): void {
    if (value === null) this.#delta[table].deleteDesired(key);
    else this.#delta[table].setDesired(key, value);
  }

  #auditOf(delta: DeltaTable<string, number>, map: ReadableMap): MapAudit<number> {
    const same = (found: Uint8Array, held: number) => Buffer.from(found).readUInt32LE() === held;
    return new MapAudit({ map, actual: () => delta.actual(), textOf: latin1, keyOf: bytes, same });
  }

  #readBack(table: Table, map: RowMap): void {
    const rows = Iterator.from(map.entries()).map(
      ([key, value]) => [latin1(key), Buffer.from(value).readUInt32LE()] as const,
    );
    this.#delta[table].replaceActual(rows);
  }

  #commit(table: Table, map: RowMap): number {
    const delta = this.#delta[table];
    const before = delta.pendingCount;
    if (before === 0) return 0;
    const upserts = [...delta.pendingUpserts()];
    const isNew = ([key]: readonly [string, number]) => !delta.actual().has(key);
    this.#write(
      delta,
      map,
      upserts.filter((row) => !isNew(row)),
    ); // a full map takes these
    const refused = this.#write(delta, map, upserts.filter(isNew));
    this.#delete(delta, map);
    if (refused) this.#noteRefused(table, map, this.#write(delta, map, refused.rows));
    return before - delta.pendingCount;
  }

  /** @returns what was not taken; null: all was. */
  #write(
    delta: DeltaTable<string, number>,
    map: RowMap,
    rows: readonly (readonly [string, number])[],
  ): { readonly rows: readonly (readonly [string, number])[]; readonly error: Error } | null {
    for (let from = 0; from < rows.length; from += chunk) {
      const some = rows.slice(from, from + chunk);
      const refused = map.setMany(some.map(([key, value]) => [bytes(key), u32(value)]));
      const keys = new Set(refused.map(({ key }) => latin1(key)));
      for (const [key, value] of some) if (!keys.has(key)) delta.setActual(key, value);
      const error = refused[0]?.error;
      if (error) return { rows: rows.slice(from).filter(([key]) => delta.isPending(key)), error };
    }
    return null;
  }

  #delete(delta: DeltaTable<string, number>, map: RowMap): void {
    const keys = [...delta.pendingDeletes()];
    const refused = new Set(map.deleteMany(keys.map(bytes)).map(({ key }) => latin1(key)));
    for (const key of keys) if (!refused.has(key)) delta.deleteActual(key);
    if (refused.size > 0) this.#isStale = true;
  }

  #noteRefused(
    table: Table,
    map: RowMap,
    refused: { readonly rows: readonly (readonly [string, number])[]; readonly error: Error } | null,
  ): void {
    if (!refused) return;
    const { size } = this.#delta[table].desired();
    const want = `map ${map.info.name} has room for ${map.info.maxEntries} rows, want ${size}`;
    for (const id of new Set(refused.rows.map(([key]) => setOfKey(key)))) {
      const rows = this.#lookups.get(id)?.rows.size ?? 0;
      this.#failed.set(id, `${this.describe(id)} of ${rows} members: ${refused.error.message}; ${want}`);
    }
    this.#isStale = true;
  }

  #text({ sources, family }: Lookup): string {
    const [first, ...others] = sources.map((source) => {
      if ('nets' in source) return `${source.nets.length} nets`;
      const set = this.#sets.get(source.set);
      return set ? `${source.set} (${set.description})` : source.set;
    });
    const rest = others.length === 0 ? '' : ` and ${others.length} more, in order`;
    return `IP set ${first}${rest}, IPv${family}`;
  }
}

/** What of a set is written into programs. */
function formOf({ nets, members }: HeldSet): string {
  return `${nets[4] > 0} ${nets[6] > 0} ${members.size >= largeSet}`;
}

function latin1(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function bytes(key: string): Uint8Array {
  return Buffer.from(key, 'latin1');
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
