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

test('a missing label, a double one and a jump too far are refused', () => {
  assert.throws(() => new Assembler().jump('nowhere').assemble(), /label nowhere is not set/);
  assert.throws(() => new Assembler().label('a').label('a'), /set twice/);
  const far = new Assembler().jump('end');
  for (let i = 0; i < 0x8000; i++) far.mov('r0', 0);
  assert.throws(() => far.label('end').exit().assemble(), RangeError);
});
