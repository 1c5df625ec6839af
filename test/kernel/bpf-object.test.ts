// SPDX-License-Identifier: Apache-2.0
/** The loader of BPF objects on the running kernel: what fixtures/object.bpf.c holds must do what its C says. */
import assert from 'node:assert/strict';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import {
  type BpfObject,
  type LoadedObject,
  type LoadOptions,
  parseObject,
} from '../../src/kernel/bpf/object.ts';
import { skbContext, skbFields, testRun } from '../../src/kernel/bpf/test-run.ts';
import { AppError } from '../../src/lib/errors.ts';
import { compileBpf, fixtureObject } from './compile.ts';
import { type Rig, rootTest } from './root-test.ts';

const first = new Uint8Array(4); // key 0 of an array
const frame = new Uint8Array(60);

function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function load(rig: Rig, options?: LoadOptions): LoadedObject {
  return rig.use(parseObject(fixtureObject()).load(options));
}

/** Words of an array's first value. */
function words(map: BpfMap): number[] {
  const value = map.get(first);
  assert.ok(value);
  return [...new Uint32Array(value.buffer, 0, value.length >> 2)];
}

function run(object: LoadedObject, program: string): number {
  return testRun(object.program(program), { packet: frame }).retval;
}

rootTest('functions are joined and constants keep what C gave them', (rig) => {
  const object = load(rig);
  assert.equal(run(object, 'scale'), 60 * 2 * 3 + 9 + 1);
  assert.deepEqual(words(object.map('.bss')).slice(2), [1], 'the function counted its calls');
});

rootTest('constants are set by name before the verifier looks: numbers and bytes', (rig) => {
  const object = load(rig, {
    constants: { factor: 2n, own_address: Uint8Array.of(10, 0, 0, 200), hidden: 0xffff },
  });
  assert.equal(run(object, 'scale'), 60 * 2 * 2 + 0xffff + 200);
  assert.throws(() => object.map('.rodata').set(first, new Uint8Array(10)), /EPERM/, 'frozen');
});

rootTest('a callback goes over a map and keeps its state in data', (rig) => {
  const object = load(rig);
  object.map('counts').setMany([7, 8, 9].map((key) => [u32(key), u64(key)]));
  assert.equal(run(object, 'sum_counts'), 5 + 7 + 8 + 9 + 2);
  assert.deepEqual(words(object.map('.bss')).slice(0, 1), [3]);
  assert.deepEqual(words(object.map('.data')), [6]);
});

rootTest('tail calls go through a program array', (rig) => {
  const object = load(rig);
  assert.equal(run(object, 'jump_on'), 2, 'an empty slot falls through to TC_ACT_SHOT');
  object.map('next').setProgram(2, object.program('scale'));
  assert.equal(run(object, 'jump_on'), 60 * 2 * 3 + 10);
});

rootTest('a spin lock in a value is known to the kernel by its type', (rig) => {
  const object = load(rig);
  assert.equal(run(object, 'lock'), 0);
  assert.deepEqual(words(object.map('guarded')), [0, 2]);
});

rootTest('XDP and syscall programs run; a context comes back changed', (rig) => {
  const object = load(rig);
  assert.equal(run(object, 'drop_nets'), 2, 'XDP_PASS');
  object.map('nets').set(Uint8Array.of(...u32(8), 10, 0, 0, 0), u32(1));
  assert.equal(run(object, 'drop_nets'), 1, 'XDP_DROP');
  const counted = testRun(object.program('count_up'), { ctx: u32(1) });
  assert.deepEqual([counted.retval, counted.ctx], [4, u32(1 + 40 + 3)]);
});

rootTest('a test run gives mark and packet', (rig) => {
  const object = load(rig);
  const packet = Uint8Array.from({ length: 100 }, (_, i) => i);
  const ctx = skbContext({ mark: 41 });
  const result = testRun(object.program('tell'), { packet, ctx });
  assert.deepEqual([result.retval, result.packet], [0, packet]);
  assert.equal(new DataView(result.ctx.buffer).getUint32(skbFields.mark, true), 42, 'one more');
  assert.deepEqual(ctx, skbContext({ mark: 41 }), 'what was given is not touched');
});

rootTest('only some programs, shared maps, other sizes', (rig) => {
  const counts = rig.use(parseObject(fixtureObject()).load({ programs: [] })).map('counts');
  counts.set(u32(1), u64(30));
  const object = load(rig, {
    programs: ['sum_counts'],
    maps: new Map([['counts', counts]]),
    maxEntries: { nets: 1000 },
  });
  assert.equal(run(object, 'sum_counts'), 5 + 30 + 2);
  assert.equal(object.map('counts'), counts);
  assert.equal(object.map('nets').info.maxEntries, 1000);
  assert.throws(() => object.program('scale'), /program scale: not loaded: want one of sum_counts/);
  object[Symbol.dispose]();
  assert.ok(counts.get(u32(1)), 'what was given stays open');
});

rootTest('what cannot be loaded is named, and nothing stays open', (rig) => {
  const object = parseObject(fixtureObject());
  const refused = (options: LoadOptions, want: RegExp) =>
    assert.throws(
      () => object.load(options),
      (error: Error) => want.test(error.message),
    );
  refused({ programs: ['scale', 'gone'] }, /program gone: want one of scale, sum_counts/);
  refused({ maxEntries: { gone: 1 } }, /map gone: want one of counts/);
  refused({ constants: { gone: 1 } }, /constant gone: want one of factor/);
  refused({ constants: { factor: 2n ** 32n } }, /constant factor: got 4294967296, want a number of 32 bits/);
  refused({ constants: { own_address: first.subarray(1) } }, /constant own_address: got 3 bytes, want 4/);
  const other = rig.use(
    BpfMap.create({ name: 'counts', type: 'HASH', keySize: 4, valueSize: 4, maxEntries: 16, flags: 0 }),
  );
  refused({ maps: new Map([['counts', other]]) }, /map counts: .* valueSize: got 4, want 8/);
});

const preamble =
  '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nchar LICENSE[] SEC("license") = "GPL";\n';

rootTest('a program that the verifier refuses comes with its source lines and the whole log', () => {
  const source = `${preamble}SEC("tc") int bad(struct __sk_buff *skb) {
    __u8 *data = (void *)(long)skb->data;
    return data[3]; /* unchecked */
  }`;
  assert.throws(() => parseObject(compileBpf(source)).load(), {
    name: 'VerifierError',
    message: /load program bad: permission denied \(EACCES\).*unchecked.*invalid access to packet/s,
    log: /invalid access to packet/,
  });
});

function refusedParse(source: string, want: RegExp, more: readonly string[] = []): void {
  const bytes = compileBpf(preamble + source, more);
  assert.throws(
    () => parseObject(bytes),
    (error) => error instanceof AppError && (want.test(error.message) || assert.fail(error.message)),
  );
}

rootTest('objects that mean nothing here are refused before the kernel is asked', () => {
  refusedParse(
    'SEC("kprobe/x") int f(void *c) { return 0; }',
    /section kprobe\/x: want tc, xdp, syscall or cgroup/,
  );
  refusedParse('SEC("cgroup/bind4") int f(void *c) { return 0; }', /section cgroup\/bind4: want/);
  refusedParse('struct { __uint(max_entries, 1); } m SEC(".maps");', /map m: got no type/);
  refusedParse(
    'struct { __uint(type, 1); __uint(colour, 1); } m SEC(".maps");',
    /map m: got colour, want only type/,
  );
  refusedParse('struct { __uint(type, 4); } m SEC(".maps");', /map m: got map type 4, want one of HASH/);
  refusedParse(
    'extern int f2(void *c); SEC("tc") int f(void *c) { return f2(c); }',
    /f2.*not defined|extern/,
  );
  refusedParse(
    'SEC("other") int v; SEC("tc") int f(void *c) { return v; }',
    /f uses v of section other: want one of/,
  );
  refusedParse('SEC("tc") int f(void *c) { return 0; }', /got no section .BTF, want clang -g/, ['-g0']);
  refusedParse(
    'struct __sk_buff; SEC("tc") int f(struct __sk_buff *c) { return __builtin_preserve_access_index(c->len); }',
    /CO-RE/,
  );
});

rootTest('a function of an object can be taken from every one of its programs at once', (rig) => {
  const object: BpfObject = parseObject(fixtureObject());
  const [a, b] = [rig.use(object.load({ constants: { factor: 1 } })), rig.use(object.load())];
  assert.deepEqual([run(a, 'scale'), run(b, 'scale')], [60 * 2 + 10, 60 * 6 + 10], 'loads are independent');
});
