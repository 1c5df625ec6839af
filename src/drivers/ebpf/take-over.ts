// SPDX-License-Identifier: Apache-2.0
/**
 * Connections that another data plane let pass, as flows of ours: what the kernel's connection tracking knows when this data plane
 * is switched on. Policy of today does not judge them, as it would not have before.
 *
 * Taken over are connections answered already that this host's workloads or the host itself have a part in, with the
 * translation that they have. Left out: ICMP, whose flows live for seconds, and TCP that is not established any more or not yet;
 * policy looks at their next packet. Connections of other zones are another program's.
 */
import type { TcpState, TrackedConnection, TrackedTuple } from '../../kernel/conntrack.ts';
import type { Address } from '../../lib/brand.ts';
import { protocolNumbers } from '../../lib/protocol.ts';
import { anyNetwork, flowAt, flowBytes, flowFlags, tcpFlags, tupleAt, tupleBytes } from './layout.ts';
import { Row } from './row.ts';

/** Who has an address, as far as this host goes; null: someone else. */
export type OwnerOf = (address: Address) => Owner | null;

export type Owner =
  | { readonly kind: 'host' }
  /** @see names.ts for `endpoint` */
  | { readonly kind: 'workload'; readonly ifIndex: number; readonly endpoint: bigint };

export interface TakenFlow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Of TCP; the others are about to begin or to end. */
const lasting: ReadonlySet<TcpState> = new Set(['established', 'fin-wait', 'close-wait', 'last-ack']);
const fromHost = 0;

/** @param now - as the kernel's monotonic clock counts, in nanoseconds. @returns both directions of each. */
export function* takenFlows(
  connections: Iterable<TrackedConnection>,
  ownerOf: OwnerOf,
  now: bigint,
): Generator<TakenFlow> {
  for (const connection of connections) {
    if (!isWanted(connection, ownerOf)) continue;
    yield* directions(connection, ownerOf, now);
  }
}

function isWanted({ original, reply, tcpState, zone }: TrackedConnection, ownerOf: OwnerOf): boolean {
  const { ICMP, ICMPv6, TCP } = protocolNumbers;
  const { protocol } = original;
  if (zone !== 0 || protocol === ICMP || protocol === ICMPv6) return false;
  if (protocol === TCP && (tcpState === null || !lasting.has(tcpState))) return false;
  const [from, to] = [ownerOf(original.src), ownerOf(reply.src)];
  if (from?.kind === 'host' && to?.kind === 'host') return false; // it never leaves
  return from !== null || to !== null || ownerOf(reply.dst)?.kind === 'workload';
}

function* directions(
  { original, reply, tcpState }: TrackedConnection,
  ownerOf: OwnerOf,
  now: bigint,
): Generator<TakenFlow> {
  const isEnding = tcpState !== null && tcpState !== 'established';
  const seen = tcpState === null ? 0 : tcpFlags.syn | tcpFlags.ack | (isEnding ? tcpFlags.fin : 0);
  for (const [comes, answers, flags] of [
    [original, reply, 0],
    [reply, original, flowFlags.reply],
  ] as const) {
    const goesOn = turnedRound(answers);
    yield { key: tupleRow(comes), value: flowRow({ comes, goesOn, flags, seen, now, ownerOf }) };
  }
}

interface Direction {
  readonly comes: TrackedTuple;
  readonly goesOn: TrackedTuple;
  readonly flags: number;
  readonly seen: number;
  readonly now: bigint;
  readonly ownerOf: OwnerOf;
}

/** Its way is not known yet (generation 0): the first packet finds it, and whether its workload is still there. */
function flowRow({ comes, goesOn, flags, seen, now, ownerOf }: Direction): Uint8Array {
  const to = ownerOf(goesOn.dst);
  const row = new Row(flowBytes)
    .u64(flowAt.seen, now)
    .u64(flowAt.created, now)
    .u64(flowAt.endpoint, to?.kind === 'workload' ? to.endpoint : 0n)
    .u32(flowAt.flags, flags | flowFlags.answered | flowFlags.learnt | translations(comes, goesOn))
    .u32(flowAt.inIfIndex, comesIn(ownerOf(comes.src)))
    .u32(flowAt.tcpSeen, seen);
  row.bytes.set(tupleRow(goesOn), flowAt.to);
  return row.bytes;
}

function comesIn(from: Owner | null): number {
  if (from === null) return anyNetwork;
  return from.kind === 'host' ? fromHost : from.ifIndex;
}

function translations(comes: TrackedTuple, goesOn: TrackedTuple): number {
  const src = comes.src !== goesOn.src || comes.srcPort !== goesOn.srcPort;
  const dst = comes.dst !== goesOn.dst || comes.dstPort !== goesOn.dstPort;
  return (src ? flowFlags.translateSrc : 0) | (dst ? flowFlags.translateDst : 0);
}

function turnedRound({ protocol, src, dst, srcPort, dstPort }: TrackedTuple): TrackedTuple {
  return { protocol, src: dst, dst: src, srcPort: dstPort, dstPort: srcPort };
}

function tupleRow({ protocol, src, dst, srcPort, dstPort }: TrackedTuple): Uint8Array {
  return new Row(tupleBytes)
    .address(tupleAt.src, src)
    .address(tupleAt.dst, dst)
    .u16(tupleAt.srcPort, srcPort)
    .u16(tupleAt.dstPort, dstPort)
    .u8(tupleAt.protocol, protocol).bytes;
}
