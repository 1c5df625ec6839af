// SPDX-License-Identifier: Apache-2.0
import { release } from 'node:os';

/** For features that cannot be tried without changing something. @param text - as `uname -r` prints it. */
export function kernelAtLeast(major: number, minor: number, text: string = release()): boolean {
  const [foundMajor = 0, foundMinor = 0] = text.split(/[.-]/).map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}
