// SPDX-License-Identifier: Apache-2.0
/** IP protocol names that Calico's API knows (api/pkg/lib/numorstring), and which protocols have ports or types. */
import { InvalidError } from './errors.ts';

/** IANA protocol numbers, https://www.iana.org/assignments/protocol-numbers. */
export const protocolNumbers = { ICMP: 1, TCP: 6, UDP: 17, ICMPv6: 58, SCTP: 132, UDPLite: 136 } as const;

const byLowerName = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [name.toLowerCase(), number]),
);
const nameByNumber = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [number as number, name]),
);

/** @returns 1 to 255, or null when `value` is neither a known name (any case) nor a number in range. */
export function tryParseProtocol(value: string | number): number | null {
  const known = typeof value === 'string' ? byLowerName.get(value.toLowerCase()) : undefined;
  if (known !== undefined) return known;
  const number = typeof value === 'string' && /^[0-9]{1,3}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= 255
    ? number
    : null;
}

/** @throws {InvalidError} unless `value` names a protocol. */
export function parseProtocol(value: string | number): number {
  const number = tryParseProtocol(value);
  if (number !== null) return number;
  throw new InvalidError(
    `protocol ${JSON.stringify(value)}: want ${Object.keys(protocolNumbers).join(', ')} or a number from 1 to 255`,
  );
}

/** Calico's spelling, `TCP`; the number as text where there is no name. */
export function protocolName(number: number): string {
  return nameByNumber.get(number) ?? String(number);
}

/** TCP, UDP and SCTP: the protocols whose rules may name ports. */
export function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}
