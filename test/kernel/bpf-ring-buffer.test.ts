// SPDX-License-Identifier: Apache-2.0
/** The reading end of a ring buffer, against a program that writes (fixtures/object.bpf.c, `tell`). */
import assert from 'node:assert/strict';
import { type LoadedObject, parseObject } from '../../src/kernel/bpf/object.ts';
import { openRingBuffer, type RingBuffer } from '../../src/kernel/bpf/ring-buffer.ts';
import { skbContext, testRun } from '../../src/kernel/bpf/test-run.ts';
import { InvalidError } from '../../src/lib/errors.ts';
import { fixtureObject } from './compile.ts';
import { type Rig, rootTest, until } from './root-test.ts';

/** 4096 bytes of records of 16. */
const recordsInRing = 256;

interface Scene {
  readonly object: LoadedObject;
  /** Marks, as they came. */
  readonly seen: number[];
  readonly ring: RingBuffer;
}

function scene(rig: Rig, onRecord: (mark: number) => void = () => {}): Scene {
  const object = rig.use(parseObject(fixtureObject()).load({ programs: ['tell'] }));
  const seen: number[] = [];
  const ring = rig.use(
    openRingBuffer(object.map('events'), (view) => {
      assert.deepEqual([view.byteLength, view.getUint32(0, true)], [8, 60]);
      seen.push(view.getUint32(4, true));
      onRecord(seen.at(-1) ?? 0);
    }),
  );
  return { object, seen, ring };
}

/** Writes records whose marks count up from `from`. @returns 1 when the last one found the ring full. */
function write({ object }: Scene, from: number, count: number): number {
  const program = object.program('tell');
  const packet = new Uint8Array(60);
  let retval = 0;
  for (let mark = from; mark < from + count; mark++)
    retval = testRun(program, { packet, ctx: skbContext({ mark }) }).retval;
  return retval;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

rootTest('records come in their order, without being asked for', async (rig) => {
  const at = scene(rig);
  write(at, 0, 5);
  await until(() => at.seen.length === 5, 'five records');
  write(at, 5, 1);
  await until(() => at.seen.length === 6, 'one more');
  assert.deepEqual(at.seen, upTo(6));
  assert.equal(at.ring.drain(), 0);
});

rootTest('the ring is read round and round, and a full one loses the newest', (rig) => {
  const at = scene(rig);
  for (let i = 0; i < 50; i++) {
    assert.equal(write(at, i * 100, 100), 0);
    assert.equal(at.ring.drain(), 100);
  }
  assert.deepEqual(at.seen, upTo(5000));
  assert.equal(write(at, 5000, recordsInRing - 1), 0);
  assert.equal(write(at, 6000, 2), 1, 'full');
  at.ring.drain();
  assert.equal(write(at, 7000, 1), 0, 'there is room again');
});

rootTest('a reader that throws loses that record alone', (rig) => {
  const at = scene(rig, (mark) => {
    if (mark === 1) throw new Error('reader');
  });
  write(at, 0, 4);
  assert.throws(() => at.ring.drain(), /reader/);
  assert.equal(at.ring.drain(), 2);
  assert.deepEqual(at.seen, upTo(4));
});

rootTest('a reader may write, and may close while it reads', (rig) => {
  const at = scene(rig, (mark) => {
    if (mark < 3) write(at, mark + 10, 1);
    if (mark === 12) at.ring[Symbol.dispose]();
  });
  write(at, 0, 3);
  at.ring.drain();
  assert.deepEqual(at.seen, [0, 1, 2, 10, 11, 12]);
  assert.equal(at.ring.drain(), 0, 'closed');
});

rootTest('the next reader begins where the last one stopped; another map is refused', (rig) => {
  const at = scene(rig);
  write(at, 0, 3);
  at.ring.drain();
  at.ring[Symbol.dispose]();
  write(at, 3, 2);
  const marks: number[] = [];
  using again = openRingBuffer(at.object.map('events'), (view) => marks.push(view.getUint32(4, true)));
  assert.equal(again.drain(), 2);
  assert.deepEqual(marks, [3, 4]);
  assert.throws(() => openRingBuffer(at.object.map('counts'), () => {}), InvalidError);
});
