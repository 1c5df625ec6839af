// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { maxAttributePayload, NLA_F_NESTED } from './constants.ts';
import { type Attributes, messagesOf } from './reader.ts';
import { NetlinkWriter } from './writer.ts';

type Tree = { readonly type: number } & (
  | { readonly bytes: Uint8Array; readonly children?: undefined }
  | { readonly children: readonly Tree[] }
);

const type = fc.integer({ min: 0, max: 0x3fff });
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.record({ type, bytes: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({ type, children: fc.array(tie('tree'), { maxLength: 4 }) }),
  ),
}));

function write(writer: NetlinkWriter, trees: readonly Tree[]): void {
  for (const node of trees) {
    const children = node.children;
    if (children) writer.nested(node.type, () => write(writer, children));
    else writer.attrBytes(node.type, node.bytes);
  }
}

function check(attributes: Attributes, trees: readonly Tree[]): void {
  for (const node of trees) {
    assert.ok(attributes.next());
    assert.equal(attributes.type, node.type);
    if (node.children) check(attributes.nested(), node.children);
    else assert.deepEqual(attributes.bytes(), node.bytes);
  }
  assert.equal(attributes.next(), false);
}

test('what is written is read back, however deeply nested, also from a buffer used before', () => {
  const writer = new NetlinkWriter(16);
  fc.assert(
    fc.property(fc.array(fc.array(tree, { maxLength: 5 }), { maxLength: 4 }), (messages) => {
      writer.clear();
      for (const [i, trees] of messages.entries()) {
        writer.message(0x100 + i, i, i + 1, () => {
          writer.nfgenmsg(2, 0x0102);
          write(writer, trees);
        });
      }
      assert.equal(writer.length % 4, 0);
      const read = [...messagesOf(writer.bytes)];
      assert.deepEqual(
        read.map((message) => [message.type, message.flags, message.seq, message.portId]),
        messages.map((_, i) => [0x100 + i, i, i + 1, 0]),
      );
      for (const [i, trees] of messages.entries()) check((read[i] ?? assert.fail()).attributes(4), trees);
    }),
  );
});

test('numbers keep their width and byte order', () => {
  const writer = new NetlinkWriter();
  writer.message(1, 0, 1, () => {
    writer
      .attrU8(1, 0xab)
      .attrU16(2, 0x0102)
      .attrU16be(3, 0x0102)
      .attrU32(4, 0x89abcdef)
      .attrU32be(5, 0x89abcdef);
    writer.attrU64(6, 0x0102030405060708n).attrU64be(7, 0x0102030405060708n).attrString(8, 'łan').attrFlag(9);
    writer.attrU32(10, -1);
  });
  const [message] = messagesOf(writer.bytes);
  const read: unknown[] = [];
  for (const attribute of (message ?? assert.fail()).attributes(0)) {
    const readers: { readonly [type: number]: () => unknown } = {
      1: () => attribute.u8(),
      2: () => attribute.u16(),
      3: () => attribute.u16be(),
      4: () => attribute.u32(),
      5: () => attribute.u32be(),
      6: () => attribute.u64(),
      7: () => attribute.u64be(),
      8: () => attribute.string(),
      9: () => attribute.length,
      10: () => attribute.i32(),
    };
    read.push(readers[attribute.type]?.());
  }
  const long = 0x0102030405060708n;
  assert.deepEqual(read, [0xab, 0x0102, 0x0102, 0x89abcdef, 0x89abcdef, long, long, 'łan', 0, -1]);
});

test('bytes are as the kernel has them: lengths, padding, the nested flag', () => {
  const writer = new NetlinkWriter();
  writer.message(0x0a00, 5, 7, () => writer.nested(2, () => writer.attrString(1, 'ab')));
  const expected = Uint8Array.of(
    28,
    0,
    0,
    0,
    0x00,
    0x0a,
    5,
    0,
    7,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    12,
    0,
    2,
    NLA_F_NESTED >> 8,
    7,
    0,
    1,
    0,
    97,
    98,
    0,
    0,
  );
  assert.deepEqual(writer.bytes, expected);
});

test('an attribute above 64 KiB is refused, nested or not', () => {
  const writer = new NetlinkWriter();
  writer.attrBytes(1, new Uint8Array(maxAttributePayload));
  assert.throws(() => writer.attrBytes(1, new Uint8Array(maxAttributePayload + 1)), RangeError);
  assert.throws(
    () => writer.nested(1, () => writer.raw(new Uint8Array(maxAttributePayload + 1))),
    RangeError,
  );
});

test('messages cannot be left open or closed twice', () => {
  const writer = new NetlinkWriter().beginMessage(1, 0, 1);
  assert.throws(() => writer.beginMessage(1, 0, 2), TypeError);
  writer.endMessage();
  assert.throws(() => writer.endMessage(), TypeError);
});

test('a message that did not fit can be taken back', () => {
  const writer = new NetlinkWriter();
  writer.message(1, 0, 1, () => writer.u32(1));
  const before = writer.length;
  writer.message(1, 0, 2, () => writer.u32(2));
  writer.truncate(before);
  assert.deepEqual(
    [...messagesOf(writer.bytes)].map((message) => message.seq),
    [1],
  );
});

test('lengths that lie are refused, never read past', () => {
  const writer = new NetlinkWriter();
  writer.message(1, 0, 1, () => writer.attrU8(1, 1));
  const patched = (at: number, value: number) => {
    const bytes = writer.bytes.slice();
    new DataView(bytes.buffer).setUint16(at, value, true);
    return bytes;
  };
  for (const length of [0, 15, 28])
    assert.throws(() => [...messagesOf(patched(0, length))], RangeError, `${length}`);
  for (const length of [0, 3, 12]) {
    const [message] = messagesOf(patched(16, length));
    assert.throws(() => message?.attributes(0).next(), RangeError, `${length}`);
  }
  const [message] = messagesOf(writer.bytes);
  const attributes = (message ?? assert.fail()).attributes(0);
  attributes.next();
  assert.throws(() => attributes.u32(), RangeError);
});
