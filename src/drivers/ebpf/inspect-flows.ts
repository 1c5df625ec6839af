// SPDX-License-Identifier: Apache-2.0
/**
 * The map `flows` as one row for each flow: its two directions are entries of their own, joined here by the way in which the
 * first packet went. An answer whose other direction is missing has no row; the next sweep takes it.
 */
import type {
  ConntrackAnswer,
  FlowState,
  FlowWay,
  Inspection,
  SocketName,
  TrackedFlow,
} from '../../contract/inspect.ts';
import type { BpfMap } from '../../kernel/bpf/map.ts';
import { familyOf } from '../../lib/address.ts';
import { protocolNumbers } from '../../lib/protocol.ts';
import { monotonicMs } from './events.ts';
import { type Inspected, Picked, unhurried, wantedAddresses } from './inspected.ts';
import { anyNetwork, flowAt, flowFlags, forwards, tcpFlags, tupleAt, tupleBytes } from './layout.ts';
import { addressRowBytes } from './row.ts';
import { addressAt, isIcmp, someAddressAt, type Tuple, tupleOf, viewOf } from './row-view.ts';

type Question = Extract<Inspection, { kind: 'conntrack' }>;

export async function conntrackAnswer(of: Inspected, question: Question): Promise<ConntrackAnswer> {
  const wanted = wantedAddresses(of, question);
  const picked = new Picked<TrackedFlow>(question.limit);
  const flows = of.map('flows');
  const nowMs = monotonicMs();
  for await (const [key, value] of unhurried(flows)) {
    const view = viewOf(value);
    if ((view.getUint32(flowAt.flags, true) & flowFlags.reply) !== 0) continue;
    if (wanted && !isAmong(wanted, viewOf(key), view)) continue;
    picked.add(() => trackedFlow(of, viewOf(key), view, otherDirection(flows, value), nowMs));
  }
  return { kind: 'conntrack', flows: picked.rows, leftOut: picked.leftOut };
}

function isAmong(wanted: ReadonlySet<string>, key: DataView, flow: DataView): boolean {
  return [key, new DataView(flow.buffer, flow.byteOffset + flowAt.to, tupleBytes)].some((tuple) =>
    [tupleAt.src, tupleAt.dst].some((at) => wanted.has(addressAt(tuple, at))),
  );
}

/** Under the tuple of the answers: `to` turned round. */
function otherDirection(flows: BpfMap, flow: Uint8Array): DataView | null {
  const to = flow.subarray(flowAt.to, flowAt.to + tupleBytes);
  const key = to.slice();
  const copy = (from: number, at: number, bytes: number) => key.set(to.subarray(from, from + bytes), at);
  copy(tupleAt.src, tupleAt.dst, addressRowBytes);
  copy(tupleAt.dst, tupleAt.src, addressRowBytes);
  copy(tupleAt.srcPort, tupleAt.dstPort, 2);
  copy(tupleAt.dstPort, tupleAt.srcPort, 2);
  const other = flows.get(key);
  return other && viewOf(other);
}

function trackedFlow(
  of: Inspected,
  key: DataView,
  flow: DataView,
  other: DataView | null,
  nowMs: number,
): TrackedFlow {
  const [came, goes] = [tupleOf(key, 0), tupleOf(flow, flowAt.to)];
  const flags = flow.getUint32(flowAt.flags, true);
  const seen = Math.max(...[flow, other].map((each) => (each ? millisecondsAt(each, flowAt.seen) : 0)));
  return {
    family: familyOf(came.src),
    protocol: came.protocol,
    ...socketsOf(came, goes),
    state: stateOf(came.protocol, flow, other),
    ...wayOf(of, flow),
    endpoint: of.names.endpoint(flow.getBigUint64(flowAt.endpoint, true)),
    service: of.names.frontend(flow.getBigUint64(flowAt.service, true))?.service ?? null,
    rule: of.names.rule(flow.getBigUint64(flowAt.rule, true))?.comment ?? null,
    ageSeconds: secondsSince(millisecondsAt(flow, flowAt.created), nowMs),
    idleSeconds: secondsSince(seen, nowMs),
    learnt: (flags & flowFlags.learnt) !== 0,
    dsr: (flags & flowFlags.dsr) !== 0,
  };
}

function socketsOf(
  came: Tuple,
  goes: Tuple,
): Pick<TrackedFlow, 'src' | 'dst' | 'translatedSrc' | 'translatedDst'> {
  const [src, dst] = [sourceOf(came), destinationOf(came)];
  const [translatedSrc, translatedDst] = [sourceOf(goes), destinationOf(goes)];
  return {
    src,
    dst,
    translatedSrc: isSame(src, translatedSrc) ? null : translatedSrc,
    translatedDst: isSame(dst, translatedDst) ? null : translatedDst,
  };
}

function sourceOf({ src, srcPort }: Tuple): SocketName {
  return { address: src, port: srcPort };
}

/** The type of an ICMP message stands where others have a port. */
function destinationOf({ dst, dstPort, protocol }: Tuple): SocketName {
  return { address: dst, port: isIcmp(protocol) ? null : dstPort };
}

function isSame(a: SocketName, b: SocketName): boolean {
  return a.address === b.address && a.port === b.port;
}

/** As bpf/sweep.c chooses the time after which it goes. */
function stateOf(protocol: number, flow: DataView, other: DataView | null): FlowState {
  if (!other) return 'half';
  const flags = flow.getUint32(flowAt.flags, true);
  if (protocol !== protocolNumbers.TCP) return flags & flowFlags.answered ? 'established' : 'opening';
  const [mine, others] = [flow.getUint32(flowAt.tcpSeen, true), other.getUint32(flowAt.tcpSeen, true)];
  if ((mine | others) & tcpFlags.rst) return 'reset';
  if ((mine | others) & tcpFlags.fin) return 'closing';
  const acknowledged = [mine, others].filter((each) => each & tcpFlags.ack).length;
  return acknowledged >= (flags & flowFlags.dsr ? 1 : 2) ? 'established' : 'opening';
}

const ways: ReadonlyMap<number, FlowWay> = new Map([
  [forwards.stack, 'stack'],
  [forwards.peer, 'peer'],
  [forwards.link, 'link'],
  [forwards.neigh, 'neighbour'],
  [forwards.tunnel, 'tunnel'],
]);

function wayOf(of: Inspected, flow: DataView): Pick<TrackedFlow, 'from' | 'way' | 'to' | 'via'> {
  const [from, to] = [flow.getUint32(flowAt.inIfIndex, true), flow.getUint32(flowAt.outIfIndex, true)];
  return {
    from: from === anyNetwork ? '*' : linkAt(of, from),
    way: ways.get(flow.getUint8(flowAt.forward)) ?? null,
    to: linkAt(of, to),
    via: someAddressAt(flow, flowAt.via),
  };
}

function linkAt(of: Inspected, ifIndex: number): string | null {
  return ifIndex === 0 ? null : (of.linkName(ifIndex) ?? `gone (${ifIndex})`);
}

/** bpf_ktime_get_coarse_ns is of the same clock as monotonicMs, and up to a tick late. */
function millisecondsAt(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true) / 1_000_000n);
}

function secondsSince(ms: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - ms) / 1000));
}
