// SPDX-License-Identifier: Apache-2.0
/** Control groups of version 2: Documentation/admin-guide/cgroup-v2.rst. Of version 1 nothing is used. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where systemd mounts it; also the answer where nobody has mounted it, so that its absence is told by that name. */
const usualRoot = '/sys/fs/cgroup';

/** The folder that it is mounted on: on hosts that still have version 1 a folder beside those. */
export function cgroupRoot(mounts: string = readFileSync('/proc/mounts', 'utf8')): string {
  return mountOf(mounts) ?? usualRoot;
}

export function hasCgroups(mounts: string = readFileSync('/proc/mounts', 'utf8')): boolean {
  return mountOf(mounts) !== null;
}

/** proc(5), /proc/pid/mounts: device, folder, type; blanks in a folder as octal numbers. */
function mountOf(mounts: string): string | null {
  const rows = mounts.split('\n').map((line) => line.split(' '));
  const folder = rows.find(([, , type]) => type === 'cgroup2')?.[1];
  if (folder === undefined) return null;
  return folder.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Made if it is not there. */
export function ensureCgroup(folder: string): void {
  mkdirSync(folder, { recursive: true });
}

/** Moves a process, and with it every child that it starts from then on. */
export function joinCgroup(folder: string, pid: number): void {
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
}

/** With its children's folders; processes in them go up. No error where there is none. */
export function removeCgroup(folder: string): void {
  if (!existsSync(folder)) return;
  rmdirSync(folder);
}
