// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel's own connection tracking, read by ctnetlink: include/uapi/linux/netfilter/nfnetlink_conntrack.h and
 * nf_conntrack_common.h name all that is decoded here.
 *
 * Invariants: reads only; in the network namespace of the thread that asks.
 */
import { type Family, formatAddress } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { NETLINK_NETFILTER } from './netlink/constants.ts';
import type { Attributes, NetlinkMessage } from './netlink/reader.ts';
import { NetlinkSocket } from './netlink/socket.ts';
import { AF_INET, AF_INET6 } from './sys/constants.ts';

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const nfgenmsgBytes = 4;
const attribute = {
  original: 1,
  reply: 2,
  status: 3,
  protocolInfo: 4,
  mark: 8,
  zone: 18,
  statusMask: 26,
} as const;
const statusBits = { seenReply: 1 << 1 } as const;
const addressFamily: { readonly [F in Family]: number } = { 4: AF_INET, 6: AF_INET6 };
/** enum tcp_conntrack. */
const tcpStates = [
  'none',
  'syn-sent',
  'syn-received',
  'established',
  'fin-wait',
  'close-wait',
  'last-ack',
  'time-wait',
  'close',
  'syn-sent-both',
] as const;

export type TcpState = (typeof tcpStates)[number];

/** One direction, as its packets come. */
export interface TrackedTuple {
  readonly protocol: number;
  readonly src: Address;
  readonly dst: Address;
  /** 0 where the protocol has none. */
  readonly srcPort: number;
  readonly dstPort: number;
}

export interface TrackedConnection {
  readonly family: Family;
  readonly original: TrackedTuple;
  /** The original one turned round, but for what is translated. */
  readonly reply: TrackedTuple;
  /** Packets were seen both ways. */
  readonly answered: boolean;
  /** Null unless it is TCP. */
  readonly tcpState: TcpState | null;
  readonly zone: number;
  readonly mark: number;
}

/** Connections that were answered, of both families. @throws {KernelError} where the kernel tracks none: ENOENT, EINVAL */
export function answeredConnections(): readonly TrackedConnection[] {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER);
  return ([4, 6] as const).flatMap((family) => list(socket, family).filter(({ answered }) => answered));
}

/** The kernel leaves out most of the others itself where it can (Linux 5.15, ctnetlink_filter_match). */
function list(socket: NetlinkSocket, family: Family): TrackedConnection[] {
  return socket.dump(
    `list IPv${family} connections`,
    (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET,
    (writer) => {
      writer.nfgenmsg(addressFamily[family]);
      writer.attrU32be(attribute.status, statusBits.seenReply);
      writer.attrU32be(attribute.statusMask, statusBits.seenReply);
    },
    (message) => connectionOf(message, family),
  );
}

function connectionOf(message: NetlinkMessage, family: Family): TrackedConnection | null {
  const found = { original: null as TrackedTuple | null, reply: null as TrackedTuple | null };
  const rest = { answered: false, tcpState: null as TcpState | null, zone: 0, mark: 0 };
  for (const each of message.attributes(nfgenmsgBytes)) {
    if (each.type === attribute.original) found.original = tupleOf(each.nested());
    else if (each.type === attribute.reply) found.reply = tupleOf(each.nested());
    else if (each.type === attribute.status) rest.answered = (each.u32be() & statusBits.seenReply) !== 0;
    else if (each.type === attribute.protocolInfo) rest.tcpState = tcpStateOf(each.nested());
    else if (each.type === attribute.mark) rest.mark = each.u32be();
    else if (each.type === attribute.zone) rest.zone = each.u16be();
  }
  const { original, reply } = found;
  return original && reply && { family, original, reply, ...rest };
}

/** CTA_TUPLE_IP, CTA_TUPLE_PROTO. */
function tupleOf(attributes: Attributes): TrackedTuple | null {
  const ends: { src: Address | null; dst: Address | null } = { src: null, dst: null };
  const transport = { protocol: 0, srcPort: 0, dstPort: 0 };
  for (const each of attributes) {
    if (each.type === 1) readEnds(each.nested(), ends);
    else if (each.type === 2) readTransport(each.nested(), transport);
  }
  const { src, dst } = ends;
  return src && dst && { src, dst, ...transport };
}

/** CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST. */
function readEnds(attributes: Attributes, ends: { src: Address | null; dst: Address | null }): void {
  for (const each of attributes) {
    if (each.type === 1 || each.type === 3) ends.src = formatAddress(each.bytes());
    else if (each.type === 2 || each.type === 4) ends.dst = formatAddress(each.bytes());
  }
}

/** CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT. */
function readTransport(
  attributes: Attributes,
  transport: { protocol: number; srcPort: number; dstPort: number },
): void {
  for (const each of attributes) {
    if (each.type === 1) transport.protocol = each.u8();
    else if (each.type === 2) transport.srcPort = each.u16be();
    else if (each.type === 3) transport.dstPort = each.u16be();
  }
}

/** CTA_PROTOINFO_TCP, in it CTA_PROTOINFO_TCP_STATE. */
function tcpStateOf(attributes: Attributes): TcpState | null {
  for (const each of attributes) {
    if (each.type !== 1) continue;
    for (const inner of each.nested()) if (inner.type === 1) return tcpStates[inner.u8()] ?? 'none';
  }
  return null;
}
