// SPDX-License-Identifier: Apache-2.0

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The text in UTF-8, in base64 (RFC 4648, 4). */
export function base64OfText(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let encoded = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b, c] = bytes.subarray(i, i + 3);
    const group = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    const four = [18, 12, 6, 0].map((shift) => letters.charAt((group >> shift) & 63)).join('');
    encoded += four.slice(0, b === undefined ? 2 : c === undefined ? 3 : 4).padEnd(4, '=');
  }
  return encoded;
}
