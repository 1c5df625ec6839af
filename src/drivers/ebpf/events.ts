// SPDX-License-Identifier: Apache-2.0
/**
 * What programs tell by way of the ring `events`, as records of the flow log.
 *
 * Programs wake nobody, so that a packet costs no more for being told of: the ring is read on a timer. Who floods a node must not
 * keep its driver busy: beyond so many records in one reading the rest is counted, not read.
 *
 * How many were lost is exact: those that were counted instead of read, and those that found the ring full, which the programs
 * count. What XDP drops is counted, never told.
 *
 * @see bpf/events.h
 */
import type { FlowEnd, FlowEndpoint, FlowHook, FlowRecord } from '../../contract/flow.ts';
import type { BpfMap } from '../../kernel/bpf/map.ts';
import { openRingBuffer, type RingBuffer } from '../../kernel/bpf/ring-buffer.ts';
import type { Address } from '../../lib/brand.ts';
import type { RuleName } from './compile.ts';
import { dropCount, eventsLost } from './drop-counts.ts';
import { eventAt, hooks, maximumLogs, maximumStages, verdicts } from './layout.ts';
import { reasonOf } from './reasons.ts';
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
/** In that order, from 1. */
const hookNames: readonly FlowHook[] = ['from-workload', 'to-workload', 'from-network', 'to-network'];

export class FlowEvents implements Disposable {
  readonly #ring: RingBuffer;
  readonly #timer: NodeJS.Timeout;
  readonly #drops: BpfMap;
  readonly #options: Required<FlowEventOptions>;
  #flows: FlowRecord[] = [];
  #skipped = 0;
  /** Of those that found the ring full, as last read. */
  #full: number;
  #wallMs = 0;
  #told = 0;
  #lost = 0;

  constructor(maps: { readonly events: BpfMap; readonly drops: BpfMap }, options: FlowEventOptions) {
    this.#options = { mostPerReading: 500, ...options };
    this.#drops = maps.drops;
    this.#full = dropCount(maps.drops, eventsLost);
    this.#ring = openRingBuffer(maps.events, (view) => this.#onRecord(view));
    this.drain();
    this.#timer = setInterval(() => this.drain(), readEveryMs).unref();
  }

  /** Reads what is there now. */
  drain(): void {
    this.#wallMs = Date.now() - monotonicMs();
    this.#ring.drain();
    const full = dropCount(this.#drops, eventsLost);
    const lost = full - this.#full + this.#skipped;
    this.#full = full;
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
    if (this.#flows.length >= this.#options.mostPerReading) this.#skipped++;
    else this.#flows.push(decodeEvent(view, this.#options.names, this.#wallMs));
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
