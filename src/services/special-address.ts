// SPDX-License-Identifier: Apache-2.0
import type { Address } from '../lib/brand.ts';

/**
 * Addresses that mean the host itself, its own wire or many: no service is reached there, and translating to one would let
 * a stranger into what listens for this host alone.
 *
 * @see kubernetes pkg/apis/core/validation, ValidateEndpointIP and ValidateNonSpecialIP
 */
export function isSpecial(address: Address): boolean {
  return address.includes(':') ? isSpecialV6(address) : isSpecialV4(address);
}

function isSpecialV4(address: string): boolean {
  const first = Number(address.slice(0, address.indexOf('.')));
  return first === 0 || first === 127 || first >= 224 || address.startsWith('169.254.');
}

/** Canonical text: `::`, `::1`, `::ffff:…` of IPv4, fe80::/10, ff00::/8. */
function isSpecialV6(address: string): boolean {
  return address === '::' || address === '::1' || /^(::ffff:[0-9a-f]+:|fe[89ab]|ff)/.test(address);
}
