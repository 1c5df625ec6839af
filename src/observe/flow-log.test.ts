// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { flowRecord } from '../../test/support/flows.ts';
import { FlowLog } from './flow-log.ts';
import { FlowMemory } from './flow-memory.ts';

const limits = { windowMs: 1000, mostRows: 100 };

test('records that differ in source port, time and length are one row, with their count and bytes', () => {
  const log = new FlowLog(limits);
  log.add(flowRecord({ timeMs: 1300, length: 60, srcPort: 1 }));
  log.add(flowRecord({ timeMs: 1100, length: 40, srcPort: 2 }));
  const [window, ...others] = log.close();
  assert.deepEqual(others, []);
  assert.deepEqual([window?.fromMs, window?.toMs, window?.uncounted], [1000, 2000, 0]);
  const counts = window?.rows.map(({ records, bytes, firstMs, lastMs }) => [records, bytes, firstMs, lastMs]);
  assert.deepEqual(counts, [[2, 100, 1100, 1300]]);
});

test('whatever else differs makes a row of its own', () => {
  const others = [
    flowRecord({}),
    flowRecord({ dstPort: 81 }),
    flowRecord({ protocol: 17 }),
    flowRecord({ src: '10.0.0.9' }),
    flowRecord({ dst: '10.0.0.9' }),
    flowRecord({ verdict: 'deny', reason: 'policy' }),
    flowRecord({ verdict: 'deny', reason: 'spoofed' }),
    flowRecord({ hook: 'to-workload' }),
    flowRecord({ service: 'shop/web' }),
    flowRecord({ rule: 'another' }),
    flowRecord({ icmp: { type: 8, code: 0 } }),
    flowRecord({ logs: [{ rule: 'r', prefix: 'p' }] }),
    flowRecord({ translatedDst: '10.0.0.7' }),
  ];
  const log = new FlowLog(limits);
  for (const flow of [...others, ...others]) log.add(flow);
  const rows = log.close()[0]?.rows ?? [];
  assert.deepEqual(
    rows.map(({ records }) => records),
    others.map(() => 2),
  );
});

test('a window is closed once, when its time is over, and the busiest row comes first', () => {
  const log = new FlowLog(limits);
  log.add(flowRecord({ timeMs: 2500 }));
  log.add(flowRecord({ timeMs: 1500, dstPort: 1 }));
  log.add(flowRecord({ timeMs: 1500, dstPort: 2 }));
  log.add(flowRecord({ timeMs: 1999, dstPort: 2 }));
  assert.deepEqual(log.close(1999), []);
  const closed = log.close(2000);
  assert.deepEqual(
    closed.map(({ fromMs, rows }) => [fromMs, ...rows.map(({ flow }) => flow.dst.port)]),
    [[1000, 2, 1]],
  );
  assert.deepEqual(
    log.close(3000).map(({ fromMs }) => fromMs),
    [2000],
  );
  assert.deepEqual(log.close(), []);
});

test('every record is counted: in a row, or among the uncounted when there are too many keys', () => {
  const arbitrary = fc.array(fc.record({ timeMs: fc.nat(4000), dstPort: fc.nat(5), srcPort: fc.nat(9) }));
  fc.assert(
    fc.property(arbitrary, fc.integer({ min: 1, max: 4 }), (flows, mostRows) => {
      const log = new FlowLog({ windowMs: 1000, mostRows });
      for (const flow of flows) log.add(flowRecord(flow));
      const windows = log.close();
      const counted = windows.flatMap(({ rows }) => rows.map(({ records }) => records));
      const all = [...counted, ...windows.map(({ uncounted }) => uncounted)].reduce((a, b) => a + b, 0);
      assert.equal(all, flows.length);
      assert.equal(
        windows.every(({ rows }) => rows.length <= mostRows),
        true,
      );
    }),
  );
});

test('the memory holds the last records in their order, and tells how many went', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.array(fc.nat(5)), (size, batches) => {
      const memory = new FlowMemory(size);
      const all = batches.flatMap((count, batch) =>
        Array.from({ length: count }, (_, i) => flowRecord({ timeMs: batch * 10 + i })),
      );
      let from = 0;
      for (const count of batches) {
        memory.add(all.slice(from, from + count));
        from += count;
      }
      const { flows, forgotten } = memory.last();
      assert.deepEqual(flows, all.slice(-size));
      assert.equal(forgotten, Math.max(0, all.length - size));
    }),
  );
});

test('what the data plane lost is added up; a memory of nothing is refused', () => {
  const memory = new FlowMemory(2);
  memory.add([], 3);
  memory.add([flowRecord({})], 4);
  assert.equal(memory.last().lost, 7);
  assert.throws(() => new FlowMemory(0), RangeError);
});
