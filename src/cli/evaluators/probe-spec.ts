// SPDX-License-Identifier: Apache-2.0
/** Which packet is meant by a port and a protocol, in requests and on command lines alike. */
import { InvalidError } from '../../lib/errors.ts';
import { hasPorts, parseProtocol, protocolNumbers } from '../../lib/protocol.ts';
import { wrong } from './request.ts';

export interface PacketSpec {
  /** IP protocol number. */
  readonly protocol: number;
  readonly dstPort?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/**
 * @param port - a number, or its text; left out for protocols without ports. For ICMP an echo request is meant.
 * @throws {InvalidError}
 */
export function packetSpec(protocol: unknown, port: unknown): PacketSpec {
  if (typeof protocol !== 'string' && typeof protocol !== 'number')
    throw wrong('protocol', protocol, 'a name or number');
  const number = parseProtocol(protocol);
  if (number === protocolNumbers.ICMP) return { protocol: number, icmpType: 8, icmpCode: 0 };
  if (number === protocolNumbers.ICMPv6) return { protocol: number, icmpType: 128, icmpCode: 0 };
  if (!hasPorts(number)) return { protocol: number };
  if (port === undefined || port === null)
    throw new InvalidError('port: got nothing, want a number from 1 to 65535');
  const value = typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) {
    return { protocol: number, dstPort: value };
  }
  throw wrong('port', port, 'a number from 1 to 65535');
}
