// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvalidError } from '../../lib/errors.ts';
import { calicoVersion } from '../../model/kinds.ts';
import type { Resource, ResourceKey } from '../../model/types.ts';
import { validateResource } from '../../model/validate/resource.ts';
import { keyAt, pathOf } from './layout.ts';
import { decodeValue, encodeValue } from './values.ts';

function decode(path: string, value: unknown): Resource {
  const key = keyAt(path);
  assert.ok(key);
  const bytes = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
  return decodeValue(key, path, bytes, 7n).resource;
}

// ---- Calico's own values, as its tools write them -------------------------------------------------------------------

const written: readonly (readonly [string, object, object])[] = [
  [
    '/calico/ipam/v2/assignment/ipv4/block/10.65.0.0-30',
    {
      cidr: '10.65.0.0/30',
      affinity: 'host:node1',
      allocations: [0, null, 1, null],
      unallocated: [3, 1],
      attributes: [
        { handle_id: 'vxlan-tunnel-addr-node1', secondary: { node: 'node1', type: 'vxlanTunnelAddress' } },
        { handle_id: null, secondary: null },
      ],
      sequenceNumber: 4,
      sequenceNumberForAllocation: { '0': 1, '2': 3 },
      deleted: false,
    },
    {
      cidr: '10.65.0.0/30',
      affinity: 'host:node1',
      allocations: [0, null, 1, null],
      unallocated: [3, 1],
      attributes: [
        { handle_id: 'vxlan-tunnel-addr-node1', secondary: { node: 'node1', type: 'vxlanTunnelAddress' } },
        {},
      ],
      sequenceNumber: 4,
      sequenceNumberForAllocation: { '0': 1, '2': 3 },
      strictAffinity: false,
      deleted: false,
    },
  ],
  [
    '/calico/ipam/v2/assignment/ipv4/block/10.65.0.0-30',
    {
      cidr: '10.65.0.0/30',
      affinity: null,
      hostAffinity: 'node1',
      allocations: [],
      unallocated: null,
      attributes: null,
      sequenceNumberForAllocation: null,
    },
    {
      affinity: 'host:node1',
      cidr: '10.65.0.0/30',
      strictAffinity: false,
      allocations: [],
      unallocated: [],
      attributes: [],
    },
  ],
  [
    '/calico/ipam/v2/handle/net.1',
    { block: { '10.65.0.0/26': 2 }, deleted: false },
    { block: { '10.65.0.0/26': 2 }, deleted: false, handleID: 'net.1' },
  ],
  [
    '/calico/ipam/v2/host/node1/ipv4/block/10.65.0.0-26',
    { state: 'confirmed', deleted: false },
    { state: 'confirmed', deleted: false, node: 'node1', cidr: '10.65.0.0/26', type: 'host' },
  ],
  [
    '/calico/ipam/v2/config',
    { auto_allocate_blocks: true },
    { strictAffinity: false, autoAllocateBlocks: true },
  ],
];

for (const [path, value, spec] of written) {
  test(`Calico's value at ${path} is read as the valid resource that it is`, () => {
    const resource = decode(path, value);
    assert.deepEqual(resource.spec, spec);
    assert.deepEqual(validateResource(resource).faults, []);
  });
}

test('an affinity without a value, as Calico once wrote it, is one without a state', () => {
  const { spec } = decode('/calico/ipam/v2/host/node1/ipv4/block/10.65.0.0-26', new Uint8Array());
  assert.deepEqual(spec, { state: '', deleted: false, node: 'node1', cidr: '10.65.0.0/26', type: 'host' });
});

// ---- what is written comes back ---------------------------------------------------------------------------------------

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
const cidr = fc.oneof(
  fc.tuple(fc.nat(255), fc.nat(255), fc.nat(3)).map(([a, b, c]) => `10.${a}.${b}.${c * 64}/26`),
  fc
    .tuple(fc.nat(0xffff), fc.nat(0xffff))
    .map(([a, b]) => `fd00:${(a || 1).toString(16)}:${(b || 1).toString(16)}::/122`),
  fc.constantFrom('fd00::/122', 'fd00:1:2:3:4:5:6:0/122', '::/122'),
);
const dashes = (text: string) => text.replaceAll(/[./:]/g, '-');
const metadata = fc.record(
  {
    uid: fc.uuid(),
    creationTimestamp: fc.constant('2026-11-22T00:00:00Z'),
    labels: fc.dictionary(label, label),
    annotations: fc.dictionary(label, fc.string()),
  },
  { requiredKeys: [] },
);
const attribute = fc.record(
  { handle_id: label, secondary: fc.dictionary(label, fc.string()), alternate: fc.dictionary(label, label) },
  { requiredKeys: [] },
);

function resource(kind: string, name: string, meta: object, spec: object): Resource {
  return { apiVersion: calicoVersion, kind, metadata: { name, ...meta }, spec };
}

const block = fc
  .tuple(
    cidr,
    metadata,
    fc.record(
      {
        allocations: fc.array(fc.option(fc.nat(63))),
        unallocated: fc.array(fc.nat(63)),
        attributes: fc.array(attribute),
        strictAffinity: fc.boolean(),
        affinity: label.map((node) => `host:${node}`),
        sequenceNumber: fc.nat(),
        sequenceNumberForAllocation: fc.dictionary(fc.nat(63).map(String), fc.nat()),
        deleted: fc.boolean(),
        fromTheFuture: fc.jsonValue().filter((value) => value !== null),
      },
      { requiredKeys: ['allocations', 'unallocated', 'attributes', 'strictAffinity'] },
    ),
  )
  .map(([block, meta, spec]) => resource('IPAMBlock', dashes(block), meta, { cidr: block, ...spec }));

const handle = fc
  .tuple(
    fc.stringMatching(/^[a-z0-9.-]{1,40}$/),
    metadata,
    fc.dictionary(cidr, fc.nat()),
    fc.option(fc.boolean()),
  )
  .map(([name, meta, block, deleted]) =>
    resource('IPAMHandle', name, meta, { handleID: name, block, ...(deleted === null ? {} : { deleted }) }),
  );

const affinity = fc
  .tuple(label, cidr, metadata, fc.constantFrom('', 'host', 'virtual', null), fc.boolean())
  .map(([node, block, meta, type, deleted]) =>
    resource('BlockAffinity', `${node}-${dashes(block)}`, meta, {
      state: 'confirmed',
      node,
      cidr: block,
      deleted,
      ...(type === null ? {} : { type }),
    }),
  );

const configuration = fc
  .tuple(metadata, fc.boolean(), fc.boolean(), fc.option(fc.nat(100)), fc.option(fc.nat(1200)))
  .map(([meta, strictAffinity, autoAllocateBlocks, maxBlocksPerHost, ipCooldownSeconds]) =>
    resource('IPAMConfiguration', 'default', meta, {
      strictAffinity,
      autoAllocateBlocks,
      ...(maxBlocksPerHost === null ? {} : { maxBlocksPerHost }),
      ...(ipCooldownSeconds === null ? {} : { ipCooldownSeconds }),
    }),
  );

test("address management's resources come back from Calico's shapes as they were", () => {
  fc.assert(
    fc.property(fc.oneof(block, handle, affinity, configuration), (generated) => {
      const resource = JSON.parse(JSON.stringify(generated)) as Resource; // plain objects, as JSON has them
      const key = { kind: resource.kind, name: resource.metadata.name } as ResourceKey;
      const path = pathOf(key, resource);
      assert.deepEqual(keyAt(path), key);
      const stored = decodeValue(key, path, encodeValue(key, resource, path), 12n);
      assert.equal(stored.revision, '12');
      assert.deepEqual(stored.resource, {
        ...resource,
        metadata: { ...resource.metadata, resourceVersion: '12' },
      });
    }),
    { numRuns: 1000 },
  );
});

test("what Calico's tools need is where they look for it, and the revision is in no value", () => {
  const key: ResourceKey = { kind: 'IPAMConfiguration', name: 'default' };
  const given = resource(
    'IPAMConfiguration',
    'default',
    { resourceVersion: '3' },
    { strictAffinity: true, autoAllocateBlocks: false },
  );
  const value = JSON.parse(Buffer.from(encodeValue(key, given, pathOf(key, given))).toString());
  assert.deepEqual(value, {
    strict_affinity: true,
    auto_allocate_blocks: false,
    'muslin.dev/resource': { metadata: {} },
  });
});

const contradictions: readonly (readonly [ResourceKey, object])[] = [
  [
    { kind: 'IPAMHandle', name: 'a' },
    { handleID: 'A', block: {} },
  ],
  [{ kind: 'IPAMBlock', name: '10-65-0-0-26' }, { cidr: '10.66.0.0/26' }],
  [
    { kind: 'BlockAffinity', name: 'n-10-65-0-0-26' },
    { node: 'm', cidr: '10.65.0.0/26' },
  ],
  [
    { kind: 'BlockAffinity', name: 'n-10-65-0-0-26' },
    { node: 'n', cidr: 'no' },
  ],
];

for (const [key, spec] of contradictions) {
  test(`${key.kind} ${JSON.stringify(spec)} is not stored as ${key.name}`, () => {
    const given = resource(key.kind, key.name, {}, spec);
    assert.throws(() => encodeValue(key, given, pathOf(key, given)), InvalidError);
  });
}

// ---- garbage ------------------------------------------------------------------------------------------------------------

const tierPath = '/calico/resources/v3/projectcalico.org/tiers/a';
const deep = `{"metadata":{"name":"a"},"spec":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
const garbage: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array()],
  ['no JSON', Buffer.from('{"metadata"')],
  ['no text', Buffer.from([0xff, 0xfe, 0, 1])],
  ['half a character', Buffer.from('{"metadata":{"name":"\xe9"}}', 'latin1')],
  ['null', Buffer.from('null')],
  ['a list', Buffer.from('[]')],
  ['no metadata', Buffer.from('{"spec":{}}')],
  ['metadata that is a text', Buffer.from('{"metadata":"x"}')],
  ['too deep', Buffer.from(deep)],
];

for (const [title, value] of garbage) {
  test(`${title} is a tier with a name and nothing else`, () => {
    assert.deepEqual(decode(tierPath, value), {
      apiVersion: '',
      kind: 'Tier',
      metadata: { name: 'a', resourceVersion: '7' },
    });
  });
}

test('garbage of address management does not stop its reader', () => {
  for (const [path] of written) {
    for (const value of [
      '',
      '[]',
      '{"allocations":7,"attributes":[1,null]}',
      '{"muslin.dev/resource":3}',
      deep,
    ])
      assert.equal(typeof decode(path, Buffer.from(value)).metadata.name, 'string');
  }
});

test('keys that are no members of plain objects stay where they are', () => {
  const text =
    '{"metadata":{"name":"a","__proto__":{"x":1}},"__proto__":{"polluted":true},"spec":{"constructor":1}}';
  const read = decode(tierPath, Buffer.from(text));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.ok(Object.hasOwn(read, '__proto__'));
});

test('an object of more than 1.5 MB is refused, with its size', () => {
  const key: ResourceKey = { kind: 'Tier', name: 'a' };
  const given = resource('Tier', 'a', { annotations: { a: 'x'.repeat(1_600_000) } }, {});
  assert.throws(
    () => encodeValue(key, given, tierPath),
    (error) =>
      error instanceof InvalidError && /Tier a: got 16\d{5} bytes, want at most 1500000/.test(error.message),
  );
});
