// SPDX-License-Identifier: Apache-2.0
/** The file system in which pinned programs outlive their loader. */
import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import { sys } from '../sys/open.ts';

const BPF_FS_MAGIC = 0xcafe4a11; // include/uapi/linux/magic.h

/** Where systemd and every tool expects it. */
export const defaultBpffs = '/sys/fs/bpf';

/** Mounts a bpffs on `directory` unless one is there. @returns whether it had to. @throws {KernelError} */
export function mountBpffs(directory: string = defaultBpffs): boolean {
  mkdirSync(directory, { recursive: true });
  if (isBpffs(directory)) return false;
  sys.mount('bpf', directory, 'bpf', 0, 'mode=0700');
  return true;
}

/** False also where nothing is. */
export function isBpffs(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === BPF_FS_MAGIC;
}
