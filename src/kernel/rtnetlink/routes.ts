// SPDX-License-Identifier: Apache-2.0
/** Routes: struct rtmsg and RTA attributes; both families alike. */
import { addressBytes, type Family, familyOf, formatAddress, numberToBytes } from '../../lib/address.ts';
import type { Address, Cidr } from '../../lib/brand.ts';
import { addressOf, prefixLength } from '../../lib/cidr.ts';
import { KernelError } from '../../lib/errors.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST } from '../netlink/constants.ts';
import { Attributes, type NetlinkMessage } from '../netlink/reader.ts';
import { answerError, type NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { ENOENT, ESRCH } from '../sys/constants.ts';
import * as nl from './constants.ts';
import { afOf, familyOfAf } from './family.ts';

const rtmsgBytes = 12; // family, dst_len, src_len, tos, table, protocol, scope, type, flags
/** One send of 64 KiB with one acknowledgement costs 4-7 us a route, one message each 19 us (measured). */
const batchBytes = 64 * 1024;

/** rtm_type: RTN_*. */
export const routeTypes = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
export type RouteType = keyof typeof routeTypes;
const typeNames = new Map(
  Object.entries(routeTypes).map(([name, number]) => [number as number, name as RouteType]),
);

/** rtm_scope: RT_SCOPE_*. */
export const routeScopes = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
/** rtm_table of the main table; local is 255. */
export const mainTable = 254;

export interface Route {
  readonly dst: Cidr;
  readonly type: RouteType;
  readonly table: number;
  /** Who set it (rtm_protocol): 2 kernel, 3 boot, 4 static, 12 BIRD, 80 Muslin. */
  readonly protocol: number;
  /** See routeScopes. IPv6 has no scopes and lists 0. */
  readonly scope: number;
  /** Metric; IPv6 lists 1024 where none was given. */
  readonly priority: number;
  /** Index of the link it leaves by. */
  readonly oif?: number;
  readonly gateway?: Address;
  /** The gateway is taken to be on the link although no route says so. */
  readonly onlink?: boolean;
  /** Source address that the host chooses for what it sends itself. */
  readonly source?: Address;
  /** Bytes. */
  readonly mtu?: number;
  /** Several ways at once; then `oif` and `gateway` are absent. */
  readonly nextHops?: readonly NextHop[];
}

export interface NextHop {
  readonly oif: number;
  readonly gateway?: Address;
  readonly onlink?: boolean;
  /** 1 to 256. */
  readonly weight: number;
}

/** A route to write; what is absent is: unicast, main table, the kernel's metric, scope by whether it has a gateway. */
export type RouteSpec = Pick<Route, 'dst' | 'protocol'> & Partial<Route>;

/** What makes it that route; without table the main one, without priority any. */
export type RouteKey = Pick<Route, 'dst' | 'protocol'> & Partial<Pick<Route, 'table' | 'priority'>>;

export interface RouteFailure<T> {
  readonly route: T;
  readonly error: KernelError;
}

export class Routes {
  readonly #socket: NetlinkSocket;
  readonly #writer = new NetlinkWriter(batchBytes);

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Filtered by the kernel. Absent: every table, every protocol. */
  list(
    family: Family,
    filter: { readonly table?: number; readonly protocol?: number; readonly oif?: number } = {},
  ): Route[] {
    const fill = (writer: NetlinkWriter) => {
      writer
        .u8(afOf(family))
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(filter.protocol ?? 0)
        .u8(0)
        .u8(0)
        .u32(0);
      if (filter.table !== undefined) writer.attrU32(nl.RTA_TABLE, filter.table);
      if (filter.oif !== undefined) writer.attrU32(nl.RTA_OIF, filter.oif);
    };
    try {
      return this.#socket.dump(`list IPv${family} routes`, nl.RTM_GETROUTE, fill, decodeRoute);
    } catch (error) {
      // a table is made with its first route: net/ipv4/fib_frontend.c, inet_dump_fib
      if (error instanceof KernelError && error.errno === ENOENT && filter.table !== undefined) return [];
      throw error;
    }
  }

  /** Adds or changes each: one with the same dst, table and priority gives way. @returns those refused. */
  replace<T extends RouteSpec>(routes: Iterable<T>): RouteFailure<T>[] {
    return this.#batch('replace route', routes, nl.RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, encode);
  }

  /** Whatever way it leads: only dst, table, priority and protocol must match. Absent counts as deleted. */
  delete<T extends RouteKey>(routes: Iterable<T>): RouteFailure<T>[] {
    const failures = this.#batch('delete route', routes, nl.RTM_DELROUTE, 0, encodeKey);
    return failures.filter(({ error }) => error.errno !== ESRCH);
  }

  #batch<T extends RouteKey>(
    operation: string,
    routes: Iterable<T>,
    type: number,
    flags: number,
    fill: (writer: NetlinkWriter, route: T) => void,
  ): RouteFailure<T>[] {
    const failures: RouteFailure<T>[] = [];
    let batch = new Map<number, T>();
    let last = 0; // where the last message starts: it alone asks for an acknowledgement
    const flush = () => {
      if (batch.size > 0) failures.push(...this.#commit(operation, batch, last));
      batch = new Map();
      this.#writer.clear();
    };
    for (const route of routes) {
      if (this.#writer.length > batchBytes - 512) flush();
      const seq = this.#socket.nextSeq();
      batch.set(seq, route);
      last = this.#writer.length;
      this.#writer.message(type, flags | NLM_F_REQUEST, seq, (writer) => fill(writer, route));
    }
    flush();
    return failures;
  }

  #commit<T extends RouteKey>(
    operation: string,
    batch: ReadonlyMap<number, T>,
    last: number,
  ): RouteFailure<T>[] {
    const bytes = this.#writer.bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint16(last + 6, view.getUint16(last + 6, true) | NLM_F_ACK, true);
    return this.#socket.transact(operation, bytes).flatMap((answer) => {
      const route = batch.get(answer.seq);
      return route && answer.errno !== 0
        ? [{ route, error: answerError(`${operation} ${route.dst}`, answer) }]
        : [];
    });
  }
}

function encode(writer: NetlinkWriter, route: RouteSpec): void {
  writeKey(
    writer,
    route,
    scopeOf(route),
    routeTypes[route.type ?? 'unicast'],
    route.onlink ? nl.RTNH_F_ONLINK : 0,
  );
  if (route.oif) writer.attrU32(nl.RTA_OIF, route.oif);
  writeGateway(writer, route.dst, route.gateway);
  if (route.source) writer.attrBytes(nl.RTA_PREFSRC, addressBytes(route.source));
  const mtu = route.mtu;
  if (mtu) writer.nested(nl.RTA_METRICS, () => writer.attrU32(nl.RTAX_MTU, mtu));
  if (route.nextHops) writeNextHops(writer, route.dst, route.nextHops);
}

/** Type 0 and scope nowhere match any: net/ipv4/fib_trie.c, fib_table_delete. */
function encodeKey(writer: NetlinkWriter, route: RouteKey): void {
  writeKey(writer, route, routeScopes.nowhere, 0, 0);
}

function writeKey(writer: NetlinkWriter, route: RouteKey, scope: number, type: number, flags: number): void {
  const table = route.table ?? mainTable;
  writer
    .u8(afOf(familyOf(route.dst)))
    .u8(prefixLength(route.dst))
    .u8(0)
    .u8(0);
  writer
    .u8(table < 256 ? table : 0)
    .u8(route.protocol)
    .u8(scope)
    .u8(type)
    .u32(flags);
  writer.attrBytes(nl.RTA_DST, addressBytes(addressOf(route.dst))).attrU32(nl.RTA_TABLE, table);
  if (route.priority) writer.attrU32(nl.RTA_PRIORITY, route.priority);
}

function scopeOf(route: RouteSpec): number {
  if (route.scope !== undefined) return route.scope;
  if (route.type === 'local') return routeScopes.host;
  const direct = (route.type ?? 'unicast') === 'unicast' && route.gateway === undefined && !route.nextHops;
  return direct && familyOf(route.dst) === 4 ? routeScopes.link : routeScopes.universe;
}

function writeGateway(writer: NetlinkWriter, dst: Cidr, gateway: Address | undefined): void {
  if (gateway === undefined) return;
  const bytes = addressBytes(gateway);
  if (familyOf(gateway) === familyOf(dst)) writer.attrBytes(nl.RTA_GATEWAY, bytes);
  else writer.attrBytes(nl.RTA_VIA, Uint8Array.of(afOf(familyOf(gateway)), 0, ...bytes)); // struct rtvia
}

/** struct rtnexthop: u16 length, u8 flags, u8 weight - 1, i32 index; then attributes. */
function writeNextHops(writer: NetlinkWriter, dst: Cidr, hops: readonly NextHop[]): void {
  writer.nested(nl.RTA_MULTIPATH, () => {
    for (const hop of hops) {
      const gateway = new NetlinkWriter(64);
      writeGateway(gateway, dst, hop.gateway);
      writer
        .u16(8 + gateway.length)
        .u8(hop.onlink ? nl.RTNH_F_ONLINK : 0)
        .u8(hop.weight - 1)
        .u32(hop.oif)
        .raw(gateway.bytes);
    }
  });
}

/** Null for cached copies and for what is not IP. */
export function decodeRoute(message: NetlinkMessage): Route | null {
  const family = familyOfAf(message.u8(0));
  if (family === null || (message.u32(8) & nl.RTM_F_CLONED) !== 0) return null;
  const route = {
    dst: `${formatAddress(numberToBytes(0n, family))}/${message.u8(1)}` as Cidr, // no RTA_DST: the default route
    type: typeNames.get(message.u8(7)) ?? 'unicast',
    table: message.u8(4),
    protocol: message.u8(5),
    scope: message.u8(6),
    priority: 0,
    ...((message.u32(8) & nl.RTNH_F_ONLINK) !== 0 && { onlink: true }),
  };
  return { ...route, ...decodeAttributes(message.attributes(rtmsgBytes), message.u8(1)) };
}

function decodeAttributes(attributes: Attributes, length: number): Partial<Route> {
  const row: { -readonly [K in keyof Route]?: Route[K] } = {};
  for (const attribute of attributes) {
    if (attribute.type === nl.RTA_DST) row.dst = `${formatAddress(attribute.bytes())}/${length}` as Cidr;
    else if (attribute.type === nl.RTA_TABLE) row.table = attribute.u32();
    else if (attribute.type === nl.RTA_PRIORITY) row.priority = attribute.u32();
    else if (attribute.type === nl.RTA_OIF) row.oif = attribute.u32();
    else if (attribute.type === nl.RTA_GATEWAY) row.gateway = formatAddress(attribute.bytes());
    else if (attribute.type === nl.RTA_VIA) row.gateway = formatAddress(attribute.bytes().subarray(2));
    else if (attribute.type === nl.RTA_PREFSRC) row.source = formatAddress(attribute.bytes());
    else if (attribute.type === nl.RTA_MULTIPATH) row.nextHops = decodeNextHops(attribute.bytes());
    else if (attribute.type === nl.RTA_METRICS) {
      for (const metric of attribute.nested()) if (metric.type === nl.RTAX_MTU) row.mtu = metric.u32();
    }
  }
  return row;
}

function decodeNextHops(bytes: Uint8Array): NextHop[] {
  const view = new DataView(bytes.buffer);
  const hops: NextHop[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 8) throw new RangeError(`next hop of ${length} bytes: want at least 8`);
    const flags = view.getUint8(at + 2);
    const { gateway } = decodeAttributes(new Attributes(view, at + 8, at + length), 0);
    hops.push({
      oif: view.getInt32(at + 4, true),
      weight: view.getUint8(at + 3) + 1,
      ...(gateway && { gateway }),
      ...((flags & nl.RTNH_F_ONLINK) !== 0 && { onlink: true }),
    });
    at += (length + 3) & ~3;
  }
  return hops;
}
