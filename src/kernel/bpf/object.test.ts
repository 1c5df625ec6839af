// SPDX-License-Identifier: Apache-2.0
/** Reading BPF objects, whole and harmed; nothing here asks the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileBpf, fixtureObject } from '../../../test/kernel/compile.ts';
import { AppError, InvalidError } from '../../lib/errors.ts';
import { parseElf } from './elf.ts';
import { parseObject } from './object.ts';

test('programs, maps and constants are found with their types, sizes and places', () => {
  const object = parseObject(fixtureObject());
  assert.deepEqual(
    object.programs.map(({ name, section, type }) => [name, section, type.kind]),
    [
      ['scale', 'tc', 'classifier'],
      ['sum_counts', 'tc', 'classifier'],
      ['jump_on', 'tc', 'classifier'],
      ['tell', 'tc', 'classifier'],
      ['lock', 'tc', 'classifier'],
      ['drop_nets', 'xdp', 'xdp'],
      ['refuse', 'cgroup/connect4', 'cgroup'],
      ['accept', 'cgroup/connect4', 'cgroup'],
      ['count_up', 'syscall', 'syscall'],
    ],
  );
  assert.deepEqual(
    object.maps.map(({ spec }) => [
      spec.name,
      spec.type,
      spec.keySize,
      spec.valueSize,
      spec.maxEntries,
      spec.flags,
    ]),
    [
      ['counts', 'HASH', 4, 8, 16, 0],
      ['next', 'PROG_ARRAY', 4, 4, 4, 0],
      ['events', 'RINGBUF', 0, 0, 4096, 0],
      ['guarded', 'ARRAY', 4, 8, 1, 0],
      ['nets', 'LPM_TRIE', 8, 4, 16, 1],
    ],
  );
  assert.deepEqual(
    object.constants.map(({ name, offset, size }) => [name, offset, size]),
    [
      ['factor', 0, 4],
      ['own_address', 4, 4],
      ['hidden', 8, 2],
    ],
  );
});

test('what is no BPF object is told by what it is', () => {
  const refused = (bytes: Uint8Array, want: RegExp) => assert.throws(() => parseElf(bytes), want);
  const changed = (at: number, value: number) => {
    const bytes = fixtureObject().slice();
    bytes[at] = value;
    return bytes;
  };
  refused(new TextEncoder().encode('#!/bin/sh'), /got starts with 0x23212f62, want an ELF file/);
  refused(new Uint8Array(3), /ELF file of 3 bytes: it ends before/);
  refused(changed(4, 1), /got class 1, byte order 1, want 64 bits/);
  refused(changed(5, 2), /byte order 2/);
  refused(changed(18, 62), /got machine 62, want BPF \(247\)/);
  refused(changed(16, 2), /got file type 2, want a relocatable object/);
  refused(compileBpf('int x;', ['-target', 'x86_64']), /got machine 62/);
});

test('an unknown kind of relocation is named, with where it stands', () => {
  const bytes = fixtureObject().slice();
  const elf = parseElf(bytes);
  const section = elf.sections.find(({ name }) => name === '.reltc');
  assert.ok(section);
  new DataView(section.bytes.buffer, section.bytes.byteOffset).setUint32(8, 77, true); // of its first row
  assert.throws(() => parseObject(bytes), /tc: got a relocation of kind 77 against .*, want R_BPF_64_64/);
});

test('a file cut short or harmed anywhere is refused in words, or still read', () => {
  const whole = fixtureObject();
  const reads = (bytes: Uint8Array): void => {
    try {
      parseObject(bytes);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
    }
  };
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(changes, fc.option(fc.nat(whole.length - 1), { freq: 4 }), (bytes, length) => {
      const harmed = whole.slice(0, length ?? whole.length);
      for (const [at, value] of bytes) if (at < harmed.length) harmed[at] = value;
      reads(harmed);
    }),
    { numRuns: 2000 },
  );
  assert.throws(() => parseObject(whole.subarray(0, 4000)), InvalidError);
});
