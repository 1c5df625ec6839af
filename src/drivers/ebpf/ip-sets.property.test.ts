// SPDX-License-Identifier: Apache-2.0
/** Rows of `sets` and `nets`, kept by difference, answer every lookup as a look at all sources does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryMap } from '../../../test/support/policy-rig.ts';
import { Random, seedOfRun } from '../../../test/support/random.ts';
import { addressFromNumber, bitsOf, type Family, familyOf } from '../../lib/address.ts';
import type { Address, Cidr, IpSetId } from '../../lib/brand.ts';
import { cidrContains, hostCidr, parseCidr } from '../../lib/cidr.ts';
import { IpSetMaps } from './ip-sets.ts';
import { type Lookup, type LookupSource, lookupOf } from './lookup.ts';
import { addressKey, netKey, netMember, portKey } from './set-member.ts';

const runs = 60;
const changesPerRun = 40;
const setIds = ['s:a', 's:b', 's:c', 's:d'] as IpSetId[];
const families = [4, 6] as const;
const bases = { 4: 0x0a00_0000n, 6: 0xfd00_0000_0000_0000_0000_0000_0000_0000n } as const;

function address(random: Random, family: Family): Address {
  return addressFromNumber(bases[family] + BigInt(random.below(64)), family);
}

/** Short ones of IPv6 hold ::ffff:0:0/96 too: IPv4 must not be found in them. */
function member(random: Random): Cidr {
  const family = random.pick(families);
  const bits = bitsOf[family];
  const length = random.pick([bits, bits, bits, bits - 1, bits - 3, bits - 6, 8, 0]);
  const from = family === 6 && random.chance(0.1) ? '::' : address(random, family);
  return parseCidr(`${from}/${length}`);
}

/** No member of one set contains another. */
function mayJoin(members: ReadonlySet<Cidr>, net: Cidr): boolean {
  return [...members].every((other) => !cidrContains(other, net) && !cidrContains(net, other));
}

function naive(lookup: Lookup, sets: ReadonlyMap<IpSetId, ReadonlySet<Cidr>>, asked: Address): number {
  const holds = (source: LookupSource) =>
    [...('nets' in source ? source.nets : (sets.get(source.set) ?? []))].some((net) =>
      cidrContains(net, hostCidr(asked)),
    );
  return lookup.sources.findIndex(holds) + 1;
}

/** As a program asks. */
function ask(
  ipSets: IpSetMaps,
  maps: { sets: MemoryMap; nets: MemoryMap },
  lookup: Lookup,
  asked: Address,
): number {
  const { address: bytes } = netMember(hostCidr(asked));
  const key = (text: string) => Buffer.from(text, 'latin1');
  const single = maps.sets.lookup(key(addressKey(lookup.id, bytes)));
  const found =
    single ?? (ipSets.hasNets(lookup) ? maps.nets.lookup(key(netKey(lookup.id, bytes, 128))) : null);
  return found ? Buffer.from(found).readUInt32LE() : 0;
}

class Case {
  readonly #random: Random;
  readonly ipSets = new IpSetMaps();
  readonly maps = { sets: new MemoryMap('sets'), nets: new MemoryMap('nets') };
  readonly members = new Map<IpSetId, Set<Cidr>>();
  readonly lookups = new Map<bigint, Lookup>();

  constructor(random: Random) {
    this.#random = random;
    for (const id of setIds) this.replace(id);
    this.toggleLookup();
  }

  replace(id: IpSetId): void {
    const members = new Set<Cidr>();
    for (const net of this.#random.times(0, 25, () => member(this.#random)))
      if (mayJoin(members, net)) members.add(net);
    this.members.set(id, members);
    this.ipSets.onMessage({
      kind: 'ipset-update',
      id,
      set: { type: 'net', members: [...members], description: 'test' },
    });
  }

  change(id: IpSetId): void {
    const members = this.members.get(id) ?? new Set();
    const remove = this.#random.some([...members], 0, 4);
    for (const net of remove) members.delete(net);
    const add = new Set<Cidr>();
    for (const net of this.#random.times(0, 6, () => member(this.#random))) {
      if (!mayJoin(members, net)) continue;
      members.add(net);
      add.add(net);
    }
    this.ipSets.onMessage({ kind: 'ipset-delta', id, add: [...add], remove });
  }

  toggleLookup(): void {
    const random = this.#random;
    const source = (): LookupSource => {
      if (random.chance(0.75)) return { set: random.pick(setIds) };
      return { nets: random.times(1, 3, () => member(random)).filter((net) => familyOf(net) === family) };
    };
    const family = random.pick(families);
    const lookup = lookupOf(family, 'address', random.times(1, 5, source));
    const [gone] = this.lookups.values();
    if (gone && random.chance(0.5)) {
      this.lookups.delete(gone.id);
      this.ipSets.drop(gone);
    }
    if (!this.lookups.has(lookup.id)) this.ipSets.use(lookup);
    this.lookups.set(lookup.id, lookup);
  }

  step(): void {
    const { ipSets, maps } = this;
    this.#random.pick([
      () => this.change(this.#random.pick(setIds)),
      () => this.change(this.#random.pick(setIds)),
      () => this.change(this.#random.pick(setIds)),
      () => this.replace(this.#random.pick(setIds)),
      () => this.toggleLookup(),
    ])();
    if (this.#random.chance(0.3)) return;
    if (this.#random.chance(0.1)) ipSets.queueResync();
    ipSets.apply(maps);
    this.compare();
  }

  compare(): void {
    const writes = this.maps.sets.writes + this.maps.nets.writes;
    assert.equal(this.ipSets.apply(this.maps), 0, 'a second apply changes nothing');
    assert.equal(this.maps.sets.writes + this.maps.nets.writes, writes);
    for (const lookup of this.lookups.values()) {
      for (const asked of this.#random.times(12, 12, () => address(this.#random, lookup.family))) {
        const want = naive(lookup, this.members, asked);
        const text = () => `${asked} in ${JSON.stringify({ ...lookup, id: '' })}`;
        assert.equal(ask(this.ipSets, this.maps, lookup, asked), want, text());
      }
    }
  }
}

test('any history of sets and lookups leaves rows that answer as all sources together', () => {
  const seed = seedOfRun('set rows');
  for (let i = 0; i < runs; i++) {
    const each = new Case(new Random(seed + i));
    for (let step = 0; step < changesPerRun; step++) each.step();
  }
});

test('when the last lookup goes, nothing is left', () => {
  const each = new Case(new Random(7));
  for (let step = 0; step < changesPerRun; step++) each.step();
  for (const lookup of each.lookups.values()) each.ipSets.drop(lookup);
  each.ipSets.apply(each.maps);
  assert.equal(each.maps.sets.rows.size + each.maps.nets.rows.size, 0);
});

const a = 's:a' as IpSetId;
const update = (type: 'net' | 'ip-port', ...members: string[]) =>
  ({ kind: 'ipset-update', id: a, set: { type, members, description: 'all()' } }) as const;

test('named ports: address, protocol and port are one key', () => {
  const ipSets = new IpSetMaps();
  const maps = { sets: new MemoryMap('sets'), nets: new MemoryMap('nets') };
  const lookup = lookupOf(4, 'port', [{ set: a }]);
  ipSets.onMessage(update('ip-port', '10.0.0.1,tcp:80', '10.0.0.1,132:80', 'fd00::1,udp:53'));
  ipSets.use(lookup);
  assert.equal(ipSets.apply(maps), 2, 'the other family has a lookup of its own');
  const has = (text: string) => maps.sets.lookup(Buffer.from(portKey(lookup.id, text), 'latin1')) !== null;
  assert.deepEqual(['10.0.0.1,tcp:80', '10.0.0.1,sctp:80', '10.0.0.1,udp:80', '10.0.0.1,tcp:81'].map(has), [
    true,
    true,
    false,
    false,
  ]);
  assert.equal(ipSets.hasNets(lookup), false);
  assert.deepEqual(
    [...ipSets.lookups()].map(({ rows }) => rows),
    [2],
  );
  assert.throws(
    () => ipSets.hasNets(lookupOf(4, 'address', [{ set: a }])),
    /got one of type ip-port, want one of type net/,
  );
  ipSets.drop(lookup);
  assert.equal(ipSets.apply(maps), 2);
  assert.equal(maps.sets.rows.size, 0);
});

test('only what changed is written', () => {
  const ipSets = new IpSetMaps();
  const maps = { sets: new MemoryMap('sets'), nets: new MemoryMap('nets') };
  ipSets.onMessage(update('net', ...Array.from({ length: 200 }, (_, i) => `10.0.0.${i}/32`)));
  ipSets.use(lookupOf(4, 'address', [{ set: a }, { nets: ['10.0.1.0/24' as Cidr] }]));
  assert.equal(ipSets.apply(maps), 201);
  ipSets.onMessage({ kind: 'ipset-delta', id: a, add: ['10.0.2.1/32'], remove: ['10.0.0.7/32'] });
  assert.equal(ipSets.apply(maps), 2);
  ipSets.onMessage({ kind: 'ipset-delta', id: a, add: ['10.0.3.0/30'], remove: [] });
  assert.equal(ipSets.apply(maps), 1);
});

test("a full map: new rows are refused by the set's name, changed ones are written", () => {
  const ipSets = new IpSetMaps();
  const maps = { sets: new MemoryMap('sets', 2), nets: new MemoryMap('nets') };
  const lookup = lookupOf(4, 'address', [{ set: a }]);
  ipSets.onMessage(update('net', '10.0.0.1/32', '10.0.0.2/32', '10.0.0.3/32'));
  ipSets.use(lookup);
  assert.equal(ipSets.apply(maps), 2);
  assert.match(
    ipSets.failed().get(lookup.id) ?? '',
    /^IP set s:a \(all\(\)\), IPv4 of 3 members: full; map sets has room for 2 rows, want 3$/,
  );
  ipSets.onMessage({ kind: 'ipset-delta', id: a, add: [], remove: ['10.0.0.1/32'] });
  assert.equal(ipSets.apply(maps), 2, 'one goes, the one that waited comes');
  assert.equal(ipSets.failed().size, 0);
});
