// SPDX-License-Identifier: Apache-2.0
/** Records of the ring as the programs write them, decoded; against the kernel: test/kernel/ebpf-events.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResolvedEndpoint } from '../../contract/dataplane.ts';
import { parseAddress } from '../../lib/address.ts';
import type { IfName, KeyPath } from '../../lib/brand.ts';
import { EndpointBook } from './endpoint-book.ts';
import { decodeEvent, type EventNames } from './events.ts';
import { eventAt, eventBytes, tupleAt } from './layout.ts';
import { endpointId, ruleId } from './names.ts';
import { Row } from './row.ts';
import { addressAt, cidrAt, someAddressAt, viewOf } from './row-view.ts';

const web = { id: 'WorkloadEndpoint/shop/web' as KeyPath, name: 'shop/web' };
const db = { id: 'WorkloadEndpoint/shop/db' as KeyPath, name: 'shop/db' };
const rules = new Map(
  [
    { comment: 'NetworkPolicy/shop/web egress rule 0' },
    { comment: 'NetworkPolicy/shop/db ingress rule 2' },
    { comment: 'NetworkPolicy/shop/db ingress rule 1', prefix: 'calico-packet: ' },
  ].map((name) => [ruleId(name.comment), name]),
);
const names: EventNames = {
  rule: (id) => rules.get(id) ?? null,
  endpoint: (id) => [web, db].find((each) => endpointId(each.id) === id) ?? null,
  endpointOf: (address) => (address === '10.0.0.2' ? db : address === '10.0.0.1' ? web : null),
  endpointBehind: (ifIndex) => (ifIndex === 7 ? web : null),
  frontend: (id) => (id === 5n ? { service: 'shop/db', type: 'cluster-ip' } : null),
};

interface Shape {
  readonly src?: string;
  readonly dst?: string;
  readonly nowDst?: string;
  readonly nowPort?: number;
  readonly protocol?: number;
  readonly family?: number;
  readonly verdict?: number;
  readonly reason?: number;
  readonly hook?: number;
  readonly ifIndex?: number;
  readonly stages?: readonly (readonly [endpoint: bigint, rule: bigint])[];
  readonly logs?: readonly bigint[];
  readonly service?: bigint;
}

function event(shape: Shape): DataView {
  const { protocol = 6, dst = '10.0.0.2', stages = [], logs = [] } = shape;
  const row = new Row(eventBytes);
  const tuple = (at: number, to: string, port: number) =>
    row
      .address(at + tupleAt.src, parseAddress(shape.src ?? '10.0.0.1'))
      .address(at + tupleAt.dst, parseAddress(to))
      .u16(at + tupleAt.srcPort, 40_000)
      .u16(at + tupleAt.dstPort, port)
      .u8(at + tupleAt.protocol, protocol);
  tuple(eventAt.arrived, dst, 80);
  tuple(eventAt.now, shape.nowDst ?? dst, shape.nowPort ?? 80);
  for (const [i, [endpoint, rule]] of stages.entries())
    row.u64(eventAt.endpoints + 8 * i, endpoint).u64(eventAt.rules + 8 * i, rule);
  for (const [i, log] of logs.entries()) row.u64(eventAt.logs + 8 * i, log);
  return viewOf(
    row
      .u64(eventAt.time, 2_500_000n)
      .u64(eventAt.service, shape.service ?? 0n)
      .u32(eventAt.stages, stages.length)
      .u32(eventAt.logCount, logs.length)
      .u32(eventAt.ifIndex, shape.ifIndex ?? 7)
      .u32(eventAt.length, 60)
      .u8(eventAt.family, shape.family ?? 4)
      .u8(eventAt.verdict, shape.verdict ?? 1)
      .u8(eventAt.reason, shape.reason ?? 0)
      .u8(eventAt.hook, shape.hook ?? 1)
      .u8(eventAt.icmpType, 8)
      .u8(eventAt.icmpCode, 0).bytes,
  );
}

const decode = (shape: Shape) => decodeEvent(event(shape), names, 1000);
const endpointName = ({ id }: { id: KeyPath }) => endpointId(id);

test('an allowed flow: who, by which rules, by which service, where it goes on to', () => {
  const [first, second] = [...rules.keys()];
  const flow = decode({
    dst: '10.96.0.1',
    nowDst: '10.0.0.2',
    nowPort: 5432,
    service: 5n,
    stages: [
      [endpointName(web), first ?? 0n],
      [endpointName(db), second ?? 0n],
    ],
  });
  assert.deepEqual(flow, {
    timeMs: 1002.5,
    family: 4,
    protocol: 6,
    src: { address: '10.0.0.1', port: 40_000, translated: null, endpoint: web },
    dst: { address: '10.96.0.1', port: 80, translated: { address: '10.0.0.2', port: 5432 }, endpoint: db },
    icmp: null,
    length: 60,
    hook: 'from-workload',
    verdict: 'allow',
    reason: null,
    service: 'shop/db',
    trace: [
      { endpoint: web, rule: 'NetworkPolicy/shop/web egress rule 0' },
      { endpoint: db, rule: 'NetworkPolicy/shop/db ingress rule 2' },
    ],
    logs: [],
  });
});

test('stages of no endpoint are none of policy; what went meanwhile is told by its number', () => {
  const flow = decode({
    verdict: 2,
    reason: 1,
    service: 9n,
    stages: [
      [3n, 0xabcn],
      [endpointName(db), 0n],
      [0n, 0n],
    ],
    logs: [[...rules.keys()][2] ?? 0n, 4n],
  });
  assert.deepEqual([flow.verdict, flow.reason, flow.service], ['deny', 'policy', 'gone (0000000000000009)']);
  assert.deepEqual(flow.trace, [
    { endpoint: null, rule: 'gone (0000000000000abc)' },
    { endpoint: db, rule: null },
  ]);
  assert.deepEqual(flow.logs, [
    { rule: 'NetworkPolicy/shop/db ingress rule 1', prefix: 'calico-packet' },
    { rule: 'gone (0000000000000004)', prefix: '' },
  ]);
});

test("who sends with another's address is not that other", () => {
  const sender = (shape: Shape) => decode(shape).src.endpoint?.name ?? null;
  assert.equal(sender({ src: '10.0.0.2', hook: 1, ifIndex: 7 }), 'shop/web');
  assert.equal(sender({ src: '10.0.0.2', hook: 1, ifIndex: 8 }), null);
  assert.equal(sender({ src: '10.0.0.2', hook: 3 }), null);
  assert.equal(sender({ src: '10.0.0.2', hook: 4 }), 'shop/db');
});

test('ICMP has type and code in the place of ports, other protocols have neither', () => {
  const icmp = decode({ protocol: 1, nowPort: 9 });
  assert.deepEqual(
    [icmp.icmp, icmp.src.port, icmp.dst.port, icmp.dst.translated],
    [{ type: 8, code: 0 }, null, null, null],
  );
  const gre = decode({ protocol: 47, family: 6, src: 'fd00::1', dst: 'fd00::2' });
  assert.deepEqual([gre.family, gre.icmp, gre.src.port, gre.dst.address], [6, null, null, 'fd00::2']);
});

test('numbers and lengths out of range are no reason to fail', () => {
  const flow = decode({ verdict: 2, reason: 31, hook: 9, stages: Array(8).fill([1n, 1n]) });
  assert.deepEqual([flow.reason, flow.hook, flow.trace.length], ['unknown', 'from-network', 8]);
});

test('addresses and networks of both families as they stand in rows', () => {
  const row = new Row(32).address(0, parseAddress('10.1.0.0')).address(16, parseAddress('2001:db8::'));
  const view = viewOf(row.bytes);
  assert.deepEqual([addressAt(view, 0), addressAt(view, 16)], ['10.1.0.0', '2001:db8::']);
  assert.deepEqual([cidrAt(view, 0, 112), cidrAt(view, 16, 32)], ['10.1.0.0/16', '2001:db8::/32']);
  assert.equal(someAddressAt(viewOf(new Uint8Array(16)), 0), null);
  assert.equal(cidrAt(viewOf(new Uint8Array(16)), 0, 0), '::/0');
});

test('endpoints by name, address and link; of two with one address the one that stays', () => {
  const book = new EndpointBook();
  const endpoint = (name: string, address: string, ifName: string): ResolvedEndpoint => ({
    name,
    ifName: ifName as IfName,
    addresses: [parseAddress(address)],
    adminUp: true,
    tiers: [],
    profiles: [],
  });
  const at = parseAddress('10.0.0.1');
  book.onMessage({ kind: 'endpoint-update', id: web.id, endpoint: endpoint('shop/web', at, 'cali1') });
  book.onMessage({ kind: 'endpoint-update', id: db.id, endpoint: endpoint('shop/db', at, 'cali2') });
  assert.deepEqual([book.byAddress(at), book.byInterface('cali1')], [db, web]);
  assert.deepEqual([book.find('web'), book.find('shop/db'), book.find(db.id)], [[web], [db], [db]]);
  book.onMessage({ kind: 'endpoint-remove', id: db.id });
  assert.deepEqual([book.byAddress(at), book.byName(endpointId(db.id))], [web, null]);
  book.onMessage({
    kind: 'endpoint-update',
    id: web.id,
    endpoint: endpoint('shop/web', '10.0.0.3', 'cali1'),
  });
  assert.equal(book.byAddress(at), null);
  assert.deepEqual(book.addressesOf(web.id), ['10.0.0.3']);
});
