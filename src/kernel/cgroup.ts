// SPDX-License-Identifier: Apache-2.0
/** Control groups of version 2: Documentation/admin-guide/cgroup-v2.rst. Of version 1 nothing is used. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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

/**
 * Runs `start` with this process in that group, so that the children which it starts are in it from their first moment,
 * and comes back.
 */
export function startInCgroup<T>(folder: string, start: () => T): T {
  const home = ownCgroup();
  enter(folder, process.pid);
  try {
    return start();
  } finally {
    enter(home, process.pid);
  }
}

/** proc(5), /proc/pid/cgroup: the line of version 2 begins with `0::`. */
function ownCgroup(): string {
  const line = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find((each) => each.startsWith('0::'));
  return join(cgroupRoot(), line?.slice(3) ?? '');
}

function enter(folder: string, pid: number): void {
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
}

const busyAttempts = 200;
const busyPauseMs = 10;

/** With the groups below; processes that are left in them go one up. No error where there is none. */
export function removeCgroup(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n'))
    if (pid !== '') enterIfAlive(dirname(folder), Number(pid));
  removeEmptied(folder);
}

/** A process that was killed, and is no longer listed, keeps its group busy until the kernel has let go of it. */
function removeEmptied(folder: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let attempt = 1; ; attempt++) {
    try {
      return rmdirSync(folder);
    } catch (error) {
      const isBusy = error instanceof Error && 'code' in error && error.code === 'EBUSY';
      if (!isBusy || attempt === busyAttempts) throw error;
      Atomics.wait(pause, 0, 0, busyPauseMs);
    }
  }
}

function enterIfAlive(folder: string, pid: number): void {
  try {
    enter(folder, pid);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
