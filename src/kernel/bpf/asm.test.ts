// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assembler } from './asm.ts';

/** As `llvm-objdump` prints the bytes of an object file. */
function hex(asm: Assembler): string[] {
  return [...Buffer.from(asm.assemble()).toString('hex').matchAll(/.{16}/g)].map(([text]) => text);
}

test('instructions are encoded as RFC 9669 has them', () => {
  const asm = new Assembler()
    .mov('r6', 'r1')
    .mov('r0', -1)
    .alu('add', 'r3', -16)
    .alu('and', 'r7', 0xc0)
    .load('u32', 'r7', 'r6', 16)
    .load('u8', 'r9', 'r10', -16)
    .store('u64', 'r10', -8, 'r2')
    .call(26)
    .exit();
  assert.deepEqual(hex(asm), [
    'bf16000000000000',
    'b7000000ffffffff',
    '07030000f0ffffff',
    '57070000c0000000',
    '6167100000000000',
    '71a9f0ff00000000',
    '7b2af8ff00000000',
    '850000001a000000',
    '9500000000000000',
  ]);
});

test('jumps count from the next instruction, forwards and backwards', () => {
  const asm = new Assembler()
    .label('top')
    .jumpIf('r0', '!=', 0, 'end')
    .jumpIf32('r7', '==', 'r8', 'top')
    .jumpIf32('r7', '&', 0x80000000, 'end')
    .jump('top')
    .label('end')
    .exit();
  assert.deepEqual(hex(asm), [
    '5500030000000000',
    '1e87feff00000000',
    '4607010000000080',
    '0500fcff00000000',
    '9500000000000000',
  ]);
});

test('what a policy program needs is encoded as llvm encodes it', () => {
  const asm = new Assembler()
    .mov64('r1', 0x1122334455667788n)
    .mov64('r2', -1n)
    .loadMap('r3', { fd: 7, name: 'm' })
    .loadMapValue('r4', { fd: 8, name: 'v' }, 16)
    .storeImmediate('u32', 'r10', -4, 0xffffffff)
    .storeImmediate('u64', 'r10', -16, -2)
    .neg('r5')
    .alu('mul', 'r5', 10)
    .alu32('mul', 'r5', 'r6')
    .alu32('mov', 'r7', 0xffffffff)
    .bigEndian('r8', 16)
    .bigEndian('r8', 32)
    .atomicAdd('u64', 'r0', 8, 'r1')
    .atomicAdd('u32', 'r0', 4, 'r1')
    .alu('arsh', 'r2', 3);
  assert.deepEqual(hex(asm), [
    '1801000088776655',
    '0000000044332211',
    '18020000ffffffff',
    '00000000ffffffff',
    '1813000007000000',
    '0000000000000000',
    '1824000008000000',
    '0000000010000000',
    '620afcffffffffff',
    '7a0af0fffeffffff',
    '8705000000000000',
    '270500000a000000',
    '2c65000000000000',
    'b4070000ffffffff',
    'dc08000010000000',
    'dc08000020000000',
    'db10080000000000',
    'c310040000000000',
    'c702000003000000',
  ]);
  assert.equal(asm.length, 19);
});

test('64-bit loads count as two in jumps', () => {
  const asm = new Assembler().jump('end').mov64('r0', 1n).label('end').exit();
  assert.equal(hex(asm)[0], '0500020000000000');
});

test('a missing label, a double one, one behind the end and a jump too far are refused', () => {
  assert.throws(() => new Assembler().jump('nowhere').assemble(), /label nowhere is not set/);
  assert.throws(() => new Assembler().label('a').label('a'), /set twice/);
  assert.throws(() => new Assembler().jump('end').label('end').assemble(), /end is set behind the last/);
  const fill = (asm: Assembler, count: number) => {
    for (let i = 0; i < count; i++) asm.mov('r0', 0);
    return asm;
  };
  const forward = (count: number) => fill(new Assembler().jump('end'), count).label('end').exit();
  forward(0x7fff).assemble();
  assert.throws(() => forward(0x8000).assemble(), /jump to end: got 32768, want -32768 to 32767/);
  const backward = (count: number) => fill(new Assembler().label('top'), count).jump('top').exit();
  backward(0x7fff).assemble();
  assert.throws(() => backward(0x8000).assemble(), /jump to top: got -32769, want -32768 to 32767/);
});

test('a number that an instruction cannot hold is refused, not cut', () => {
  const asm = () => new Assembler();
  assert.throws(() => asm().mov('r0', 0x80000000), RangeError, 'would be sign-extended');
  assert.throws(() => asm().jumpIf('r0', '==', 0x80000000, 'a'), RangeError);
  assert.throws(() => asm().jumpIf32('r0', '==', 2 ** 32, 'a'), RangeError);
  assert.throws(() => asm().storeImmediate('u64', 'r10', -8, 0x80000000), RangeError);
  assert.throws(() => asm().mov('r0', 1.5), RangeError);
  assert.throws(() => asm().load('u8', 'r0', 'r1', 0x8000), RangeError);
  assert.throws(() => asm().mov64('r0', 1n << 64n), RangeError);
});

test('a listing shows each instruction with its label and what it is for', () => {
  const listing = new Assembler()
    .mov('r6', 'r1')
    .note('rule a')
    .label('top')
    .label('again')
    .loadMap('r1', { fd: 7, name: 'counts' })
    .loadMapValue('r2', { fd: 8, name: 'rules' }, 16)
    .mov64('r2', -1n)
    .call(1, 'map_lookup_elem')
    .jumpIf('r0', '==', 0, 'again')
    .jumpIf32('r7', '&', 0x80000000, 'end')
    .jumpIf32('r7', '!=', 'r8', 'end')
    .note('rule b')
    .load('u16', 'r2', 'r0', -2)
    .bigEndian('r2', 16)
    .alu('sub', 'r2', -16)
    .alu32('xor', 'r2', 'r3')
    .alu32('rsh', 'r2', 4)
    .neg('r2')
    .store('u64', 'r10', -8, 'r2')
    .storeImmediate('u8', 'r10', 3, -1)
    .atomicAdd('u64', 'r0', 8, 'r2')
    .jump('end')
    .note('')
    .label('end')
    .call(26)
    .exit()
    .listing();
  assert.deepEqual(
    listing.map(({ index, text, note, label }) => `${label}|${index}|${text}|${note}`),
    [
      '|0|r6 = r1|',
      'top, again|1|r1 = map counts|rule a',
      '|3|r2 = value of map rules + 16|rule a',
      '|5|r2 = 0xffffffffffffffff ll|rule a',
      '|7|call map_lookup_elem|rule a',
      '|8|if r0 == 0 goto again|rule a',
      '|9|if w7 & 0x80000000 goto end|rule a',
      '|10|if w7 != w8 goto end|rule a',
      '|11|r2 = *(u16 *)(r0 - 2)|rule b',
      '|12|r2 = be16 r2|rule b',
      '|13|r2 -= -16|rule b',
      '|14|w2 ^= w3|rule b',
      '|15|w2 >>= 0x4|rule b',
      '|16|r2 = -r2|rule b',
      '|17|*(u64 *)(r10 - 8) = r2|rule b',
      '|18|*(u8 *)(r10 + 3) = -1|rule b',
      '|19|lock *(u64 *)(r0 + 8) += r2|rule b',
      '|20|goto end|rule b',
      'end|21|call 26|',
      '|22|exit|',
    ],
  );
});
