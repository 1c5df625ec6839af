// SPDX-License-Identifier: Apache-2.0
/** /proc/sys, of the calling thread's network namespace for `net`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { InvalidError } from '../lib/errors.ts';

/** Path in parts, because an interface's name may hold dots: `['net', 'ipv4', 'conf', 'eth0.5', 'rp_filter']`. */
export type SysctlPath = readonly string[];

export function readSysctl(path: SysctlPath): string {
  return readFileSync(fileOf(path), 'utf8').trim();
}

/** Writes only what differs. @returns whether it wrote. */
export function writeSysctl(path: SysctlPath, value: string | number): boolean {
  if (readSysctl(path) === String(value)) return false;
  writeFileSync(fileOf(path), String(value));
  return true;
}

/** False where the kernel was built, or booted, without it. */
export function hasSysctl(path: SysctlPath): boolean {
  return existsSync(fileOf(path));
}

/** @throws {InvalidError} when a part would lead elsewhere. */
function fileOf(path: SysctlPath): string {
  for (const part of path) {
    if (!/^[^/\s\0]+$/.test(part) || part === '.' || part === '..') {
      throw new InvalidError(
        `sysctl part ${JSON.stringify(part)}: want a file name without '/' or white space`,
      );
    }
  }
  return `/proc/sys/${path.join('/')}`;
}
