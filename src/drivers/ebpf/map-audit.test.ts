// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MapEntry } from '../../kernel/bpf/map.ts';
import { MapAudit, type ReadableMap } from './map-audit.ts';

const keyOf = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const textOf = (key: Uint8Array) => Buffer.from(key).toString('latin1');

/** A kernel's map in memory, told in portions as a hash map is. */
class FakeMap implements ReadableMap {
  readonly rows = new Map<string, number>();
  reads = 0;

  *chunks(size = 4096): Generator<readonly MapEntry[]> {
    const all = [...this.rows];
    for (let from = 0; from < all.length; from += size) {
      this.reads++;
      const chunk = all.slice(from, from + size).filter(([key]) => this.rows.has(key));
      yield chunk.map(([key]) => [keyOf(key), Uint8Array.of(this.rows.get(key) ?? 0)] as const);
    }
  }

  get(key: Uint8Array): Uint8Array | null {
    const value = this.rows.get(textOf(key));
    return value === undefined ? null : Uint8Array.of(value);
  }
}

function auditOf(count: number) {
  const map = new FakeMap();
  const actual = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    map.rows.set(`key ${i}`, i % 100);
    actual.set(`key ${i}`, i % 100);
  }
  const audit = new MapAudit<number>({
    map,
    actual: () => actual,
    textOf,
    keyOf,
    same: (found, held) => found[0] === held,
  });
  return { map, actual, audit };
}

const harms: { readonly [name: string]: (rows: Map<string, number>) => void } = {
  'a row that is other': (rows) => void rows.set('key 7', 200),
  'a row that is new': (rows) => void rows.set('key x', 1),
  'a row that is missing': (rows) => void rows.delete('key 7'),
  'a row that is missing and one that is new': (rows) => {
    rows.delete('key 7');
    rows.set('key x', 1);
  },
};

for (const [name, harm] of Object.entries(harms)) {
  test(`audit: ${name} is found in a small map at the next look`, () => {
    const { map, audit } = auditOf(50);
    assert.equal(audit.differs(), false);
    harm(map.rows);
    assert.equal(audit.differs(), true);
  });

  test(`audit: ${name} is found in a large map as looks go round`, () => {
    const { map, audit } = auditOf(20_000);
    for (let i = 0; i < 100; i++) assert.equal(audit.differs(), false);
    harm(map.rows);
    assert.ok(Array.from({ length: 60 }, () => audit.differs()).includes(true));
  });
}

test('audit: our own writes between two looks at a large map are no difference', () => {
  const { map, actual, audit } = auditOf(20_000);
  for (let i = 0; i < 200; i++) {
    assert.equal(audit.differs(), false);
    map.rows.delete(`key ${i}`);
    actual.delete(`key ${i}`);
    map.rows.set(`key ${20_000 + i}`, 1);
    actual.set(`key ${20_000 + i}`, 1);
  }
});

test('audit: a look costs one portion, however large the map is', () => {
  const { map, audit } = auditOf(50_000);
  audit.differs();
  assert.equal(map.reads, 1);
});
