// SPDX-License-Identifier: Apache-2.0
/** What the assembler emits does in the kernel what its listing says. */
import assert from 'node:assert/strict';
import { Assembler } from '../../src/kernel/bpf/asm.ts';
import { loadGenerated } from '../../src/kernel/bpf/load.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { testRun } from '../../src/kernel/bpf/test-run.ts';
import { rootTest } from './root-test.ts';

const frame = new Uint8Array(60);

/** @returns the low 32 bits of r0. */
function result(asm: Assembler): number {
  using program = loadGenerated({
    name: 'test',
    instructions: asm.exit().assemble(),
    listing: asm.listing(),
  });
  return testRun(program, { packet: frame }).retval;
}

rootTest('arithmetic, byte order, memory and 64-bit numbers', () => {
  const asm = () => new Assembler();
  const cases: readonly [number, Assembler][] = [
    [0x55667788, asm().mov64('r0', 0x1122334455667788n)],
    [0x11223344, asm().mov64('r0', 0x1122334455667788n).alu('rsh', 'r0', 32)],
    [0x8877, asm().mov64('r0', 0x1122334455667788n).bigEndian('r0', 16)],
    [0x88776655, asm().mov64('r0', 0x1122334455667788n).bigEndian('r0', 32)],
    [0xfffffff9, asm().mov('r0', 7).neg('r0')],
    [42, asm().mov('r0', 6).mov('r1', 7).alu('mul', 'r0', 'r1')],
    [
      1,
      asm()
        .mov64('r0', (1n << 32n) - 1n)
        .alu32('add', 'r0', 2),
    ],
    [0, asm().mov64('r0', -1n).alu32('mov', 'r0', 'r0').alu('rsh', 'r0', 32)],
    [0xffffffff, asm().mov('r0', -8).alu('arsh', 'r0', 3)],
    [13, asm().mov('r0', 97).alu32('mod', 'r0', 21)],
    [0xfe, asm().storeImmediate('u64', 'r10', -8, -2).load('u8', 'r0', 'r10', -8)],
    [
      12,
      asm()
        .storeImmediate('u64', 'r10', -8, 5)
        .mov('r1', 7)
        .atomicAdd('u64', 'r10', -8, 'r1')
        .load('u64', 'r0', 'r10', -8),
    ],
  ];
  for (const [want, program] of cases) {
    assert.equal(
      result(program),
      want,
      program
        .listing()
        .map(({ text }) => text)
        .join('; '),
    );
  }
});

rootTest('maps: by helper, and by the address of a value', (rig) => {
  const spec = { name: 'words', type: 'ARRAY', keySize: 4, valueSize: 16, maxEntries: 1, flags: 0 } as const;
  const map = rig.use(BpfMap.create(spec));
  const operand = { fd: map.fd.number, name: 'words' };
  const asm = new Assembler()
    .loadMapValue('r6', operand, 8)
    .mov('r1', 5)
    .atomicAdd('u64', 'r6', 0, 'r1')
    .storeImmediate('u32', 'r10', -4, 0)
    .loadMap('r1', operand)
    .mov('r2', 'r10')
    .alu('add', 'r2', -4)
    .call(1, 'map_lookup_elem')
    .jumpIf('r0', '==', 0, 'out')
    .load('u64', 'r0', 'r0', 8)
    .label('out');
  assert.equal(result(asm), 5);
  assert.deepEqual(map.get(new Uint8Array(4)), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0));
});

rootTest('a refusal names the instruction and what it was for', () => {
  const asm = new Assembler()
    .note('start')
    .mov('r6', 'r1')
    .mov64('r1', 1n)
    .note('rule default/a-policy 3')
    .load('u32', 'r0', 'r9', 4)
    .note('end')
    .exit();
  const program = { name: 'refused', instructions: asm.assemble(), listing: asm.listing() };
  assert.throws(() => loadGenerated(program), {
    name: 'VerifierError',
    instruction: 3,
    listed: { index: 3, text: 'r0 = *(u32 *)(r9 + 4)', note: 'rule default/a-policy 3', label: '' },
    message: /EACCES\) at 3: r0 = \*\(u32 \*\)\(r9 \+ 4\) \(rule default\/a-policy 3\)\n.*R9 !read_ok/s,
  });
});

rootTest('XDP programs are loaded as such', () => {
  const asm = new Assembler()
    .load('u32', 'r2', 'r1', 0)
    .load('u32', 'r3', 'r1', 4)
    .mov('r0', 'r3')
    .alu('sub', 'r0', 'r2')
    .exit();
  const program = { name: 'length', instructions: asm.assemble(), listing: asm.listing() };
  using xdp = loadGenerated({ ...program, type: { kind: 'xdp' } });
  assert.equal(testRun(xdp, { packet: frame }).retval, 60);
});
