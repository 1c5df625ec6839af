// SPDX-License-Identifier: Apache-2.0
/** bpf(2): commands and the one place that fills union bpf_attr. include/uapi/linux/bpf.h */
import type { Fd } from '../sys/fd.ts';
import { kernelError } from '../sys/linux.ts';
import { sys } from '../sys/open.ts';

export const BPF_MAP_CREATE = 0;
export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_MAP_GET_NEXT_KEY = 4;
export const BPF_PROG_LOAD = 5;
export const BPF_OBJ_PIN = 6;
export const BPF_OBJ_GET = 7;
export const BPF_PROG_TEST_RUN = 10;
export const BPF_PROG_GET_FD_BY_ID = 13;
export const BPF_MAP_GET_FD_BY_ID = 14;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_PROG_QUERY = 16;
export const BPF_BTF_LOAD = 18;
export const BPF_MAP_FREEZE = 22;
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_MAP_UPDATE_BATCH = 26;
export const BPF_MAP_DELETE_BATCH = 27;
export const BPF_LINK_CREATE = 28;
export const BPF_LINK_UPDATE = 29;
export const BPF_LINK_DETACH = 34;

/** More than any command used here reads; what is zero beyond a kernel's knowledge is accepted. */
const attributeBytes = 128;

/** One field of union bpf_attr by offset. A Uint8Array goes in as its address and is kept alive through the call. */
export type Field =
  | { readonly at: number; readonly u32: number }
  | { readonly at: number; readonly u64: bigint }
  | { readonly at: number; readonly pointer: Uint8Array }
  | { readonly at: number; readonly bytes: Uint8Array };

interface Outcome {
  readonly result: number;
  /** As the kernel left them. */
  readonly attributes: DataView;
  /** 0 unless it was refused. */
  readonly errno: number;
}

/** @throws {KernelError} */
export function bpf(operation: string, command: number, fields: readonly Field[]): Outcome {
  const outcome = tryBpf(command, fields);
  if (outcome.errno !== 0) throw kernelError(operation, outcome.errno);
  return outcome;
}

/** For commands that tell in their attributes how far they came before they were refused. */
export function tryBpf(command: number, fields: readonly Field[]): Outcome {
  const bytes = new Uint8Array(attributeBytes);
  const view = new DataView(bytes.buffer);
  for (const field of fields) {
    if ('u32' in field) view.setUint32(field.at, field.u32, true);
    else if ('u64' in field) view.setBigUint64(field.at, field.u64, true);
    else if ('bytes' in field) bytes.set(field.bytes, field.at);
    else view.setBigUint64(field.at, sys.addressOf(field.pointer), true);
  }
  const result = sys.bpf(command, bytes);
  return { result, attributes: view, errno: result < 0 ? -result : 0 };
}

/** A command whose result is a new descriptor. */
export function bpfFd(operation: string, command: number, fields: readonly Field[]): Fd {
  return sys.own(bpf(operation, command, fields).result);
}

/** struct bpf_*_info of a program, map or link. */
export function objectInfo(operation: string, fd: Fd, length: number): DataView {
  const info = new Uint8Array(length);
  bpf(operation, BPF_OBJ_GET_INFO_BY_FD, [
    { at: 0, u32: fd.number },
    { at: 4, u32: length },
    { at: 8, pointer: info },
  ]);
  return new DataView(info.buffer);
}
