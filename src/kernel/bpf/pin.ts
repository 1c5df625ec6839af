// SPDX-License-Identifier: Apache-2.0
/** Pins: names in a bpffs under which programs, maps and links outlive the process that made them. */
import { readlinkSync } from 'node:fs';
import { InvalidError, KernelError } from '../../lib/errors.ts';
import { ENOENT } from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import { BPF_OBJ_GET, BPF_OBJ_PIN, bpf, bpfFd } from './call.ts';

/** What the kernel calls them in /proc/PID/fd: the names given to anon_inode_getfd in kernel/bpf/syscall.c. */
export type PinnedKind = 'map' | 'prog' | 'link';

/** @param path - in a bpffs; no name in it may hold a dot. @throws {KernelError} EEXIST */
export function pin(object: Fd, path: string): void {
  bpf(`pin ${path}`, BPF_OBJ_PIN, [
    { at: 0, pointer: pathBytes(path) },
    { at: 8, u32: object.number },
  ]);
}

/** Null when nothing is pinned there. */
export function openPin(path: string): Fd | null {
  try {
    return bpfFd(`open pin ${path}`, BPF_OBJ_GET, [{ at: 0, pointer: pathBytes(path) }]);
  } catch (error) {
    if (error instanceof KernelError && error.errno === ENOENT) return null;
    throw error;
  }
}

/** @throws {InvalidError} when something else is pinned there: its information would be read as what it is not. */
export function openPinOf(kind: PinnedKind, path: string): Fd | null {
  const fd = openPin(path);
  if (!fd) return null;
  const found = readlinkSync(`/proc/self/fd/${fd.number}`).replace(
    /^anon_inode:\[?(?:bpf[-_])?(.*?)\]?$/,
    '$1',
  );
  if (found === kind) return fd;
  fd.close();
  throw new InvalidError(`pin ${path}: got a ${found}, want a ${kind}`);
}

function pathBytes(path: string): Uint8Array {
  return new TextEncoder().encode(`${path}\0`);
}
