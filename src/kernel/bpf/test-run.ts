// SPDX-License-Identifier: Apache-2.0
/**
 * Runs a loaded program once without attaching it: BPF_PROG_TEST_RUN. Many runs in one call are not offered: a signal ends them
 * with EINTR, and nothing says how many were done (net/bpf/test_run.c, bpf_test_timer_continue).
 */
import type { Fd } from '../sys/fd.ts';
import { BPF_PROG_TEST_RUN, bpf, type Field } from './call.ts';

/** A program may put headers before a frame: more than any here does. A longer frame comes back cut, with ENOSPC. */
const growth = 1024;

/** Bytes of struct __sk_buff, and where its fields are that may be set: include/uapi/linux/bpf.h, convert___skb_to_skb. */
export const skbBytes = 192;
export const skbFields = {
  length: 0,
  mark: 8,
  priority: 32,
  ingressIfIndex: 36,
  ifIndex: 40,
  /** Five words. */
  cb: 48,
} as const;

export interface TestRun {
  /** A frame from its Ethernet header on; for XDP and classifiers at least 14 bytes. Absent for `syscall`. */
  readonly packet?: Uint8Array;
  /** struct __sk_buff or struct xdp_md, or what a `syscall` program takes. Fields that the kernel does not let set must be 0. */
  readonly ctx?: Uint8Array;
}

export interface TestRunResult {
  /** As the program returned it, unsigned. */
  readonly retval: number;
  /** As the run left it. */
  readonly packet: Uint8Array;
  /** As the run left it; empty if none was given. */
  readonly ctx: Uint8Array;
}

/** @throws {KernelError} EINVAL for a frame too short or a context field that cannot be set; ENOTSUPP for cgroup programs. */
export function testRun(program: Fd, run: TestRun): TestRunResult {
  const packet = run.packet && new Uint8Array(new ArrayBuffer(run.packet.length + growth));
  const ctx = run.ctx ? run.ctx.slice() : new Uint8Array(0);
  const isSyscall = run.packet === undefined;
  const { attributes } = bpf('run program', BPF_PROG_TEST_RUN, [
    { at: 0, u32: program.number },
    ...buffer(8, 16, run.packet),
    ...(isSyscall ? [] : buffer(12, 24, packet)),
    ...buffer(40, 48, run.ctx && ctx), // a syscall program changes it in place
    ...(isSyscall ? [] : buffer(44, 56, run.ctx && ctx)),
  ]);
  return {
    retval: attributes.getUint32(4, true),
    packet: packet ? packet.slice(0, attributes.getUint32(12, true)) : new Uint8Array(0),
    ctx,
  };
}

/** A struct __sk_buff with these of its fields. */
export function skbContext(
  fields: Partial<Record<Exclude<keyof typeof skbFields, 'length'>, number>>,
): Uint8Array {
  const bytes = new Uint8Array(skbBytes);
  const view = new DataView(bytes.buffer);
  for (const name of ['mark', 'priority', 'ingressIfIndex', 'ifIndex', 'cb'] as const) {
    view.setUint32(skbFields[name], fields[name] ?? 0, true);
  }
  return bytes;
}

function buffer(sizeAt: number, pointerAt: number, bytes: Uint8Array | undefined): Field[] {
  if (!bytes) return [];
  return [
    { at: sizeAt, u32: bytes.length },
    { at: pointerAt, pointer: bytes },
  ];
}
