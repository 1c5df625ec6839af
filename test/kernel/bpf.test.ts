// SPDX-License-Identifier: Apache-2.0
/** Maps of the running kernel. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountBpffs } from '../../src/kernel/bpf/bpffs.ts';
import { possibleCpus } from '../../src/kernel/bpf/cpus.ts';
import { closedProgram } from '../../src/kernel/bpf/guard-programs.ts';
import { loadClassifier } from '../../src/kernel/bpf/load.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { type MapSpec, mapDifferences, mapFlags } from '../../src/kernel/bpf/map-spec.ts';
import { openPin, pin } from '../../src/kernel/bpf/pin.ts';
import { E2BIG, EEXIST, EINVAL, ENOSPC, MNT_DETACH } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { KernelError } from '../../src/lib/errors.ts';
import { type Rig, rootTest } from './root-test.ts';

const hash: MapSpec = {
  name: 'test_hash',
  type: 'HASH',
  keySize: 4,
  valueSize: 8,
  maxEntries: 10_000,
  flags: 0,
};
const lpm: MapSpec = { ...hash, name: 'test_lpm', type: 'LPM_TRIE', keySize: 8, flags: mapFlags.noPrealloc };

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function number(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** An LPM key: length in host order, then the address. */
function prefix(length: number, ...address: number[]): Uint8Array {
  return Uint8Array.of(...u32(length), ...address);
}

function contents(map: BpfMap): [number, number][] {
  return [...map.entries()]
    .map(([key, value]): [number, number] => [number(key), number(value)])
    .sort(([a], [b]) => a - b);
}

/** A bpffs of its own, unmounted with the test: its pins go with it. */
function bpffs(rig: Rig): string {
  const directory = mkdtempSync(join(tmpdir(), 'muslin-bpf-'));
  mountBpffs(directory);
  rig.use({
    [Symbol.dispose]() {
      sys.umount(directory, MNT_DETACH);
      rmSync(directory, { recursive: true });
    },
  });
  return directory;
}

function refusal(errno: number): (error: unknown) => boolean {
  return (error) => error instanceof KernelError && error.errno === errno;
}

rootTest('a hash map: set, get, delete, only if new, only if there', (rig) => {
  const map = rig.use(BpfMap.create(hash));
  assert.equal(map.get(u32(1)), null);
  assert.equal(map.set(u32(1), u64(7), 'exist'), false);
  assert.equal(map.set(u32(1), u64(7), 'noexist'), true);
  assert.equal(map.set(u32(1), u64(8), 'noexist'), false);
  assert.deepEqual(map.get(u32(1)), u64(7));
  assert.equal(map.set(u32(1), u64(9)), true);
  assert.deepEqual(map.get(u32(1)), u64(9));
  assert.equal(map.delete(u32(1)), true);
  assert.equal(map.delete(u32(1)), false);
  assert.throws(() => map.set(u32(1), u32(1)), RangeError);
  assert.throws(() => map.get(u64(1)), RangeError);
});

rootTest('many entries go in and out by batches, whatever the type', (rig) => {
  for (const type of ['HASH', 'LRU_HASH'] as const) {
    const map = rig.use(BpfMap.create({ ...hash, type, maxEntries: 20_000 }));
    const want = Array.from({ length: 9_000 }, (_, i): [number, number] => [i * 7, i]);
    assert.deepEqual(map.setMany(want.map(([key, value]) => [u32(key), u64(value)])), []);
    assert.deepEqual(contents(map), want);
    assert.deepEqual(map.deleteMany(want.slice(100).map(([key]) => u32(key))), []);
    assert.deepEqual(contents(map), want.slice(0, 100));
  }
});

rootTest('deleting many passes over what is not there', (rig) => {
  const map = rig.use(BpfMap.create(hash));
  map.setMany([1, 2, 3, 4, 5].map((key) => [u32(key), u64(key)]));
  assert.deepEqual(map.deleteMany([9, 1, 8, 8, 3, 7].map(u32)), []);
  assert.deepEqual(contents(map), [
    [2, 2],
    [4, 4],
    [5, 5],
  ]);
});

rootTest('a full map names the keys that it refused, and takes the others', (rig) => {
  const map = rig.use(BpfMap.create({ ...hash, maxEntries: 3 }));
  const failures = map.setMany([1, 2, 3, 4, 1, 5, 2].map((key, i) => [u32(key), u64(i)]));
  assert.deepEqual(
    failures.map(({ key, error }) => [number(key), error.errno]),
    [
      [4, E2BIG],
      [5, E2BIG],
    ],
  );
  assert.deepEqual(contents(map), [
    [1, 4],
    [2, 6],
    [3, 2],
  ]);
  const trie = rig.use(BpfMap.create({ ...lpm, maxEntries: 1 }));
  trie.set(prefix(8, 10, 0, 0, 0), u64(1));
  assert.throws(() => trie.set(prefix(8, 11, 0, 0, 0), u64(1)), refusal(ENOSPC));
});

rootTest('an LPM trie finds the longest prefix; batches write, list and delete it', (rig) => {
  const map = rig.use(BpfMap.create(lpm));
  const wide = prefix(8, 10, 0, 0, 0);
  const narrow = prefix(24, 10, 1, 2, 0);
  const many = Array.from({ length: 5_000 }, (_, i) => prefix(32, 192, 168, i >> 8, i & 255));
  assert.deepEqual(map.setMany([wide, narrow, ...many].map((key, i) => [key, u64(i)])), []);
  assert.deepEqual(map.get(prefix(32, 10, 1, 2, 3)), u64(1));
  assert.deepEqual(map.get(prefix(32, 10, 1, 3, 3)), u64(0));
  assert.equal(map.get(prefix(32, 11, 1, 3, 3)), null);
  assert.equal([...map.entries()].length, 5_002);
  assert.deepEqual(
    map.setMany([[prefix(33, 1, 2, 3, 4), u64(0)]]).map(({ error }) => error.errno),
    [EINVAL],
  );
  assert.deepEqual(map.deleteMany([...many, prefix(9, 10, 0, 0, 0)]), []);
  assert.deepEqual(
    [...map.entries()].map(([key]) => key),
    [narrow, wide],
  );
});

rootTest('per-CPU values have a slice for each possible CPU', (rig) => {
  for (const type of ['PERCPU_ARRAY', 'PERCPU_HASH'] as const) {
    const map = rig.use(BpfMap.create({ ...hash, type, valueSize: 4, maxEntries: 4 }));
    assert.equal(map.valueBytes, 8 * possibleCpus());
    const value = map.forEveryCpu(u32(5));
    for (const [cpu, slice] of map.perCpu(value).entries()) slice[1] = cpu;
    map.setMany([[u32(2), value]]);
    const read = map.get(u32(2));
    assert.ok(read);
    assert.deepEqual(
      map.perCpu(read),
      Array.from({ length: possibleCpus() }, (_, cpu) => Uint8Array.of(5, cpu, 0, 0)),
    );
    const [, listed] = [...map.entries()].find(([key]) => number(key) === 2) ?? [];
    assert.deepEqual(listed, value);
  }
});

rootTest('an array holds every index and no other', (rig) => {
  const map = rig.use(BpfMap.create({ ...hash, type: 'ARRAY', maxEntries: 3 }));
  map.setMany([[u32(1), u64(5)]]);
  assert.deepEqual(contents(map), [
    [0, 0],
    [1, 5],
    [2, 0],
  ]);
  assert.throws(() => map.set(u32(3), u64(1)), refusal(E2BIG));
  map.freeze();
  assert.throws(() => map.set(u32(0), u64(1)), refusal(1));
});

rootTest('a program array takes descriptors and tells ids', (rig) => {
  const map = rig.use(
    BpfMap.create({ ...hash, name: 'programs', type: 'PROG_ARRAY', valueSize: 4, maxEntries: 8 }),
  );
  using program = loadClassifier(closedProgram());
  map.setProgram(3, program);
  const id = map.programId(3);
  assert.ok(id);
  assert.equal(map.programId(2), null);
  assert.deepEqual(contents(map), [[3, id]], 'no batches for this type: listed key by key');
  assert.deepEqual(map.setMany([[u32(5), u32(program.number)]]), []);
  assert.equal(map.programId(5), id);
  assert.deepEqual(map.deleteMany([u32(3), u32(4), u32(5)]), []);
  assert.deepEqual(contents(map), []);
});

rootTest(
  'a map outlives its process as a pin, and is told apart from what is wanted and from other pins',
  (rig) => {
    const directory = bpffs(rig);
    const path = join(directory, 'map');
    const wanted = { ...hash, name: 'name_of_more_than_15_bytes' };
    {
      using map = BpfMap.create(wanted);
      map.set(u32(1), u64(1));
      map.pin(path);
      assert.throws(() => map.pin(path), refusal(EEXIST));
    }
    const map = rig.use(BpfMap.openPin(path) ?? assert.fail('no pin'));
    assert.deepEqual(contents(map), [[1, 1]]);
    assert.equal(map.info.name, 'name_of_more_th');
    assert.deepEqual(mapDifferences(map.info, wanted), []);
    assert.deepEqual(mapDifferences(map.info, { ...wanted, type: 'LRU_HASH', valueSize: 16 }), [
      'type: got HASH, want LRU_HASH',
      'valueSize: got 8, want 16',
    ]);
    using again = BpfMap.openId(map.info.id);
    assert.equal(again?.info.id, map.info.id);
    assert.equal(BpfMap.openPin(join(directory, 'none')), null);
    using program = loadClassifier(closedProgram());
    pin(program, join(directory, 'program'));
    assert.throws(() => BpfMap.openPin(join(directory, 'program')), {
      name: 'InvalidError',
      message: /got a prog, want a map/,
    });
    using opened = openPin(join(directory, 'program'));
    assert.ok(opened);
  },
);

rootTest('a map that the kernel does not take is named with all that was wanted', () => {
  assert.throws(
    () => BpfMap.create({ ...lpm, flags: 0 }),
    /create map test_lpm \(LPM_TRIE, key 8, value 8, entries 10000, flags 0\): .*EINVAL/,
  );
  assert.throws(() => BpfMap.create({ ...hash, name: 'a b' }), TypeError);
});
