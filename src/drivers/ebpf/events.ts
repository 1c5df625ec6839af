// SPDX-License-Identifier: Apache-2.0
/**
 * What programs tell by way of the ring `events`, as records of the flow log.
 *
 * Programs wake nobody, so that a packet costs no more for being told of: the ring is read on a timer. Who floods a node must not
 * keep its driver busy: beyond so many records in one reading the rest is counted, not read.
 *
 * How many were lost: those that were counted instead of read, exactly; and drops that found the ring full: as many as the counts
 * of `drops` went ahead of the events of the same reason while it was full. This is exact for reasons that are always told
 * (reasons.ts), but for packets that XDP drops in the same moments, which are counted and never told; allowed flows that found
 * the ring full are counted nowhere.
 *
 * @see bpf/events.h
 */
import type { FlowEnd, FlowEndpoint, FlowHook, FlowRecord } from '../../contract/flow.ts';
import type { BpfMap } from '../../kernel/bpf/map.ts';
import { openRingBuffer, type RingBuffer } from '../../kernel/bpf/ring-buffer.ts';
import type { Address } from '../../lib/brand.ts';
import type { RuleName } from './compile.ts';
import { dropCount } from './drop-counts.ts';
import { eventAt, eventBytes, hooks, maximumLogs, maximumStages, verdicts } from './layout.ts';
import { reasonOf, reasons } from './reasons.ts';
import { isIcmp, type Tuple, tupleOf } from './row-view.ts';

/** What 64-bit names, addresses and links stand for; null: nobody knows, or not any more. */
export interface EventNames {
  rule(id: bigint): RuleName | null;
  endpoint(id: bigint): FlowEndpoint | null;
  /** The workload that has it here. */
  endpointOf(address: Address): FlowEndpoint | null;
  /** The workload behind the link. */
  endpointBehind(ifIndex: number): FlowEndpoint | null;
  frontend(id: bigint): FrontendName | null;
}

export interface FrontendName {
  /** `namespace/name`. */
  readonly service: string;
  readonly type: string;
}

export interface FlowEventOptions {
  readonly names: EventNames;
  readonly onFlows: (flows: readonly FlowRecord[], lost: number) => void;
  /** @defaultValue 500: ten thousand a second, a few per cent of a processor. */
  readonly mostPerReading?: number;
}

const readEveryMs = 50;
/** With its header, rounded up to 8: kernel/bpf/ringbuf.c. */
const ringRecordBytes = (8 + eventBytes + 7) & ~7;
/** In that order, from 1. */
const hookNames: readonly FlowHook[] = ['from-workload', 'to-workload', 'from-network', 'to-network'];

export class FlowEvents implements Disposable {
  readonly #ring: RingBuffer;
  readonly #timer: NodeJS.Timeout;
  readonly #losses: Losses;
  readonly #recordsInRing: number;
  readonly #options: Required<FlowEventOptions>;
  #flows: FlowRecord[] = [];
  #skipped = 0;
  /** Also those that the ring had us read by itself: it may, although nobody is woken. */
  #records = 0;
  #wallMs = 0;
  #told = 0;
  #lost = 0;

  constructor(maps: { readonly events: BpfMap; readonly drops: BpfMap }, options: FlowEventOptions) {
    this.#options = { mostPerReading: 500, ...options };
    this.#losses = new Losses(maps.drops);
    this.#recordsInRing = Math.floor(maps.events.info.maxEntries / ringRecordBytes);
    this.#ring = openRingBuffer(maps.events, (view) => this.#onRecord(view));
    this.drain();
    this.#timer = setInterval(() => this.drain(), readEveryMs).unref();
  }

  /** Reads what is there now. */
  drain(): void {
    this.#wallMs = Date.now() - monotonicMs();
    this.#losses.look();
    this.#ring.drain();
    const lost = this.#losses.take(this.#records >= this.#recordsInRing) + this.#skipped;
    this.#records = 0;
    const flows = this.#flows;
    this.#flows = [];
    this.#skipped = 0;
    this.#told += flows.length;
    this.#lost += lost;
    if (flows.length > 0 || lost > 0) this.#options.onFlows(flows, lost);
  }

  /** Since it began. */
  counts(): { readonly told: number; readonly lost: number } {
    return { told: this.#told, lost: this.#lost };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#ring[Symbol.dispose]();
  }

  #onRecord(view: DataView): void {
    this.#records++;
    if (view.getUint8(eventAt.verdict) === verdicts.denied) this.#losses.seen(view.getUint8(eventAt.reason));
    if (this.#flows.length >= this.#options.mostPerReading) this.#skipped++;
    else this.#flows.push(decodeEvent(view, this.#options.names, this.#wallMs));
  }
}

/** Drops that were counted but not told, as the ring was full. */
class Losses {
  readonly #drops: BpfMap;
  readonly #seen = new Map<number, number>();
  #counted: ReadonlyMap<number, number> = new Map();
  /** Readings for which counts are compared: a packet may be counted already and told only at the next. */
  #unsettled = 0;
  #gap = 0;
  #told = 0;

  constructor(drops: BpfMap) {
    this.#drops = drops;
  }

  /** Before the ring is read: then each that is counted here was told already, or never will be. */
  look(): void {
    const told = [...reasons].filter(([, { isTold }]) => isTold);
    this.#counted = new Map(told.map(([number]) => [number, dropCount(this.#drops, number)]));
  }

  seen(reason: number): void {
    this.#seen.set(reason, (this.#seen.get(reason) ?? 0) + 1);
  }

  /** What is missing twice in a row is lost. @param isFull - whether the ring had no room left. */
  take(isFull: boolean): number {
    const wasFull = this.#unsettled > 0;
    this.#unsettled = isFull ? 2 : Math.max(0, this.#unsettled - 1);
    const gap = this.#missing();
    const lost = wasFull ? Math.max(0, Math.min(gap, this.#gap) - this.#told) : 0;
    this.#gap = gap;
    this.#told += lost;
    if (this.#unsettled === 0) this.#settle();
    return lost;
  }

  #missing(): number {
    let gap = 0;
    for (const [reason, count] of this.#counted) gap += Math.max(0, count - (this.#seen.get(reason) ?? 0));
    return gap;
  }

  /** What is missing although there was room was never to be told. */
  #settle(): void {
    for (const [reason, count] of this.#counted)
      this.#seen.set(reason, Math.max(count, this.#seen.get(reason) ?? 0));
    this.#gap = 0;
    this.#told = 0;
  }
}

/** @param wallMs - what the monotonic clock must be put forward by to be the time of day. */
export function decodeEvent(view: DataView, names: EventNames, wallMs: number): FlowRecord {
  const arrived = tupleOf(view, eventAt.arrived);
  const now = tupleOf(view, eventAt.now);
  const service = view.getBigUint64(eventAt.service, true);
  const isDenied = view.getUint8(eventAt.verdict) === verdicts.denied;
  const hook = hookNames[view.getUint8(eventAt.hook) - hooks.fromWorkload] ?? 'from-network';
  return {
    timeMs: wallMs + Number(view.getBigUint64(eventAt.time, true) / 1000n) / 1000,
    family: view.getUint8(eventAt.family) === 6 ? 6 : 4,
    protocol: arrived.protocol,
    src: endOf(arrived, now, 'src', senderOf(view, arrived, hook, names)),
    dst: endOf(arrived, now, 'dst', names.endpointOf(now.dst)),
    icmp: icmpOf(view, arrived),
    length: view.getUint32(eventAt.length, true),
    hook,
    verdict: isDenied ? 'deny' : 'allow',
    reason: isDenied ? reasonOf(view.getUint8(eventAt.reason)).word : null,
    service: service === 0n ? null : (names.frontend(service)?.service ?? unknownName(service)),
    trace: traceOf(view, names),
    logs: logsOf(view, names),
  };
}

/** Whoever sends with another's address is not that other. */
function senderOf(view: DataView, arrived: Tuple, hook: FlowHook, names: EventNames): FlowEndpoint | null {
  if (hook === 'from-workload') return names.endpointBehind(view.getUint32(eventAt.ifIndex, true));
  return hook === 'from-network' ? null : names.endpointOf(arrived.src);
}

function endOf(arrived: Tuple, now: Tuple, side: 'src' | 'dst', endpoint: FlowEndpoint | null): FlowEnd {
  const number = side === 'src' ? 'srcPort' : 'dstPort';
  const portOf = (tuple: Tuple) => (isIcmp(tuple.protocol) ? null : tuple[number]);
  const same = arrived[side] === now[side] && portOf(arrived) === portOf(now);
  return {
    address: arrived[side],
    port: portOf(arrived),
    translated: same ? null : { address: now[side], port: portOf(now) },
    endpoint,
  };
}

function icmpOf(view: DataView, { protocol }: Tuple): FlowRecord['icmp'] {
  if (!isIcmp(protocol)) return null;
  return { type: view.getUint8(eventAt.icmpType), code: view.getUint8(eventAt.icmpCode) };
}

/** Stages of nobody's are programs of our own: they make the flow, or say no without a policy. */
function traceOf(view: DataView, names: EventNames): FlowRecord['trace'] {
  const count = Math.min(view.getUint32(eventAt.stages, true), maximumStages);
  return Array.from({ length: count }, (_, i) => ({
    endpoint: view.getBigUint64(eventAt.endpoints + 8 * i, true),
    rule: view.getBigUint64(eventAt.rules + 8 * i, true),
  }))
    .filter(({ endpoint, rule }) => endpoint !== 0n || rule !== 0n)
    .map(({ endpoint, rule }) => ({
      endpoint: names.endpoint(endpoint),
      rule: rule === 0n ? null : (names.rule(rule)?.comment ?? unknownName(rule)),
    }));
}

function logsOf(view: DataView, names: EventNames): FlowRecord['logs'] {
  const count = Math.min(view.getUint32(eventAt.logCount, true), maximumLogs);
  return Array.from({ length: count }, (_, i) => {
    const id = view.getBigUint64(eventAt.logs + 8 * i, true);
    const name = names.rule(id);
    // behind a colon the kernel's own log has the packet
    return { rule: name?.comment ?? unknownName(id), prefix: name?.prefix?.replace(/: $/, '') ?? '' };
  });
}

/** Of what went meanwhile. */
export function unknownName(id: bigint): string {
  return `gone (${id.toString(16).padStart(16, '0')})`;
}

/** bpf_ktime_get_ns is CLOCK_MONOTONIC, as is this. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
