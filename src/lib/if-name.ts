// SPDX-License-Identifier: Apache-2.0
import type { IfName } from './brand.ts';
import { InvalidError } from './errors.ts';

const IFNAMSIZ = 16; // bytes with the final NUL, linux/if.h

/** @throws {InvalidError} unless `text` is 1 to 15 bytes without '/', NUL or white space, and neither `.` nor `..`. */
export function parseIfName(text: string): IfName {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes === 0 || bytes >= IFNAMSIZ || /[\s/\0]/.test(text) || text === '.' || text === '..') {
    throw new InvalidError(
      `interface name ${JSON.stringify(text)}: want 1 to 15 bytes without '/' or spaces`,
    );
  }
  return text as IfName; // the only cast; nowhere else
}
