// SPDX-License-Identifier: Apache-2.0
/**
 * IP sockets made on the calling thread, hence in whatever network namespace it is in at that moment.
 *
 * Servers: `net.Server.listen({ fd: socket.release() })` and `dgram.Socket.bind({ fd: socket.release() })` take them over.
 * Probers: everything is non-blocking; one sys.poll waits for hundreds of sockets of many namespaces.
 */
import { addressBytes, type Family, familyOf, formatAddress } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_BINDTODEVICE,
  SO_ERROR,
  SO_MARK,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_SOCKET,
} from './sys/constants.ts';
import type { Fd } from './sys/fd.ts';
import { sys } from './sys/open.ts';

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

export interface SocketAddress {
  readonly address: Address;
  readonly port: number;
}

export interface SocketOptions {
  /** Where it sends from. @defaultValue the kernel chooses */
  readonly source?: SocketAddress;
  /** skb->mark of what it sends (SO_MARK). @defaultValue 0 */
  readonly mark?: number;
  /** The one interface it uses (SO_BINDTODEVICE). */
  readonly ifName?: string;
  /** Bytes that wait for a late reader, the kernel's overhead of each packet included. @defaultValue net.core.rmem_default */
  readonly receiveBuffer?: number;
}

export interface Connecting {
  readonly fd: Fd;
  /** `in-progress`: wait for POLLOUT, then ask socketError. */
  readonly state: 'connected' | 'in-progress';
}

/** @param at - `::` takes both families. Port 0: the kernel chooses one, see localAddress. @throws {KernelError} EADDRINUSE */
export function listenTcp(at: SocketAddress, backlog = 511): Fd {
  return configured(SOCK_STREAM, familyOf(at.address), {}, (fd) => {
    sys.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (familyOf(at.address) === 6) sys.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    sys.bind(fd, encodeAddress(at));
    sys.listen(fd, backlog);
  });
}

/** @param at - `::` takes both families. @throws {KernelError} EADDRINUSE */
export function bindUdp(at: SocketAddress, options: Omit<SocketOptions, 'source'> = {}): Fd {
  return configured(SOCK_DGRAM, familyOf(at.address), options, (fd) => {
    if (familyOf(at.address) === 6) sys.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    sys.bind(fd, encodeAddress(at));
  });
}

/** @throws {KernelError} what is known at once, for instance ENETUNREACH. */
export function connectTcp(to: SocketAddress, options: SocketOptions = {}): Connecting {
  let state: Connecting['state'] = 'connected';
  const fd = configured(SOCK_STREAM, familyOf(to.address), options, (socket) => {
    state = sys.connect(socket, encodeAddress(to));
  });
  return { fd, state };
}

/** A UDP socket that talks with one peer; its ICMP errors come back by socketError and recv. */
export function connectUdp(to: SocketAddress, options: SocketOptions = {}): Fd {
  return configured(
    SOCK_DGRAM,
    familyOf(to.address),
    options,
    (fd) => void sys.connect(fd, encodeAddress(to)),
  );
}

/** For ICMP echo: see echoRequest. A raw socket, for new namespaces allow no ping sockets. */
export function openIcmp(family: Family, options: SocketOptions = {}): Fd {
  return configured(SOCK_RAW, family, options, () => {}, family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/** SO_ERROR: 0, or the errno of what failed since it was last asked. */
export function socketError(fd: Fd): number {
  const value = new Int32Array(1);
  sys.getsockopt(fd, SOL_SOCKET, SO_ERROR, new Uint8Array(value.buffer));
  return value[0] ?? 0;
}

export function localAddress(fd: Fd): SocketAddress {
  return decodeAddress(sys.getsockname(fd));
}

/** struct sockaddr_in, sockaddr_in6. */
export function encodeAddress(at: SocketAddress): Uint8Array {
  const family = familyOf(at.address);
  const bytes = new Uint8Array(family === 4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, at.port);
  bytes.set(addressBytes(at.address), family === 4 ? 4 : 8);
  return bytes;
}

/** @param bytes - as getsockname or recv's `from` has them. */
export function decodeAddress(bytes: Uint8Array): SocketAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const raw = view.getUint16(0, true) === AF_INET ? bytes.subarray(4, 8) : bytes.subarray(8, 24);
  return { address: formatAddress(raw), port: view.getUint16(2) };
}

/** ICMP echo request (RFC 792, RFC 4443 section 4.1). For IPv6 the kernel fills in the checksum. */
export function echoRequest(family: Family, id: number, seq: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  bytes[0] = family === 4 ? 8 : 128;
  view.setUint16(4, id);
  view.setUint16(6, seq);
  if (family === 4) view.setUint16(2, checksum(view));
  return bytes;
}

/** @param bytes - from an openIcmp socket, for IPv4 with its IP header. @returns null if it is no echo reply. */
export function decodeEchoReply(family: Family, bytes: Uint8Array): { id: number; seq: number } | null {
  const at = family === 4 ? ((bytes[0] ?? 0) & 0x0f) * 4 : 0;
  if (bytes.length < at + 8 || bytes[at] !== (family === 4 ? 0 : 129)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  return { id: view.getUint16(4), seq: view.getUint16(6) };
}

/** RFC 1071, over an even number of bytes. */
function checksum(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < view.byteLength; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function configured(
  type: number,
  family: Family,
  options: SocketOptions,
  setUp: (fd: Fd) => void,
  protocol = 0,
): Fd {
  const fd = sys.socket(family === 4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK, protocol);
  try {
    if (options.mark !== undefined) sys.setsockopt(fd, SOL_SOCKET, SO_MARK, options.mark);
    if (options.ifName !== undefined) {
      sys.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(options.ifName));
    }
    if (options.receiveBuffer !== undefined)
      sys.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, options.receiveBuffer);
    if (options.source) sys.bind(fd, encodeAddress(options.source));
    setUp(fd);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}
