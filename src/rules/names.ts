// SPDX-License-Identifier: Apache-2.0
/**
 * Names of chains and maps. One function makes them all: nft refuses a chain called `fwd` (a keyword), iptables one of
 * more than 28 bytes, and users name policies as they like.
 */
import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

const readableLength = 12;

/**
 * `prefix-readable-hash`: at most 28 bytes (iptables' XT_EXTENSION_MAXNAMELEN - 1), a function of its arguments alone.
 *
 * @param prefix - two bytes at most. @param readable - for people; shortened. @param identity - what makes it unique.
 */
export function chainName(prefix: string, readable: string, identity: readonly string[]): string {
  const hash = bytesToHex(sha1(utf8ToBytes(JSON.stringify(identity)))).slice(0, 12);
  const safe = readable.replace(/[^a-zA-Z0-9.]/g, '-').slice(0, readableLength);
  return safe === '' ? `${prefix}-${hash}` : `${prefix}-${safe}-${hash}`;
}
