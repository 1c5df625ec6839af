// SPDX-License-Identifier: Apache-2.0
/** Ethernet addresses: `02:00:00:00:00:01`, lower case. */
import { InvalidError } from '../../lib/errors.ts';

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** @throws {InvalidError} unless `text` is six bytes in hexadecimal with colons. */
export function macBytes(text: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text)) {
    throw new InvalidError(`MAC ${JSON.stringify(text)}: want six bytes, as in 02:00:00:00:00:01`);
  }
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}
